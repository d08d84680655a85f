-- Events whose time is over are deleted; what proves the rest stays. Every statement can run again.

-- The leaf of each event that was deleted, and what restore counts. Written before the tombstone is sealed; an event
-- counts as deleted only once its deletion is sealed and its row is gone.
CREATE TABLE IF NOT EXISTS leaves
(
    deletion_id     UUID,
    attempt_id      UUID,
    event_id        UUID CODEC(NONE),
    topic_id        UUID,
    kafka_topic     LowCardinality(String),
    kafka_partition UInt32,
    kafka_offset    UInt64,
    record_index    UInt32,
    leaf_hash       FixedString(32) CODEC(NONE),
    tenant          LowCardinality(String),
    domain          LowCardinality(String),
    action          LowCardinality(String),
    numbered        Bool,
    ingested_at     DateTime64(9, 'UTC')
)
ENGINE = MergeTree
ORDER BY (topic_id, kafka_partition, kafka_offset, record_index);

-- What became of each deletion, a row a step: planned, sealed, deleted.
CREATE TABLE IF NOT EXISTS deletions
(
    deletion_id UUID,
    step        LowCardinality(String),
    at          DateTime64(3, 'UTC'),
    rule        String,
    tenant      LowCardinality(String),
    domain      LowCardinality(String),
    events      UInt64,
    first_at    DateTime64(9, 'UTC'),
    last_at     DateTime64(9, 'UTC'),
    root        String
)
ENGINE = MergeTree
ORDER BY (at, deletion_id);

-- Leaves of events that are gone by a sealed deletion. While rows are still being deleted both are there: the row counts.
CREATE VIEW IF NOT EXISTS leaves_deleted AS
SELECT * FROM leaves
WHERE deletion_id IN (SELECT deletion_id FROM deletions WHERE step = 'sealed')
    AND (
        deletion_id IN (SELECT deletion_id FROM deletions WHERE step = 'deleted')
        OR event_id NOT IN (
            SELECT event_id FROM events WHERE event_id IN (
                SELECT event_id FROM leaves
                WHERE deletion_id NOT IN (SELECT deletion_id FROM deletions WHERE step = 'deleted')
            )
        )
    );
