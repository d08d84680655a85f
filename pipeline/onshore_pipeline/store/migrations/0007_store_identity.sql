-- Which store this is, wherever its copies lie: a log that several stores can reach is tied to one of them.
-- Every statement can run again.

CREATE TABLE IF NOT EXISTS store_identity
(
    store_id UUID,
    made_at  DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (made_at, store_id);

INSERT INTO store_identity
SELECT generateUUIDv4(), now64(3, 'UTC') FROM (SELECT count() AS known FROM store_identity) WHERE known = 0;
