-- Signed heads (docs/evidence-format.md, section 9), as readers find them; the file beside the signing key has those of
-- the deployment too, and the sequencer puts back what is missing here.
-- Every statement can run again.

-- A row says again what the note says; `log_size` is the size of the deployment's head that it was signed with.
CREATE TABLE IF NOT EXISTS checkpoints
(
    origin    String,
    size      UInt64,
    root      FixedString(32),
    kind      LowCardinality(String),
    log_id    UUID,
    log_size  UInt64,
    signed_at DateTime64(0, 'UTC'),
    note      String CODEC(ZSTD(1))
)
ENGINE = ReplacingMergeTree
ORDER BY (origin, size, signed_at);

-- What witnesses said about them: one signature line a row, over exactly `text`.
CREATE TABLE IF NOT EXISTS cosignatures
(
    origin      String,
    size        UInt64,
    text        String,
    witness     String,
    line        String,
    witnessed_at DateTime64(0, 'UTC'),
    imported_at DateTime64(3, 'UTC'),
    imported_by String
)
ENGINE = ReplacingMergeTree
ORDER BY (origin, size, witness, line);
