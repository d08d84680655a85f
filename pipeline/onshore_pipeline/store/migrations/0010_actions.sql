-- What operators did: the events of the topic `onshore_actions`, which only their commands may write. Facts of an attempt.
-- `kafka_offset` and `record_index` are their order; `action_id` is the deed's own id. Every statement can run again.
CREATE TABLE IF NOT EXISTS message_actions
(
    attempt_id   UUID,
    event_id     UUID,
    action_id    String,
    tenant       LowCardinality(String),
    action       LowCardinality(String),
    who          String,
    reason       String,
    attributes   Map(LowCardinality(String), String),
    topic_id     UUID,
    kafka_offset UInt64,
    record_index UInt32,
    received_at  DateTime64(9, 'UTC'),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (received_at, kafka_offset, record_index);

CREATE VIEW IF NOT EXISTS message_actions_current AS
SELECT * FROM message_actions WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);
