-- Which part of the keys a unit belongs to, so that a run which judges the keys in parts reads what stands in parts, too.
-- Every statement can run again.

ALTER TABLE windowed_verdicts_built ADD COLUMN IF NOT EXISTS key_hash UInt64 DEFAULT 0;

-- A view keeps the columns that it was made with.
CREATE OR REPLACE VIEW windowed_verdicts AS
SELECT * EXCEPT (generation, rule, key_hash) FROM windowed_verdicts_built
WHERE (unit_id, generation) IN (
    SELECT unit_id, max(generation) FROM windowed_verdicts_built
    WHERE generation IN (SELECT generation FROM rollup_runs) GROUP BY unit_id
);

-- Units of before this column are built again.
TRUNCATE TABLE windowed_verdicts_built;
TRUNCATE TABLE windowed_runs;
