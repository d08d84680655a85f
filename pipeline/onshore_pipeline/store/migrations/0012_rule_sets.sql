-- What the digests of registries and controls in log entries stand for. Every statement can run again.

CREATE TABLE IF NOT EXISTS rule_sets
(
    digest    FixedString(32),
    kind      LowCardinality(String),
    name      LowCardinality(String),
    version   String,
    sha256    FixedString(32),
    loaded_at DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (digest, name, sha256);

CREATE TABLE IF NOT EXISTS rule_files
(
    sha256  FixedString(32),
    content String CODEC(ZSTD(3))
)
ENGINE = ReplacingMergeTree
ORDER BY sha256;
