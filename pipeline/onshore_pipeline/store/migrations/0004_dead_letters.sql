-- What a dead letter needs to be assessed again as the message it was, and what became of it.
-- Every statement can run again.

-- JSON array of [name, value in base64], in order; empty for letters that are older than this column.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS headers String DEFAULT '';
-- Whose clock stamped the message: broker, sender, or empty for older letters.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS clock LowCardinality(String) DEFAULT '';
-- Whether nobody but our receiver can have written the headers.
ALTER TABLE dead_letters ADD COLUMN IF NOT EXISTS headers_trusted Bool DEFAULT false;

-- Which dead letter an entry amends or discards; the id of zeros for other entries.
ALTER TABLE evidence_log ADD COLUMN IF NOT EXISTS
    dead_letter_id UUID MATERIALIZED toUUIDOrZero(JSONExtractString(entry, 'dead_letter'));

-- What people did about dead letters: a row when it began and one with what came of it. The log says what holds.
CREATE TABLE IF NOT EXISTS dead_letter_actions
(
    action_id      UUID,
    dead_letter_id UUID,
    at             DateTime64(3, 'UTC'),
    action         LowCardinality(String),
    outcome        LowCardinality(String),
    reason         String,
    who            String,
    why            String,
    attempt_id     UUID
)
ENGINE = MergeTree
ORDER BY (dead_letter_id, at);

-- Amending attempts that can never commit, since another amender took over before they did: what the sweeper deletes.
-- Such an attempt is registered without offsets, because it moves no position.
CREATE TABLE IF NOT EXISTS attempts_abandoned
(
    attempt_id   UUID,
    abandoned_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY attempt_id;

CREATE OR REPLACE VIEW dead_letters_current AS
SELECT * FROM dead_letters WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);

CREATE OR REPLACE VIEW dead_letters_closed AS
SELECT dead_letter_id, if(any(kind) = 'amends', 'replayed', 'discarded') AS state, min(appended_at) AS closed_at,
    any(JSONExtractString(entry, 'who')) AS closed_by, any(JSONExtractString(entry, 'why')) AS closed_why
FROM evidence_log WHERE kind IN ('amends', 'discards') GROUP BY dead_letter_id;

-- Every letter with what became of it: open, replayed or discarded.
CREATE OR REPLACE VIEW dead_letter_states AS
SELECT letters.*, if(closed.state = '', 'open', closed.state) AS state, closed.closed_at AS closed_at,
    closed.closed_by AS closed_by, closed.closed_why AS closed_why,
    if(empty(letters.record_indexes), 1, length(letters.record_indexes)) AS records
FROM dead_letters_current AS letters LEFT JOIN dead_letters_closed AS closed USING (dead_letter_id);
