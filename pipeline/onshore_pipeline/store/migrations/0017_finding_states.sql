-- Where findings stand, as it was told last: derived from findings and from what people did, so that SQL sees the state
-- that `onshore findings` shows. Every statement can run again.
CREATE TABLE IF NOT EXISTS finding_states
(
    finding_id      UUID,
    told_at         DateTime64(3, 'UTC'),
    status          LowCardinality(String),
    severity        LowCardinality(String),
    owner           String,
    due             Nullable(DateTime64(3, 'UTC')),
    waiver_id       String,
    control_version UInt32,
    events          UInt64,
    bytes           UInt64,
    last_seen       DateTime64(9, 'UTC')
)
ENGINE = ReplacingMergeTree(told_at)
ORDER BY finding_id;

CREATE OR REPLACE VIEW findings AS
SELECT f.* EXCEPT generation, if(s.status = '', 'open', s.status) AS status, s.owner AS owner, s.due AS due
FROM findings_built AS f
LEFT JOIN (
    SELECT finding_id, toString(argMax(status, told_at)) AS status, argMax(owner, told_at) AS owner,
        argMax(due, told_at) AS due
    FROM finding_states GROUP BY finding_id
) AS s ON s.finding_id = f.finding_id
WHERE (f.finding_id, f.generation) IN (
    SELECT finding_id, max(generation) FROM findings_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY finding_id
);
