-- Windows are added up as events come, so that a run reads what is new and not all that a window holds. Derived, like
-- `windowed_facts`: a restore empties these tables. Every statement can run again.

-- What a run looks at: facts that are new to it (`fresh`), and those of windows that are not added up yet. A partition a
-- run, dropped by the next one.
CREATE TABLE IF NOT EXISTS windowed_pending
(
    generation UInt64,
    fresh      Bool,
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
    disputed   Bool
)
ENGINE = MergeTree
PARTITION BY generation
ORDER BY (rule, keyless, key_hash, at);

-- What the facts of one key and one stretch of `every` add up to, as far as they arrived until `folded` of the run.
-- What is unknown of a key is '' and true in `key_lacks`. The whole key stands in its order: two may have one hash.
CREATE TABLE IF NOT EXISTS windowed_panes_built
(
    rule          LowCardinality(String),
    key_hash      UInt64,
    pane          Int64,
    generation    UInt64,
    key_texts     Array(String),
    key_lacks     Array(Bool),
    keyless       Bool,
    events        UInt64,
    first_at      Int64,
    last_at       Int64,
    first_arrival Int64,
    sample_at     Array(Int64),
    samples       Array(UUID),
    sums          Array(String),
    opens         Array(Bool),
    seen          Array(String),
    seen_of       Array(UInt8),
    scope         Bool,
    disputed      Bool,
    word          String,
    word_arrival  Int64,
    word_at       Int64,
    word_event    UUID
)
ENGINE = MergeTree
PARTITION BY generation
ORDER BY (rule, pane, key_hash);

-- Those of finished runs. Whoever reads takes the newest generation of each: nothing rests on a merge.
CREATE TABLE IF NOT EXISTS windowed_panes
(
    rule          LowCardinality(String),
    key_hash      UInt64,
    pane          Int64,
    generation    UInt64,
    key_texts     Array(String),
    key_lacks     Array(Bool),
    keyless       Bool,
    events        UInt64,
    first_at      Int64,
    last_at       Int64,
    first_arrival Int64,
    sample_at     Array(Int64),
    samples       Array(UUID),
    sums          Array(String),
    opens         Array(Bool),
    seen          Array(String),
    seen_of       Array(UInt8),
    scope         Bool,
    disputed      Bool,
    word          String,
    word_arrival  Int64,
    word_at       Int64,
    word_event    UUID,
    key_named     String MATERIALIZED toString((key_texts, key_lacks))
)
ENGINE = ReplacingMergeTree(generation)
ORDER BY (rule, keyless, pane, key_hash, key_named);

-- Until which arrival a run added up, by text of a control; one that is not there is judged once more from all its facts.
ALTER TABLE windowed_runs ADD COLUMN IF NOT EXISTS folded Map(String, Int64);
