-- What controls of more than one event look at, and what they say. All of it is derived from committed events: a restore
-- empties these tables, and they are built again. Every statement can run again.

-- The few columns of an event that such a control needs. The same fact may stand twice until parts merge.
CREATE TABLE IF NOT EXISTS windowed_facts
(
    rule       LowCardinality(String),
    key_hash   UInt64,
    event_id   UUID,
    attempt_id UUID,
    role       UInt8,
    at         Int64,
    arrival    Int64,
    keys       Array(Nullable(String)),
    vals       Array(Nullable(String)),
    keyless    Bool,
    sure       Bool,
    missing    LowCardinality(String),
    disputed   Bool,
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (rule, keyless, intDiv(at, 86400000000000), key_hash, at, event_id, role);

-- One row a change of the verdict of one window, sequence or absence. A rebuild writes all changes of a unit anew; those
-- of its newest finished generation count.
CREATE TABLE IF NOT EXISTS windowed_verdicts_built
(
    rule             LowCardinality(String),
    unit_id          UUID,
    generation       UInt64,
    finding_id       UUID,
    tenant           LowCardinality(String),
    control_id       LowCardinality(String),
    control_version  UInt32,
    looks_at         LowCardinality(String),
    key              Map(LowCardinality(String), String),
    fingerprint      Map(LowCardinality(String), String),
    since            DateTime64(9, 'UTC'),
    until            DateTime64(9, 'UTC'),
    stated_at        DateTime64(9, 'UTC'),
    before           LowCardinality(String),
    verdict          LowCardinality(String),
    missing          LowCardinality(String),
    known            Map(LowCardinality(String), String),
    first_at         DateTime64(9, 'UTC'),
    last_at          DateTime64(9, 'UTC'),
    events           UInt64,
    sample_event_ids Array(UUID),
    INDEX by_finding finding_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (rule, since, unit_id, generation);

-- How far it was judged: up to which entries of the log, by which rules, and up to which time everything is there.
CREATE TABLE IF NOT EXISTS windowed_runs
(
    generation   UInt64,
    finished_at  DateTime64(3, 'UTC'),
    log_id       UUID,
    log_position Map(UInt32, UInt64),
    rules        Array(String),
    watermark    DateTime64(9, 'UTC'),
    judged_at    DateTime64(9, 'UTC'),
    facts        UInt64,
    units        UInt64,
    took_ms      UInt64
)
ENGINE = MergeTree
ORDER BY generation;

CREATE VIEW IF NOT EXISTS windowed_verdicts AS
SELECT * EXCEPT (generation, rule) FROM windowed_verdicts_built
WHERE (unit_id, generation) IN (
    SELECT unit_id, max(generation) FROM windowed_verdicts_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY unit_id
);

-- What is said now.
CREATE VIEW IF NOT EXISTS windowed_current AS
SELECT * FROM windowed_verdicts ORDER BY stated_at DESC LIMIT 1 BY unit_id;

-- Verdicts that took the place of others, with both: what was said before an event came late, and what is said since.
CREATE VIEW IF NOT EXISTS restatements AS
SELECT unit_id, finding_id, tenant, control_id, control_version, looks_at, key, fingerprint, since, until,
    before AS verdict_before, verdict AS verdict_after, missing, stated_at AS restated_at
FROM windowed_verdicts WHERE before != '';
