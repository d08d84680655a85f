-- What the places and owners of an event follow from, as `domain/provenance.py` describes; null in events of before.
-- Every statement can run again.
ALTER TABLE events ADD COLUMN IF NOT EXISTS provenance LowCardinality(Nullable(String)) AFTER contradictions;

-- A view keeps the columns that its table had.
CREATE OR REPLACE VIEW events_current AS
SELECT *, CAST(NULL AS Nullable(UUID)) AS duplicate_of FROM events
WHERE attempt_id NOT IN (SELECT attempt_id FROM attempts_open);
