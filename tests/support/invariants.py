"""The invariants of the whole pipeline, checked from what broker and store hold and from nothing else.

Messages in = log entries, records in = events + dead letters, nothing twice, and every hash of the evidence log derives
again from rows of the store. Call it once everything that was sent has been sequenced and rolled up.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import evidence_reference as reference
from invariant_heads import heads_that_differ
from invariant_letters import letters_that_differ
from invariant_sums import sums_that_differ
from store_lines import line_of, stored_events

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from clickhouse_connect.driver.client import Client

    from broker_contents import Contents, Source

_SHOWN = 5
_ABOUT_LETTERS = {"amends", "discards"}  # they speak about messages that have an entry already
_WITH_ROWS = {"message", "amends"}
MessageId = tuple[UUID, int, int]  # topic's id, partition, offset
Tried = tuple[UUID, int, int, UUID]  # and the attempt


@dataclass(frozen=True)
class Logged:
    """An entry of the log: its place, the offsets it speaks of, what it says."""

    place: int
    value: bytes
    told: dict[str, Any]

    @property
    def source(self) -> Source:
        return self.told["topic"], UUID(self.told["topic_id"]), self.told["partition"]

    @property
    def message(self) -> MessageId:
        return UUID(self.told["topic_id"]), self.told["partition"], self.told["offset"]

    @property
    def tried(self) -> Tried:
        return (*self.message, UUID(self.told["attempt"]))

    @property
    def end(self) -> int:
        told: int = self.told["end"] if "end" in self.told else self.told["offset"] + 1
        return told


def check(client: Client, contents: Contents, master: bytes) -> None:
    """Fail, naming everything that does not hold."""
    found = complaints(client, contents, master)
    assert not found, "\n".join(found)


def complaints(client: Client, contents: Contents, master: bytes) -> list[str]:
    """Everything that does not hold, a few examples of each kind.

    Args:
        client: of the store, as its writer.
        contents: of the broker.
        master: the deployment's secret behind the salts.
    """
    log = [Logged(place, value, json.loads(value)) for place, value in enumerate(contents.entries)]
    found: list[str] = []
    for check_one in (
        _every_message_once(contents, log),
        _copied(client, log),
        _only_committed(client, log),
        _records(client, contents, log),
        _metric_points(client, contents, log),
        _leaves(client, log, master),
        _verdicts(client, log),
        sums_that_differ(client),
        heads_that_differ(client, [(entry.value, entry.told) for entry in log]),
    ):
        some = list(check_one)
        found += some[:_SHOWN]
        if len(some) > _SHOWN:
            found.append(f"... and {len(some) - _SHOWN} more like the last")
    return found


def _every_message_once(contents: Contents, log: list[Logged]) -> Iterator[str]:
    """Entries cover each partition from its first offset to its end, in order, each offset once, and hash its bytes."""
    reached: dict[Source, int] = {}
    for entry in (each for each in log if each.told["kind"] not in _ABOUT_LETTERS):
        first, expected = entry.told["offset"], reached.get(entry.source, 0)
        if first != expected:
            word = "again" if first < expected else f"without {expected}"
            yield f"log entry {entry.place}: {_named(entry.source)} offset {first} {word}"
        reached[entry.source] = max(expected, entry.end)
        value = contents.messages.get(entry.source, {}).get(first)
        if value is not None and entry.told.get("message_sha256") not in {None, hashlib.sha256(value).hexdigest()}:
            yield f"log entry {entry.place}: {_named(entry.source)} offset {first} is the hash of other bytes"
    for source, end in contents.ends.items():
        if reached.get(source, 0) != end:
            yield f"{_named(source)} ends at {end}, the log speaks of offsets up to {reached.get(source, 0)}"
    gaps = {(entry.source, at) for entry in log if "end" in entry.told for at in range(*_span(entry))}
    for source, kept in contents.messages.items():
        for offset in kept:
            if (source, offset) in gaps:
                yield f"{_named(source)} offset {offset} is in a sealed gap, but the broker has it"


def _span(entry: Logged) -> tuple[int, int]:
    return entry.told["offset"], entry.end


def _named(source: Source) -> str:
    return f"{source[0]}[{source[2]}]"


def _copied(client: Client, log: list[Logged]) -> Iterator[str]:
    """The store's copy is the log: the same entries, numbered from 0 within each partition, in the same order."""
    rows = client.query(
        "SELECT DISTINCT topic_id, partition, log_index, log_position, offset, lower(hex(entry_hash)), entry, events,"
        " records, dead_lettered FROM evidence_log ORDER BY log_partition, log_position"
    ).result_rows
    expected = []
    numbers: Counter[Source] = Counter()
    for entry in log:
        told = entry.told
        counts = tuple(told.get(name, 0) for name in ("events", "records", "dead_lettered"))
        number = numbers[entry.source]
        leaf = reference.leaf(entry.value).hex()
        expected.append((*entry.message[:2], number, told["offset"], leaf, entry.value.decode(), *counts))
        numbers[entry.source] += 1
    copies = [(*row[:3], *row[4:]) for row in rows]
    for missing in (Counter(expected) - Counter(copies)).elements():
        yield f"log entry of partition {missing[1]} offset {missing[3]} is not in evidence_log as the log has it"
    for extra in (Counter(copies) - Counter(expected)).elements():
        yield f"evidence_log has an entry of partition {extra[1]} offset {extra[3]} that the log does not have so"
    if copies != expected and Counter(copies) == Counter(expected):
        yield "evidence_log is in another order than the log"
    positions = [row[3] for row in rows]
    if len(set(positions)) != len(positions):
        yield "evidence_log has two entries at one position of the log"


_FACTS = (
    "events", "violations", "message_verdicts", "message_flows", "message_access", "message_collectors",
    "message_sequences", "message_statements", "message_actions", "metric_points", "dead_letters",
)  # fmt: skip


def _only_committed(client: Client, log: list[Logged]) -> Iterator[str]:
    """What readers see was committed: every visible row's attempt is in the log."""
    committed = {UUID(entry.told["attempt"]) for entry in log}
    for table in _FACTS:
        seen = {row[0] for row in client.query(f"SELECT DISTINCT attempt_id FROM {table}_current").result_rows}
        for attempt in seen - committed:
            yield f"{table}_current shows rows of attempt {attempt}, which the log does not name"


def _records(client: Client, contents: Contents, log: list[Logged]) -> Iterator[str]:
    """Records in = events + dead letters, in the entry, in the store, on the dead-letter topic; nothing twice."""
    events = _counts(
        client,
        "SELECT topic_id, kafka_partition, kafka_offset, attempt_id, count() FROM events_current GROUP BY ALL",
    )
    dead = _counts(
        client,
        "SELECT topic_id, kafka_partition, kafka_offset, attempt_id,"
        " sum(if(empty(record_indexes), 1, length(record_indexes)))"
        " FROM dead_letters_current GROUP BY ALL",
    )
    grown: Counter[MessageId] = Counter()
    for entry in (each for each in log if each.told["kind"] == "amends"):
        grown[entry.message] += entry.told["records"] - entry.told["amended"]
    for entry in (each for each in log if each.told["kind"] in _WITH_ROWS):
        told, name = entry.told, f"{_named(entry.source)} offset {entry.told['offset']}"
        counts = (events.pop(entry.tried, 0), dead.pop(entry.tried, 0))
        if counts != (told["events"], told["dead_lettered"]):
            yield (
                f"{name}: the store has {counts[0]} events and {counts[1]} dead-lettered records, the entry says"
                f" {told['events']} and {told['dead_lettered']}"
            )
        if told["records"] != told["events"] + told["dead_lettered"]:
            yield f"{name}: {told['records']} records are not {told['events']} + {told['dead_lettered']}"
        value = contents.messages.get(entry.source, {}).get(told["offset"])
        sent = None if value is None else _records_in(entry.source[0], value)
        # of a message that is a dead letter as a whole, its records are counted once it was replayed
        unread = told["records"] == told["dead_lettered"] == 1 and entry.message not in grown
        records = told["records"] + grown[entry.message]
        if told["kind"] == "message" and not unread and sent is not None and sent != records:
            yield f"{name}: {sent} records were sent, the log has {records}"
    for message in (*events, *dead):
        yield f"the store shows rows of partition {message[1]} offset {message[2]}, which the log does not have"
    yield from _dead_letters(client, contents)
    yield from letters_that_differ(client, [(each.place, each.told) for each in log])
    for what, columns in (
        ("event_id", "event_id"),
        ("identity", "topic_id, kafka_partition, kafka_offset, record_index"),
    ):
        for row in client.query(
            f"SELECT {columns}, count() FROM events_current GROUP BY ALL HAVING count() > 1"
        ).result_rows:
            yield f"{what} {', '.join(map(str, row[:-1]))} is there {row[-1]} times"


def _records_in(topic: str, value: bytes) -> int | None:
    """Records that were sent, counted by OpenTelemetry's own classes; None where one record may become several."""
    try:
        if topic in {"otlp_logs", "onshore_actions"}:
            logs = ExportLogsServiceRequest.FromString(value)
            if any(scope.scope.attributes for resource in logs.resource_logs for scope in resource.scope_logs):
                return None  # raw records of another format
            return sum(len(scope.log_records) for resource in logs.resource_logs for scope in resource.scope_logs)
        if topic in {"otlp_spans", "otlp_traces"}:
            spans = ExportTraceServiceRequest.FromString(value)
            return sum(len(scope.spans) for resource in spans.resource_spans for scope in resource.scope_spans)
    except DecodeError:
        return None  # one record, unless our decoder finds some that are whole
    return None


def _metric_points(client: Client, contents: Contents, log: list[Logged]) -> Iterator[str]:
    """As many points as were sent, message by message, where nothing was dead-lettered; none of an unseen event."""
    points = _counts(
        client,
        "SELECT e.topic_id, e.kafka_partition, e.kafka_offset, count() FROM metric_points_current AS p"
        " LEFT JOIN events_current AS e ON p.event_id = e.event_id AND p.attempt_id = e.attempt_id GROUP BY ALL",
    )
    for entry in (each for each in log if each.told["kind"] == "message"):
        there = points.pop(entry.message, 0)
        value = contents.messages.get(entry.source, {}).get(entry.told["offset"])
        if entry.source[0] != "otlp_metrics" or value is None or entry.told["dead_lettered"]:
            continue
        sent = sum(
            len(points.data_points)
            for resource in ExportMetricsServiceRequest.FromString(value).resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for field, points in metric.ListFields()
            if field.message_type is not None and hasattr(points, "data_points")
        )
        if sent != there:
            yield f"{_named(entry.source)} offset {entry.told['offset']}: {there} metric points, not the {sent} sent"
    for message in points:
        yield f"metric points of partition {message[1]} offset {message[2]}, which has no such event"


def _dead_letters(client: Client, contents: Contents) -> Iterator[str]:
    """The topic and the store hold the same dead letters, each once."""
    rows = client.query(
        "SELECT topic, toString(topic_id), kafka_partition, kafka_offset, if(empty(record_indexes), 'all',"
        " arrayStringConcat(arrayMap(i -> toString(i), record_indexes), ',')), lower(hex(SHA256(payload)))"
        " FROM dead_letters_current"
    ).result_rows
    stored = Counter(tuple(map(str, row)) for row in rows)
    names = ("topic", "topic-id", "partition", "offset", "records")
    sent = Counter(
        (
            *(dict(headers)[f"onshore-dead-letter-{name}"].decode() for name in names),
            hashlib.sha256(value).hexdigest(),
        )
        for value, headers in contents.dead_letters
    )
    for letter in (stored - sent).elements():
        yield f"dead letter {letter[:5]} is in the store and not on the topic as often"
    for letter in (sent - stored).elements():
        yield f"dead letter {letter[:5]} is on the topic and not in the store as often"


def _counts(client: Client, query: str) -> dict[tuple[Any, ...], int]:
    """Rows' last column by the others."""
    return {(row[0], int(row[1]), int(row[2]), *row[3:-1]): int(row[-1]) for row in client.query(query).result_rows}


def _leaves(client: Client, log: list[Logged], master: bytes) -> Iterator[str]:
    """Every event's id and leaf, and every message's root, derive from the rows alone."""
    leaves: dict[Tried, dict[int, bytes]] = defaultdict(dict)
    tried = {entry.tried: entry.told["salt_key"][:7] for entry in log if entry.told["kind"] in _WITH_ROWS}
    for row in stored_events(client):
        message = (row["topic_id"], row["kafka_partition"], row["kafka_offset"])
        name = f"event {row['event_id']} (partition {message[1]} offset {message[2]} record {row['record_index']})"
        leaf = reference.leaf(line_of(row, master, tried.get((*message, row["attempt_id"]))))
        if leaf != bytes(row["leaf_hash"]):
            yield f"{name}: its leaf does not derive from its row"
        if row["event_id"] != reference.event_id(*message, row["record_index"]):
            yield f"{name}: its id is not that of its place"
        if (*message, row["attempt_id"]) not in tried:
            yield f"{name}: written by attempt {row['attempt_id']}, which the log does not name for its message"
        leaves[(*message, row["attempt_id"])][row["record_index"]] = leaf
    for entry in (each for each in log if each.told["kind"] in _WITH_ROWS):
        of_message = leaves[entry.tried]
        if reference.root([of_message[index] for index in sorted(of_message)]).hex() != entry.told["events_root"]:
            yield f"{_named(entry.source)} offset {entry.told['offset']}: events_root does not derive from the events"


_VERDICTS = """
SELECT topic_id, kafka_partition, kafka_offset, attempt_id, control_id AS control, events,
    toUnixTimestamp(hour) AS hour, missing, source_format, verdict, control_version AS version
FROM message_verdicts_current
"""
_VIOLATIONS = """
SELECT e.topic_id AS topic_id, e.kafka_partition AS kafka_partition, e.kafka_offset AS kafka_offset,
    v.attempt_id AS attempt_id, v.control_id AS control, e.record_index AS record_index, v.control_version AS version
FROM violations_current AS v LEFT JOIN events_current AS e ON v.event_id = e.event_id AND v.attempt_id = e.attempt_id
"""


def _verdicts(client: Client, log: list[Logged]) -> Iterator[str]:
    """Every message's verdicts root derives from its rows."""
    lines: dict[Tried, list[bytes]] = defaultdict(list)
    for query in (_VERDICTS, _VIOLATIONS):
        for row in client.query(query).named_results():
            names = ("topic_id", "kafka_partition", "kafka_offset", "attempt_id")
            topic_id, partition, offset, attempt = (row.pop(name) for name in names)
            lines[topic_id, partition, offset, attempt].append(reference.text(dict(sorted(row.items()))))
    for entry in (each for each in log if each.told["kind"] in _WITH_ROWS):
        of_message = lines.pop(entry.tried, [])
        if _root(of_message) != entry.told["verdicts_root"]:
            yield f"{_named(entry.source)} offset {entry.told['offset']}: verdicts_root does not derive from the rows"
    for message in lines:
        yield f"verdicts of partition {message[1]} offset {message[2]}, which the log does not have"


def _root(lines: Iterable[bytes]) -> str:
    return reference.root([reference.leaf(line) for line in sorted(lines)]).hex()
