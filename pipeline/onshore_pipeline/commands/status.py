"""`onshore status`: health and lag of the running stack."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.attention import MOST_BEHIND, attention
from onshore_pipeline.commands.coverage_status import show_coverage
from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import BrokerUnavailable, SettingsError
from onshore_pipeline.sequencer_status import last_words, status_path
from onshore_pipeline.settings import Settings, load_settings
from onshore_pipeline.stack import DataDir, running_stack, store_address
from onshore_pipeline.worker_reports import NEVER, known_at

if TYPE_CHECKING:
    from onshore_pipeline.store.reader import Reader

CoverageOption = Annotated[
    bool, typer.Option("--coverage", help="Say what share of what should have been seen was seen")
]

_FRESH_S: Final = 10.0
# One step of the sequencer may include a rebuild of many hours.
_SEQUENCER_FRESH_S: Final = 30.0
_READ_TIMEOUT_S: Final = 1.0
_NO_WAIT: Final = {
    "worker_waits_for": "",
    "worker_waits_because": "",
    "worker_waits_s": 0,
    "rules_trouble": "",
    "worker_stopped_because": "",
}
_direct: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy stands before this machine

# An entry copied twice stands in the table twice until its parts merge: FINAL counts it once.
_LOGGED: Final = """
SELECT countIf(l.kind = 'message') AS messages, sumIf(l.records, l.kind = 'message')
        + sumIf(toInt64(l.records) - JSONExtractInt(l.entry, 'amended'), l.kind = 'amends') AS records,
    sum(l.events) AS events,
    sumIf(l.dead_lettered, l.kind = 'message') AS dead_lettered,
    uniqExact(l.log_id) AS logs,
    sumIf(l.dead_lettered, l.kind = 'message' AND l.appended_at >= now() - INTERVAL 1 DAY) AS dead_lettered_last_day,
    ifNull(toString(maxOrNull(l.appended_at)), '') AS last_commit
FROM evidence_log AS l FINAL
"""

_GAPS: Final = """
SELECT countIf(lost > 0) AS gaps, sum(lost) AS offsets_lost, countIf(lost > 0 AND is_recent) AS gaps_last_day,
    sumIf(lost, is_recent) AS offsets_lost_last_day, sum(empty) AS offsets_empty
FROM (
    SELECT JSONExtractUInt(entry, 'empty') AS empty, end_offset - offset - empty AS lost,
        appended_at >= now() - INTERVAL 1 DAY AS is_recent
    FROM evidence_log WHERE kind = 'gap' LIMIT 1 BY topic_id, partition, log_index
)
"""

# A message may be called lost by two entries.
_LOST: Final = """
SELECT uniqExact(place) AS messages_lost, uniqExactIf(place, is_recent) AS messages_lost_last_day
FROM (
    SELECT (topic_id, partition, arrayJoin(range(offset, end_offset))) AS place,
        appended_at >= now() - INTERVAL 1 DAY AS is_recent
    FROM evidence_log WHERE kind = 'lost'
)
"""
# Read behind what was sealed: rows are there before their entries, so that what is written meanwhile is not missed.
_SEEN: Final = "SELECT count() AS events_seen FROM events_current"
_LOST_EVENTS: Final = """
SELECT sum(events) AS events_lost FROM evidence_log FINAL WHERE (topic_id, partition, offset) IN (
    SELECT topic_id, partition, arrayJoin(range(offset, end_offset)) AS offset FROM evidence_log WHERE kind = 'lost'
)
"""
_HIDDEN: Final = "SELECT count() AS attempts_being_restored FROM restores_open"

_OPEN_LETTERS: Final = """
SELECT countIf(state = 'open') AS open_dead_letters, sumIf(records, state = 'open') AS open_dead_records
FROM dead_letter_states
"""

# Positions mean something within one log only; rows from before logs had ids belong to the present one.
_COPIED: Final = """
SELECT log_partition, max(log_position) FROM evidence_log
WHERE log_id IN ({log:UUID}, toUUID('00000000-0000-0000-0000-000000000000')) GROUP BY log_partition
"""


def status(data_dir: DataDirOption = None, as_json: JsonOption = False, coverage: CoverageOption = False) -> int:
    """Say what is stored, who waits for whom, who is put off, and what needs attention; exit 1 if something does.

    Dead letters and gaps call for attention for a day; older ones are only counted. A store that does not answer leaves
    out what only it knows.
    """
    from onshore_pipeline.store.connect import answers
    from onshore_pipeline.store.reader import Reader

    settings = load_settings({"data_dir": data_dir})
    address = store_address(settings, writing=False)
    if coverage:
        return show_coverage(
            Reader(address.url, address.user, address.password, ca_file=address.ca_file), as_json=as_json
        )
    parts = {**_worker(settings), **_receiver(settings), **_clock(settings), **_retention(settings)}
    if answers(address.url, ca_file=address.ca_file):
        reader = Reader(address.url, address.user, address.password, ca_file=address.ca_file)
        report = {"store": "answers", **_stored(reader), **parts, **_sequencer(settings, reader)}
    else:
        report = {"store": "does not answer", **parts, **_sequencer(settings, None)}
    found = attention(report)
    if as_json:
        typer.echo(json.dumps({**report, "attention": found}))
    else:
        for name, value in report.items():
            typer.echo(f"{name.replace('_', ' '):<24} {_shown(value)}")
        for line in found:
            typer.echo(f"ATTENTION: {line}")
    return 1 if found else 0


def _shown(value: object) -> str:
    """A figure with its thousands apart, counts by name in one line, and a dash for nothing."""
    if isinstance(value, dict):
        value = ", ".join(f"{name} {count:,}" for name, count in sorted(value.items()))
    return f"{value:,}" if isinstance(value, int) else str(value or "-")


def _stored(reader: Reader) -> dict[str, Any]:
    row: dict[str, Any] = {}
    questions = (_LOGGED, _SEEN, _LOST_EVENTS, _GAPS, _LOST, _HIDDEN, _OPEN_LETTERS)
    for sql in (*questions, "SELECT count() AS findings FROM findings"):
        row |= reader.frame(sql).row(0, named=True)
    stored: dict[str, Any] = {name: value if isinstance(value, str) else int(value or 0) for name, value in row.items()}
    stored["holds_overdue"] = _overdue_holds(reader)
    stored["events_missing"] = max(0, stored["events"] - stored["events_lost"] - stored["events_seen"])
    return stored


def _overdue_holds(reader: Reader) -> int:
    """Legal holds that somebody should have looked at."""
    from onshore_pipeline.jobs.holds import standing_holds

    today = datetime.now(UTC).date()
    return sum(hold.is_overdue(today) for hold in standing_holds(reader))


def _worker(settings: Settings) -> dict[str, Any]:
    path = DataDir(settings.data_dir).worker_status
    if not path.exists():
        unheard = {"workers": 0, "waiting_messages": 0, "waiting_known_s": None, "worker_silent_s": 0}
        return {"worker": "never heard of", **unheard, **_NO_WAIT}
    said = json.loads(path.read_text())
    waiting = sum(part["end_offset"] - part["next_offset"] for part in said["lag"])
    now = datetime.now(UTC)
    silent_s = (now - datetime.fromisoformat(said["at"])).total_seconds()
    waits, stopped = (said.get("state") == state for state in ("waiting", "stopped"))
    state = "silent" if silent_s >= _FRESH_S else "waiting" if waits else "running"
    return {
        "worker": "stopped" if stopped else state,
        "workers": len(said.get("workers", [""])),  # a report of before there were several is one worker's
        "worker_stopped_because": said["stopped_because"] if stopped else "",
        "waiting_messages": waiting,
        "waiting_known_s": _known_s(said, now),
        "worker_silent_s": int(silent_s),
        "worker_waits_for": said["waits_for"] if waits else "",
        "worker_waits_because": said["waits_because"] if waits else "",
        "rules_trouble": said.get("rules_trouble", ""),
        "worker_waits_s": int((now - datetime.fromisoformat(said["waits_since"])).total_seconds()) if waits else 0,
    }


def _known_s(said: dict[str, Any], now: datetime) -> int | None:
    """How old the count of what waits is; None where there is none yet."""
    return None if said.get("lag_at") == NEVER else int((now - known_at(said)).total_seconds())


def _receiver(settings: Settings) -> dict[str, Any]:
    """Whether the embedded stack's receiver answers, and whom it refused since it started, by reason."""
    try:
        address = running_stack(settings)["otlp_http"]
    except (SettingsError, KeyError):
        return {"receiver": "not of this stack", "refused": {}, "put_off_s": None}
    try:
        with _direct.open(f"{address}/healthz", timeout=_READ_TIMEOUT_S) as answer:
            said = json.load(answer)
    except (OSError, ValueError):
        return {"receiver": "does not answer", "refused": {}, "put_off_s": None}
    last = said["last_put_off_at"]
    put_off_s = int((datetime.now(UTC) - datetime.fromisoformat(last)).total_seconds()) if last else None
    return {"receiver": "answers", "refused": said["refused"], "put_off_s": put_off_s}


def _clock(settings: Settings) -> dict[str, Any]:
    """What the local log's stamps say about this machine's clock; Kafka's brokers have their own."""
    from onshore_pipeline import assembly

    unknown = {"clock_ahead_s": 0, "clock_steps_back_last_day": 0, "clock_stamped_up_to": "", "clock_wrong_before": ""}
    if settings.kafka_bootstrap_servers:
        return unknown
    try:
        stamps = assembly.local_log(settings).stamps()
    except BrokerUnavailable:  # said elsewhere
        return unknown
    day_ago_ns = int((datetime.now(UTC) - timedelta(days=1)).timestamp() * 1e9)
    steps = [each for each in stamps.steps_back if each.to_ns >= day_ago_ns]
    worst = max(steps, key=lambda each: each.from_ns, default=None)
    return {
        "clock_ahead_s": stamps.ahead_ns // 10**9,
        "clock_steps_back_last_day": len(steps),
        "clock_stamped_up_to": str(datetime.fromtimestamp(worst.from_ns // 10**9, UTC)) if worst else "",
        "clock_wrong_before": f"{worst.topic}[{worst.partition}]@{worst.offset}" if worst else "",
    }


def _retention(settings: Settings) -> dict[str, Any]:
    """Whether what is due is deleted by itself, and how the last run went."""
    from onshore_pipeline.jobs.retention import RetentionSaid, last_said, retention_path

    said = last_said(retention_path(settings)) or RetentionSaid()
    return {
        "retention": said.state,
        "retention_ran_at": said.ran_at,
        "retention_deleted": said.deleted,
        "retention_held": said.held,
        "retention_next_at": said.next_at,
        "retention_trouble": said.trouble,
    }


def _sequencer(settings: Settings, reader: Reader | None) -> dict[str, Any]:
    from onshore_pipeline.jobs.telling import telling_trouble

    said = last_words(status_path(settings))
    if said is None:
        state = "never heard of"
    elif said.age_s >= _SEQUENCER_FRESH_S:
        state = "silent"
    else:
        state = "in trouble" if said.error else "running"
    return {
        "sequencer": state,
        "sequencer_silent_s": int(said.age_s) if said else 0,
        "sequencer_error": (said.error if said else None) or "",
        "telling_trouble": telling_trouble(settings),
        **_heads(settings, reader),
        **(_behind(settings, reader) if reader else {"log_behind": 0, "log_behind_s": 0, "log_error": ""}),
    }


def _heads(settings: Settings, reader: Reader | None) -> dict[str, Any]:
    """The newest signed head, why none is signed where that is so, and how far witnesses have seen the log."""
    from onshore_pipeline.head_keeper import heads_path, last_said
    from onshore_pipeline.jobs.witnesses import last_seen

    said = last_said(heads_path(settings))
    seen = last_seen(reader, said.origin) if said and said.origin and reader else []
    return {
        "head_signed_at": said.signed_at if said else "",
        "head_entries": said.size if said else 0,
        "heads_trouble": said.trouble if said else "",
        "witnessed_by": ", ".join(each.witness for each in seen) or "nobody",
        "witnessed_at": max(each.at for each in seen).isoformat() if seen else "",
        "witnessed_entries": max((each.size for each in seen), default=0),
        "witnesses_awaited": "yes" if settings.witness_keys_file else "no",
    }


def _behind(settings: Settings, reader: Reader) -> dict[str, Any]:
    """Entries of the log that the store has no copy of, counted up to a bound, and the age of the oldest."""
    from onshore_pipeline import assembly

    timeout_s = _READ_TIMEOUT_S if settings.kafka_bootstrap_servers else 0.0
    try:
        log = assembly.entry_reader(settings, make_topics=False)
        try:
            copied = reader.frame(_COPIED, {"log": str(log.log_id)})
            after = {int(partition): int(position) for partition, position in copied.rows()}
            entries = log.read(after=after, max_entries=MOST_BEHIND, timeout_s=timeout_s)
        finally:
            log.close()
    except BrokerUnavailable as error:
        return {"log_behind": 0, "log_behind_s": 0, "log_error": str(error)}
    now_ns = int(datetime.now(UTC).timestamp() * 1e9)
    oldest_s = max((now_ns - entry.timestamp_ns for entry in entries), default=0) // 1_000_000_000
    return {"log_behind": len(entries), "log_behind_s": max(0, oldest_s), "log_error": ""}
