-- Facts are written by workers under an attempt and are invisible until the evidence log names that attempt.
-- Months of ingestion partition them, never a time that a sender chooses: one insert could then want more than the
-- hundred partitions that the store allows, and would be refused for ever.
-- Every statement can run again: a migration that was cut short is finished by the next start.

CREATE TABLE IF NOT EXISTS events
(
    event_id                       UUID CODEC(NONE),
    tenant                         LowCardinality(String),
    domain                         LowCardinality(String),
    action                         LowCardinality(String),
    outcome                        LowCardinality(String),
    reason                         Nullable(String),
    occurred_at                    DateTime64(9, 'UTC') CODEC(Delta, ZSTD(1)),
    observed_at                    Nullable(DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    ingested_at                    Nullable(DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    source_format                  LowCardinality(String),
    schema_url                     LowCardinality(Nullable(String)),
    collector_id                   LowCardinality(Nullable(String)),
    collector_sequence             Nullable(UInt64),
    kafka_topic                    LowCardinality(String),
    topic_id                       UUID,
    kafka_partition                UInt32,
    kafka_offset                   UInt64,
    record_index                   UInt32,
    trace_id                       Nullable(FixedString(16)),
    span_id                        Nullable(FixedString(8)),
    attempt_id                     UUID,
    actor_id                       Nullable(String),
    actor_address                  Nullable(IPv6),
    actor_host                     Nullable(String),
    actor_asn                      Nullable(UInt32),
    actor_country                  LowCardinality(Nullable(String)),
    actor_country_basis            LowCardinality(String),
    actor_country_candidates       Array(LowCardinality(String)),
    actor_region                   LowCardinality(Nullable(String)),
    actor_facility                 LowCardinality(Nullable(String)),
    actor_account                  LowCardinality(Nullable(String)),
    actor_entity                   LowCardinality(Nullable(String)),
    actor_entity_country           LowCardinality(Nullable(String)),
    actor_control_country          LowCardinality(Nullable(String)),
    actor_type                     LowCardinality(Nullable(String)),
    actor_employer                 LowCardinality(Nullable(String)),
    actor_nationality              LowCardinality(Nullable(String)),
    source_id                      Nullable(String),
    source_address                 Nullable(IPv6),
    source_host                    Nullable(String),
    source_asn                     Nullable(UInt32),
    source_country                 LowCardinality(Nullable(String)),
    source_country_basis           LowCardinality(String),
    source_country_candidates      Array(LowCardinality(String)),
    source_region                  LowCardinality(Nullable(String)),
    source_facility                LowCardinality(Nullable(String)),
    source_account                 LowCardinality(Nullable(String)),
    source_entity                  LowCardinality(Nullable(String)),
    source_entity_country          LowCardinality(Nullable(String)),
    source_control_country         LowCardinality(Nullable(String)),
    destination_id                 Nullable(String),
    destination_address            Nullable(IPv6),
    destination_host               Nullable(String),
    destination_asn                Nullable(UInt32),
    destination_country            LowCardinality(Nullable(String)),
    destination_country_basis      LowCardinality(String),
    destination_country_candidates Array(LowCardinality(String)),
    destination_region             LowCardinality(Nullable(String)),
    destination_facility           LowCardinality(Nullable(String)),
    destination_account            LowCardinality(Nullable(String)),
    destination_entity             LowCardinality(Nullable(String)),
    destination_entity_country     LowCardinality(Nullable(String)),
    destination_control_country    LowCardinality(Nullable(String)),
    transit_countries              Array(LowCardinality(String)),
    transit_basis                  LowCardinality(String),
    key_id                         Nullable(String),
    key_custodian                  LowCardinality(Nullable(String)),
    key_country                    LowCardinality(Nullable(String)),
    key_country_basis              LowCardinality(String),
    encrypted_at_rest              Nullable(Bool),
    encrypted_in_transit           Nullable(Bool),
    object_type                    LowCardinality(Nullable(String)),
    object_digest                  Nullable(String),
    dataset                        LowCardinality(Nullable(String)),
    classification                 LowCardinality(Nullable(String)),
    categories                     Array(LowCardinality(String)),
    home_jurisdictions             Array(LowCardinality(String)),
    bytes                          Nullable(UInt64),
    item_count                     Nullable(UInt64),
    transfer_basis                 LowCardinality(Nullable(String)),
    approval_id                    Nullable(String),
    approval_by                    Nullable(String),
    approval_expires_at            Nullable(DateTime64(9, 'UTC')) CODEC(Delta, ZSTD(1)),
    model_provider                 LowCardinality(Nullable(String)),
    model_requested                LowCardinality(Nullable(String)),
    model_served                   LowCardinality(Nullable(String)),
    model_endpoint                 LowCardinality(Nullable(String)),
    input_tokens                   Nullable(UInt64),
    output_tokens                  Nullable(UInt64),
    contradictions                 Array(LowCardinality(String)),
    resource_attributes            Map(LowCardinality(String), String),
    attributes                     Map(LowCardinality(String), String),
    body                           Nullable(String),
    leaf_hash                      FixedString(32) CODEC(NONE),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ifNull(ingested_at, toDateTime64(0, 9, 'UTC')))
ORDER BY (tenant, domain, occurred_at);

CREATE TABLE IF NOT EXISTS violations
(
    attempt_id      UUID,
    event_id        UUID CODEC(NONE),
    finding_id      UUID,
    tenant          LowCardinality(String),
    domain          LowCardinality(String),
    control_id      LowCardinality(String),
    control_version UInt32,
    kind            LowCardinality(String),
    severity        LowCardinality(String),
    fingerprint     Map(LowCardinality(String), String),
    occurred_at     DateTime64(9, 'UTC'),
    ingested_at     Nullable(DateTime64(9, 'UTC')),
    bytes           Nullable(UInt64),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ifNull(ingested_at, toDateTime64(0, 9, 'UTC')))
ORDER BY (finding_id, occurred_at);

-- Counts of one message: how many of its events of one hour got which verdict, and which column was missing.
CREATE TABLE IF NOT EXISTS message_verdicts
(
    attempt_id      UUID,
    topic_id        UUID,
    kafka_partition UInt32,
    kafka_offset    UInt64,
    tenant          LowCardinality(String),
    source_format   LowCardinality(String),
    control_id      LowCardinality(String),
    control_version UInt32,
    hour            DateTime64(0, 'UTC'),
    verdict         LowCardinality(String),
    missing         LowCardinality(String),
    events          UInt64,
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (hour, tenant, control_id);

-- Counts of one message: where its events went, and which models they called.
CREATE TABLE IF NOT EXISTS message_flows
(
    attempt_id                  UUID,
    tenant                      LowCardinality(String),
    hour                        DateTime64(0, 'UTC'),
    domain                      LowCardinality(String),
    action                      LowCardinality(String),
    source_country              LowCardinality(Nullable(String)),
    destination_country         LowCardinality(Nullable(String)),
    destination_basis           LowCardinality(String),
    destination_control_country LowCardinality(Nullable(String)),
    events                      UInt64,
    bytes                       UInt64,
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (hour, tenant, domain);

CREATE TABLE IF NOT EXISTS message_access
(
    attempt_id                  UUID,
    tenant                      LowCardinality(String),
    hour                        DateTime64(0, 'UTC'),
    model_requested             LowCardinality(Nullable(String)),
    model_served                LowCardinality(Nullable(String)),
    model_endpoint              LowCardinality(Nullable(String)),
    destination_country         LowCardinality(Nullable(String)),
    destination_control_country LowCardinality(Nullable(String)),
    calls                       UInt64,
    input_tokens                UInt64,
    output_tokens               UInt64,
    INDEX by_attempt attempt_id TYPE bloom_filter(0.01) GRANULARITY 1
)
ENGINE = MergeTree
ORDER BY (hour, tenant);

-- Who was heard from: one row a message and collector. `dropped` is what the collector says it could not send.
-- No partitions: `received_at` is the sender's claim where the topic keeps the sender's time.
CREATE TABLE IF NOT EXISTS message_collectors
(
    attempt_id    UUID,
    tenant        LowCardinality(String),
    collector_id  LowCardinality(String),
    source_format LowCardinality(String),
    received_at   DateTime64(9, 'UTC'),
    last_occurred DateTime64(9, 'UTC'),
    events        UInt64,
    dropped       UInt64
)
ENGINE = MergeTree
ORDER BY (received_at, tenant, collector_id);

CREATE TABLE IF NOT EXISTS metric_points
(
    attempt_id   UUID,
    tenant       LowCardinality(String),
    event_id     UUID,
    metric       LowCardinality(String),
    unit         LowCardinality(String),
    attributes   Map(LowCardinality(String), String),
    at           DateTime64(9, 'UTC'),
    value        Nullable(Float64),
    sum          Nullable(Float64),
    count        Nullable(UInt64),
    ingested_at  Nullable(DateTime64(9, 'UTC'))
)
ENGINE = MergeTree
PARTITION BY toYYYYMM(ifNull(ingested_at, toDateTime64(0, 9, 'UTC')))
ORDER BY (tenant, metric, at);

CREATE TABLE IF NOT EXISTS dead_letters
(
    attempt_id      UUID,
    dead_letter_id  UUID,
    tenant          LowCardinality(String),
    topic           LowCardinality(String),
    topic_id        UUID,
    kafka_partition UInt32,
    kafka_offset    UInt64,
    record_indexes  Array(UInt32),
    stage           LowCardinality(String),
    reason          String,
    received_at     DateTime64(9, 'UTC'),
    payload         String CODEC(ZSTD(3))
)
ENGINE = MergeTree
ORDER BY (received_at, dead_letter_id);

-- An attempt stays here until the log names it; one that never committed stays for ever, so that rows a stopped worker
-- writes after it wakes up are never seen.
CREATE TABLE IF NOT EXISTS attempts
(
    attempt_id      UUID,
    worker          String,
    registered_at   DateTime64(3, 'UTC'),
    pipeline        String,
    context_digest  String,
    controls_digest String,
    topic_ids       Array(UUID),
    partitions      Array(UInt32),
    first_offsets   Array(UInt64),
    end_offsets     Array(UInt64)
)
ENGINE = MergeTree
ORDER BY attempt_id;

-- The copy of the authoritative log topic, in its order. Copying again writes identical rows.
CREATE TABLE IF NOT EXISTS evidence_log
(
    log_partition UInt32,
    log_position  UInt64,
    appended_at   DateTime64(9, 'UTC'),
    kind          LowCardinality(String),
    topic         LowCardinality(String),
    topic_id      UUID,
    partition     UInt32,
    offset        UInt64,
    log_index     UInt64,
    attempt_id    Nullable(UUID),
    tenant        LowCardinality(String),
    records       UInt64,
    events        UInt64,
    dead_lettered UInt64,
    entry_hash    FixedString(32),
    entry         String CODEC(ZSTD(1)),
    INDEX by_attempt attempt_id TYPE bloom_filter(0.001) GRANULARITY 1,
    INDEX by_time appended_at TYPE minmax GRANULARITY 1
)
ENGINE = ReplacingMergeTree
ORDER BY (topic_id, partition, log_index);

-- The controls that judged, as text, so that a verdict can be explained later.
CREATE TABLE IF NOT EXISTS controls
(
    control_id     LowCardinality(String),
    version        UInt32,
    digest         FixedString(32),
    jurisdiction   LowCardinality(String),
    title          String,
    instrument     String,
    kind           LowCardinality(String),
    severity       LowCardinality(String),
    confidence     LowCardinality(String),
    status         LowCardinality(String),
    domain         LowCardinality(String),
    effective_from Nullable(Date32),
    effective_to   Nullable(Date32),
    checked_on     Nullable(Date32),
    rationale      String,
    needs          String,
    evidence       String,
    remediation    String,
    text           String CODEC(ZSTD(3)),
    loaded_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(loaded_at)
ORDER BY (control_id, version, digest);

-- Rollups are rebuilt from committed facts, an hour or a finding at a time. A rebuild writes a generation that no other
-- rebuild has; the newest finished one of each hour and finding counts.
CREATE TABLE IF NOT EXISTS verdict_counts_built
(
    hour            DateTime64(0, 'UTC'),
    generation      UInt64,
    tenant          LowCardinality(String),
    source_format   LowCardinality(String),
    control_id      LowCardinality(String),
    control_version UInt32,
    verdict         LowCardinality(String),
    missing         LowCardinality(String),
    events          UInt64
)
ENGINE = MergeTree
ORDER BY (hour, generation, tenant, control_id);

CREATE TABLE IF NOT EXISTS flows_hourly_built
(
    hour                        DateTime64(0, 'UTC'),
    generation                  UInt64,
    tenant                      LowCardinality(String),
    domain                      LowCardinality(String),
    action                      LowCardinality(String),
    source_country              LowCardinality(Nullable(String)),
    destination_country         LowCardinality(Nullable(String)),
    destination_basis           LowCardinality(String),
    destination_control_country LowCardinality(Nullable(String)),
    events                      UInt64,
    bytes                       UInt64
)
ENGINE = MergeTree
ORDER BY (hour, generation, tenant, domain);

CREATE TABLE IF NOT EXISTS access_hourly_built
(
    hour                        DateTime64(0, 'UTC'),
    generation                  UInt64,
    tenant                      LowCardinality(String),
    model_requested             LowCardinality(Nullable(String)),
    model_served                LowCardinality(Nullable(String)),
    model_endpoint              LowCardinality(Nullable(String)),
    destination_country         LowCardinality(Nullable(String)),
    destination_control_country LowCardinality(Nullable(String)),
    calls                       UInt64,
    input_tokens                UInt64,
    output_tokens               UInt64
)
ENGINE = MergeTree
ORDER BY (hour, generation, tenant);

CREATE TABLE IF NOT EXISTS findings_built
(
    finding_id       UUID,
    generation       UInt64,
    tenant           LowCardinality(String),
    domain           LowCardinality(String),
    control_id       LowCardinality(String),
    control_version  UInt32,
    kind             LowCardinality(String),
    severity         LowCardinality(String),
    fingerprint      Map(LowCardinality(String), String),
    first_seen       DateTime64(9, 'UTC'),
    last_seen        DateTime64(9, 'UTC'),
    events           UInt64,
    bytes            UInt64,
    sample_event_ids Array(UUID)
)
ENGINE = MergeTree
ORDER BY (finding_id, generation);

-- Which rebuild writes which generation: claimed before it reads its first fact, so that whoever rebuilds at the same
-- time learns of it.
CREATE TABLE IF NOT EXISTS rollup_claims
(
    generation UInt64,
    claimed_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY generation;

-- What has been rolled up so far: one row a finished rebuild. Readers see no generation that is not here.
CREATE TABLE IF NOT EXISTS rollup_runs
(
    generation   UInt64,
    finished_at  DateTime64(3, 'UTC'),
    log_position Map(UInt32, UInt64),
    hours        UInt64,
    findings     UInt64,
    took_ms      UInt64
)
ENGINE = MergeTree
ORDER BY generation;
