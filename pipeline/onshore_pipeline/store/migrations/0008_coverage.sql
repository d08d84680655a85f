-- What coverage is measured from, and what was measured. Facts are written by workers under an attempt, like all facts.
-- Every statement can run again.

-- Who was heard, by hour of event time: a bit a minute. Rows of before have one minute, that of their last event.
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS kafka_topic LowCardinality(String);
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS resource LowCardinality(String);
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS losses LowCardinality(String);
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS hour DateTime64(0, 'UTC') DEFAULT toStartOfHour(last_occurred);
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS
    minutes UInt64 DEFAULT bitShiftLeft(toUInt64(1), toMinute(last_occurred));
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS heartbeats UInt64;
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS least_delay_ms Nullable(Int64);
ALTER TABLE message_collectors ADD COLUMN IF NOT EXISTS least_heartbeat_delay_ms Nullable(Int64);
ALTER TABLE message_collectors ADD INDEX IF NOT EXISTS by_hour hour TYPE minmax GRANULARITY 1;
ALTER TABLE message_collectors ADD INDEX IF NOT EXISTS by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1;

-- A view keeps the columns that it was made with.
CREATE OR REPLACE VIEW message_collectors_current AS
SELECT * FROM message_collectors WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

-- Runs of consecutive numbers that a message carries, `last` included. `run` is one start of the sender; '' is unknown.
CREATE TABLE IF NOT EXISTS message_sequences
(
    attempt_id      UUID,
    tenant          LowCardinality(String),
    collector_id    LowCardinality(String),
    run             String,
    first           UInt64,
    last            UInt64,
    records         UInt64,
    topic_id        UUID,
    kafka_topic     LowCardinality(String),
    kafka_partition UInt32,
    kafka_offset    UInt64,
    received_at     DateTime64(9, 'UTC'),
    hour            DateTime64(0, 'UTC'),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (hour, tenant, collector_id);

CREATE VIEW IF NOT EXISTS message_sequences_current AS
SELECT * FROM message_sequences WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

-- What events say about coverage: telemetry.gap, telemetry.verified, telemetry.altered, telemetry.skipped.
CREATE TABLE IF NOT EXISTS message_statements
(
    attempt_id   UUID,
    event_id     UUID,
    tenant       LowCardinality(String),
    collector_id LowCardinality(String),
    action       LowCardinality(String),
    source       String,
    since        DateTime64(9, 'UTC'),
    until        DateTime64(9, 'UTC'),
    why          String,
    items        UInt64,
    received_at  DateTime64(9, 'UTC'),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (received_at, tenant, action);

CREATE VIEW IF NOT EXISTS message_statements_current AS
SELECT * FROM message_statements WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

-- Rebuilt with the other rollups, by hour of event time.
CREATE TABLE IF NOT EXISTS heard_hourly_built
(
    hour                     DateTime64(0, 'UTC'),
    generation               UInt64,
    tenant                   LowCardinality(String),
    collector_id             LowCardinality(String),
    source_format            LowCardinality(String),
    kafka_topic              LowCardinality(String),
    resource                 LowCardinality(String),
    losses                   LowCardinality(String),
    minutes                  UInt64,
    events                   UInt64,
    heartbeats               UInt64,
    dropped                  UInt64,
    last_occurred            DateTime64(9, 'UTC'),
    last_received            DateTime64(9, 'UTC'),
    least_delay_ms           Nullable(Int64),
    least_heartbeat_delay_ms Nullable(Int64)
)
ENGINE = MergeTree
ORDER BY (hour, generation, tenant, collector_id);

CREATE VIEW IF NOT EXISTS heard_hourly AS
SELECT * EXCEPT generation FROM heard_hourly_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM heard_hourly_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

-- Islands of consecutive numbers that were received in an hour. `received` counts a number as often as it came.
CREATE TABLE IF NOT EXISTS sequences_hourly_built
(
    hour           DateTime64(0, 'UTC'),
    generation     UInt64,
    tenant         LowCardinality(String),
    collector_id   LowCardinality(String),
    run            String,
    first          UInt64,
    last           UInt64,
    received       UInt64,
    first_received DateTime64(9, 'UTC'),
    last_received  DateTime64(9, 'UTC')
)
ENGINE = MergeTree
ORDER BY (hour, generation, tenant, collector_id);

CREATE VIEW IF NOT EXISTS sequences_hourly AS
SELECT * EXCEPT generation FROM sequences_hourly_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM sequences_hourly_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

-- The newest finished measurement counts, whole. `seen` is NULL where nothing says what should have been seen.
CREATE TABLE IF NOT EXISTS coverage_built
(
    generation   UInt64,
    measured_at  DateTime64(3, 'UTC'),
    kind         LowCardinality(String),
    tenant       LowCardinality(String),
    source       String,
    collector_id LowCardinality(String),
    since        Nullable(DateTime64(3, 'UTC')),
    until        Nullable(DateTime64(3, 'UTC')),
    unit         LowCardinality(String),
    expected     Nullable(UInt64),
    seen         Nullable(UInt64),
    doubled      UInt64,
    last_heard   Nullable(DateTime64(3, 'UTC')),
    state        LowCardinality(String),
    control_id   LowCardinality(String),
    why          String,
    owner        String,
    matters      String
)
ENGINE = MergeTree
ORDER BY (generation, kind, tenant, source);

CREATE VIEW IF NOT EXISTS coverage AS
SELECT * EXCEPT generation FROM coverage_built
WHERE generation = (
    SELECT max(generation) FROM coverage_built WHERE generation IN (SELECT generation FROM rollup_runs)
);
