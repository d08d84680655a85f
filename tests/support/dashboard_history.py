"""Fills a store with a short history of four invented companies, in SQL, the same on every run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Admin(Protocol):
    """A client that may write."""

    def command(self, cmd: str) -> object:
        """Run one statement."""
        ...


COMMITTED: Final = "11111111-1111-4111-8111-111111111111"
OPEN: Final = "22222222-2222-4222-8222-222222222222"
TOPIC: Final = "33333333-3333-4333-8333-333333333333"
TENANTS: Final = ("hoshi-bank", "klang-energy", "lion-city-port", "southern-cross-health")

CONTROLS: Final = (
    ("AU-APP8-01", "AU", "Personal information leaves Australia with no recorded basis",
     "Privacy Act 1988 (Cth), Australian Privacy Principle 8.1", "violation", "high"),
    ("AU-MHR77-01", "AU", "My Health Record data is handled outside Australia",
     "My Health Records Act 2012 (Cth), s 77", "violation", "critical"),
    ("JP-APPI28-01", "JP", "Personal data goes to a third country without consent or an equivalent system",
     "Act on the Protection of Personal Information, Art. 28", "violation", "high"),
    ("MY-PDPA129-01", "MY", "Personal data leaves Malaysia with no transfer condition recorded",
     "Personal Data Protection Act 2010, s 129", "violation", "high"),
    ("SG-PDPR11-01", "SG", "A contract does not name the country that personal data goes to",
     "Personal Data Protection Regulations 2021, reg 11(3)(b)", "review", "medium"),
    ("SOV-04-01", "*", "A model is served by a company under foreign control",
     "Sovereignty policy, section 4", "exposure", "low"),
    ("SOV-09-01", "*", "Keys are held outside the home jurisdiction",
     "Sovereignty policy, section 9", "violation", "medium"),
)  # fmt: skip

# Which events a control looks at, and when it is violated; unknown destinations are undetermined.
_JUDGED: Final = {
    "AU-APP8-01": (
        "home = 'AU' AND domain = 'data_movement'",
        "destination_country != 'AU' AND transfer_basis = 'none'",
    ),
    "AU-MHR77-01": ("home = 'AU' AND dataset = 'patient-notes'", "destination_country NOT IN ('AU', 'NZ')"),
    "JP-APPI28-01": ("home = 'JP' AND domain = 'data_movement'", "destination_country = 'US'"),
    "MY-PDPA129-01": ("home = 'MY' AND domain = 'data_movement'", "destination_country NOT IN ('MY', 'SG')"),
    "SG-PDPR11-01": ("home = 'SG' AND domain = 'data_movement'", "destination_country IN ('IN', 'US')"),
    "SOV-04-01": ("domain = 'model_access'", "destination_control_country = 'US'"),
}


def fill(admin: Admin, now: datetime, events: int = 6000) -> None:
    """Write `events` events of the last ten days, what was judged about them, and the log that names them."""
    at = f"toDateTime64('{now:%Y-%m-%d %H:%M:%S}', 9, 'UTC')"
    for statement in (
        *_attempts(at),
        *_log(at, events),
        _controls(at),
        _events(at, events, COMMITTED),
        _events(at, 50, OPEN),
        *[_violations(control_id) for control_id in _JUDGED],
        *[_verdicts(control_id) for control_id in _JUDGED],
        _flows(),
        _findings(),
        *_collectors(at),
        _dead_letters(at),
        f"INSERT INTO rollup_runs (* EXCEPT(log_id)) SELECT 7, {at} - 2, map(0, 60), 240, 40, 38",
    ):
        admin.command(statement)


def _attempts(at: str) -> tuple[str, ...]:
    columns = "(attempt_id, worker, registered_at, pipeline, context_digest, controls_digest)"
    return tuple(
        f"INSERT INTO attempts {columns} VALUES ('{attempt}', 'worker-1', {at}, 'p', 'c', 'd')"
        for attempt in (COMMITTED, OPEN)
    )


def _controls(at: str) -> str:
    rows = ", ".join(
        f"('{id_}', 1, unhex(repeat('ab', 32)), '{jurisdiction}', '{title}', '{instrument}', '{kind}', '{severity}',"
        f" 'sure', 'executable', 'data_movement', '2020-01-01', NULL, '2026-11-01',"
        f" 'Data that leaves its jurisdiction falls under another law, and the people it is about were not told.',"
        f" 'the destination country of every copy: send onshore.destination.country, or register the facility',"
        f" 'the transfer record, the contract and the events', 'Stop the flow, then ask its owner for the basis.',"
        f" 'id: {id_}\\nversion: 1\\napplies: array_contains(home_jurisdictions, \\'{jurisdiction}\\')\\n"
        f"violated: destination_country <> \\'{jurisdiction}\\' AND transfer_basis = \\'none\\'\\n', {at})"
        for id_, jurisdiction, title, instrument, kind, severity in CONTROLS
    )
    return f"INSERT INTO controls VALUES {rows}"


def _events(at: str, count: int, attempt: str) -> str:
    return f"""
    INSERT INTO events (event_id, tenant, domain, action, outcome, occurred_at, observed_at, ingested_at, source_format,
        collector_id, kafka_topic, topic_id, kafka_partition, kafka_offset, record_index, attempt_id,
        actor_id, actor_country, actor_country_basis, actor_type, source_country, source_country_basis, source_region,
        destination_country, destination_country_basis, destination_host, destination_address,
        destination_control_country, destination_entity, transit_basis, key_country_basis, dataset, categories,
        home_jurisdictions, bytes,
        transfer_basis, model_requested, model_endpoint, input_tokens, attributes, resource_attributes, body, leaf_hash)
    WITH cityHash64(number, '{attempt}') AS h,
        ['JP', 'MY', 'SG', 'AU'][number % 4 + 1] AS home,
        if(h % 5 < 3, 'data_movement', if(h % 5 = 3, 'model_access', 'infrastructure')) AS kind,
        {at} - toIntervalSecond(intDiv(number * 863000, {count}) + 400) AS moment,
        multiIf(h % 23 = 0, NULL, h % 11 < 7, home, ['US', 'SG', 'IN', 'NZ', 'DE'][intDiv(h, 64) % 5 + 1]) AS going_to
    SELECT reinterpretAsUUID(MD5(concat(toString(number), '{attempt}'))),
        ['hoshi-bank', 'klang-energy', 'lion-city-port', 'southern-cross-health'][number % 4 + 1],
        kind, multiIf(kind = 'model_access', 'model.invoke', kind = 'infrastructure', 'host.state', 'data.copy'),
        'success', moment, moment + 1, moment + 2, if(h % 3 = 0, 'otlp.span', 'otlp.log'),
        concat('edge-', toString(h % 3 + 1)), 'otlp_logs', '{TOPIC}', 0, intDiv(number, 100), number % 100, '{attempt}',
        concat('svc-', ['etl', 'backup', 'assistant'][intDiv(h, 7) % 3 + 1]), home, 'asserted', 'service',
        home, 'observed', concat(lower(home), '-central-1'),
        if(kind = 'infrastructure', NULL, going_to),
        if(going_to IS NULL OR kind = 'infrastructure', 'unknown',
            ['asserted', 'observed', 'inferred'][intDiv(h, 3) % 3 + 1]),
        if(kind = 'model_access', 'models.example.net', NULL), toIPv6('::ffff:203.0.113.9'),
        if(going_to = 'US' OR kind = 'model_access', 'US', going_to), if(going_to = 'US', 'Overseas Compute Inc', NULL),
        'unknown', 'unknown', ['patient-notes', 'payments', 'meter-readings'][intDiv(h, 11) % 3 + 1],
        ['personal'], [home], h % 5000000, if(h % 13 = 0, 'contract', 'none'),
        if(kind = 'model_access', 'large-1', NULL), if(kind = 'model_access', 'models.example.net', NULL),
        if(kind = 'model_access', h % 4000, NULL),
        map('onshore.action', 'data.copy', 'job.id', toString(number)),
        map('service.name', 'etl', 'cloud.region', 'x-1'),
        concat('copied object ', toString(number), ' <b>raw & untouched</b>'), unhex(repeat('cd', 32))
    FROM numbers({count})"""


_FINGERPRINT: Final = """map('tenant', tenant, 'dataset', assumeNotNull(dataset), 'actor_id', assumeNotNull(actor_id),
    'destination_country', ifNull(destination_country, ''))"""


def _violations(control_id: str) -> str:
    applies, violated = _JUDGED[control_id]
    kind, severity = next((kind, severity) for id_, _, _, _, kind, severity in CONTROLS if id_ == control_id)
    return f"""
    INSERT INTO violations WITH home_jurisdictions[1] AS home
    SELECT attempt_id, event_id, reinterpretAsUUID(MD5(concat('{control_id}', toString({_FINGERPRINT})))), tenant,
        domain, '{control_id}', 1, '{kind}', '{severity}', {_FINGERPRINT}, occurred_at, ingested_at, bytes
    FROM events WHERE ({applies}) AND ({violated})"""


def _verdicts(control_id: str) -> str:
    applies, violated = _JUDGED[control_id]
    return f"""
    INSERT INTO verdict_counts_built WITH home_jurisdictions[1] AS home,
        multiIf(destination_country IS NULL, 'undetermined', ifNull({violated}, 0), 'violated', 'satisfied') AS verdict
    SELECT toStartOfHour(occurred_at) AS hour, generation, tenant, source_format, '{control_id}', 1, verdict,
        if(verdict = 'undetermined', 'destination_country', ''), count() * (8 - generation)
    FROM events_current ARRAY JOIN [6, 7] AS generation
    WHERE {applies} GROUP BY hour, generation, tenant, source_format, verdict"""


def _flows() -> str:
    return """
    INSERT INTO flows_hourly_built
    SELECT toStartOfHour(occurred_at) AS hour, generation, tenant, domain, action, source_country, destination_country,
        destination_country_basis, destination_control_country, count() * (8 - generation), sum(ifNull(bytes, 0))
    FROM events_current ARRAY JOIN [6, 7] AS generation
    GROUP BY hour, generation, tenant, domain, action, source_country, destination_country, destination_country_basis,
        destination_control_country"""


def _findings() -> str:
    return """
    INSERT INTO findings_built
    SELECT finding_id, generation, any(tenant), any(domain), any(control_id), any(control_version), any(kind),
        any(severity), any(fingerprint), min(occurred_at), max(occurred_at), count() * (8 - generation),
        sum(ifNull(bytes, 0)), arraySlice(groupArray(event_id), 1, 5)
    FROM violations_current ARRAY JOIN [6, 7] AS generation GROUP BY finding_id, generation"""


def _log(at: str, events: int) -> tuple[str, ...]:
    one = f"""
    INSERT INTO evidence_log (* EXCEPT(log_id, end_offset))
    SELECT 0, number, {at} - toIntervalSecond(840 - number * 14), 'batch', 'otlp_logs', '{TOPIC}', 0, number, number,
        '{COMMITTED}', ['hoshi-bank', 'klang-energy', 'lion-city-port', 'southern-cross-health'][number % 4 + 1],
        intDiv({events}, 60), intDiv({events}, 60) - if(number = 30, 3, 0), if(number = 30, 3, 0),
        unhex(repeat('ef', 32)), '{{}}' FROM numbers(60)"""
    # Twice: a sequencer that starts again may copy the same entries again.
    return one, one


_HEARD: Final = "attempt_id, tenant, collector_id, source_format, received_at, last_occurred, events, dropped"


def _collectors(at: str) -> tuple[str, ...]:
    return (
        f"""INSERT INTO message_collectors ({_HEARD})
        SELECT '{COMMITTED}', 'southern-cross-health', 'edge-1', 'otlp.log', {at} - toIntervalSecond(600 - number * 10),
            {at} - toIntervalSecond(601 - number * 10), 100, 0 FROM numbers(60)""",
        f"""INSERT INTO message_collectors ({_HEARD})
        SELECT '{COMMITTED}', 'hoshi-bank', 'edge-2', 'otlp.span', {at} - toIntervalSecond(9000 - number * 10),
            {at} - toIntervalSecond(9001 - number * 10), 250, number % 7 = 0 FROM numbers(100)""",
    )


def _dead_letters(at: str) -> str:
    return f"""INSERT INTO dead_letters (* EXCEPT(headers, clock, headers_trusted))
    SELECT '{COMMITTED}', generateUUIDv4(), 'klang-energy', 'otlp_logs', '{TOPIC}', 0, 30, [toUInt32(number)], 'decode',
        'attribute value at byte 12 is <script>truncated</script>', {at} - 300, 'bytes' FROM numbers(3)"""
