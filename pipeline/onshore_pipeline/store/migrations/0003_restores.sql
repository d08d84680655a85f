-- What a store that was put back needs: which log an entry was copied from, where a gap ends without reading its text,
-- and which attempts are being restored.
-- Every statement can run again.

-- The log topic's own id: positions mean something within one log only, and a log that was lost begins again at 0.
ALTER TABLE evidence_log ADD COLUMN IF NOT EXISTS log_id UUID DEFAULT '00000000-0000-0000-0000-000000000000';

-- The first offset that the entry does not speak of.
ALTER TABLE evidence_log ADD COLUMN IF NOT EXISTS
    end_offset UInt64 DEFAULT if(kind IN ('gap', 'lost'), JSONExtractUInt(entry, 'end'), offset + 1);

ALTER TABLE rollup_runs ADD COLUMN IF NOT EXISTS log_id UUID DEFAULT '00000000-0000-0000-0000-000000000000';

-- An attempt that is written again from the broker's messages; hidden from the first row here until the second table has
-- the restore's id. A restore that died stays open, and its attempt hidden, until another restore ends it.
CREATE TABLE IF NOT EXISTS restores
(
    restore_id UUID,
    attempt_id UUID,
    begun_at   DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY attempt_id;

CREATE TABLE IF NOT EXISTS restores_done
(
    restore_id UUID,
    attempt_id UUID,
    done_at    DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY restore_id;

CREATE VIEW IF NOT EXISTS restores_open AS
SELECT DISTINCT attempt_id FROM restores WHERE restore_id NOT IN (SELECT restore_id FROM restores_done);

-- Registered and not in the log: what the sweeper asks about.
CREATE VIEW IF NOT EXISTS attempts_uncommitted AS
SELECT attempt_id FROM attempts
WHERE attempt_id NOT IN (
    SELECT assumeNotNull(attempt_id) FROM evidence_log
    WHERE attempt_id IN (SELECT attempt_id FROM attempts)
);

-- What readers do not see.
CREATE OR REPLACE VIEW attempts_open AS
SELECT attempt_id FROM attempts_uncommitted
UNION ALL
SELECT attempt_id FROM restores_open;
