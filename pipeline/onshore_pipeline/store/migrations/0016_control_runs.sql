-- Proof that controls ran: for each hour in which entries were sealed and each control, how many of the sealed events it
-- was put to and what it said. Derived from entries and sealed verdicts alone, so that deriving it again gives the same.
-- The row without a control is what was sealed in the hour. Every statement can run again.

CREATE TABLE IF NOT EXISTS control_runs_built
(
    hour            DateTime64(0, 'UTC'),
    generation      UInt64,
    control_id      LowCardinality(String),
    control_version UInt32,
    control_digest  FixedString(32),
    entries         UInt64,
    events_seen     UInt64,
    satisfied       UInt64,
    violated        UInt64,
    undetermined    UInt64,
    watermark       DateTime64(9, 'UTC')
)
ENGINE = MergeTree
ORDER BY (hour, generation, control_id);

CREATE VIEW IF NOT EXISTS control_runs_and_totals AS
SELECT * EXCEPT generation FROM control_runs_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM control_runs_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

CREATE VIEW IF NOT EXISTS control_runs AS
SELECT hour, control_id, control_version, control_digest, entries, events_seen,
    satisfied + violated + undetermined AS in_scope, satisfied, violated, undetermined, watermark
FROM control_runs_and_totals WHERE control_id != '';
