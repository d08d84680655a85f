-- Which attempt closed a dead letter: one whose answer was lost knows its own work again.
-- Every statement can run again.

CREATE OR REPLACE VIEW dead_letters_closed AS
SELECT dead_letter_id, if(any(kind) = 'amends', 'replayed', 'discarded') AS state, min(appended_at) AS closed_at,
    any(JSONExtractString(entry, 'who')) AS closed_by, any(JSONExtractString(entry, 'why')) AS closed_why,
    assumeNotNull(any(attempt_id)) AS closed_by_attempt
FROM evidence_log WHERE kind IN ('amends', 'discards') GROUP BY dead_letter_id;

CREATE OR REPLACE VIEW dead_letter_states AS
SELECT letters.*, if(closed.state = '', 'open', closed.state) AS state, closed.closed_at AS closed_at,
    closed.closed_by AS closed_by, closed.closed_why AS closed_why, closed.closed_by_attempt AS closed_by_attempt,
    if(empty(letters.record_indexes), 1, length(letters.record_indexes)) AS records
FROM dead_letters_current AS letters LEFT JOIN dead_letters_closed AS closed USING (dead_letter_id);
