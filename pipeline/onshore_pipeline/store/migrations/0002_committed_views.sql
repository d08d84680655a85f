-- What readers use: committed facts only. A fact is hidden while its attempt is registered and the log does not name it.
-- The facts' own parts are fixed before the list of open attempts is read, and an attempt is registered before its first
-- row, so a row that is seen has its attempt on the list or in the log.

CREATE VIEW IF NOT EXISTS attempts_open AS
SELECT attempt_id FROM attempts
WHERE attempt_id NOT IN (
    SELECT assumeNotNull(attempt_id) FROM evidence_log
    WHERE attempt_id IN (SELECT attempt_id FROM attempts)
);

CREATE VIEW IF NOT EXISTS events_current AS
SELECT *, CAST(NULL AS Nullable(UUID)) AS duplicate_of FROM events
WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS violations_current AS
SELECT * FROM violations WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS message_verdicts_current AS
SELECT * FROM message_verdicts WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS message_flows_current AS
SELECT * FROM message_flows WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS message_access_current AS
SELECT * FROM message_access WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS message_collectors_current AS
SELECT * FROM message_collectors WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS metric_points_current AS
SELECT * FROM metric_points WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE VIEW IF NOT EXISTS dead_letters_current AS
SELECT * FROM dead_letters WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

-- Rollups: the newest generation of each hour and finding whose rebuild finished.

CREATE VIEW IF NOT EXISTS verdict_counts AS
SELECT * EXCEPT generation FROM verdict_counts_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM verdict_counts_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

CREATE VIEW IF NOT EXISTS flows_hourly AS
SELECT * EXCEPT generation FROM flows_hourly_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM flows_hourly_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

CREATE VIEW IF NOT EXISTS access_hourly AS
SELECT * EXCEPT generation FROM access_hourly_built
WHERE (hour, generation) IN (
    SELECT hour, max(generation) FROM access_hourly_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY hour
);

CREATE VIEW IF NOT EXISTS findings AS
SELECT * EXCEPT generation, 'open' AS status FROM findings_built
WHERE (finding_id, generation) IN (
    SELECT finding_id, max(generation) FROM findings_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY finding_id
);
