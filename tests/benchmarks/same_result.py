"""A per-record consumer with the same result: what `onshore bench ingest` compares with where results must be equal.

One process, one event at a time: opentelemetry-proto → a dict an event → look-ups → the controls as functions
→ commitments, line, leaf → rows of the real tables through clickhouse-connect, 40,000 events an insert, offsets
committed after it. Every column of every table is what worker and sequencer write; `test_same_result.py` shows it, row
by row, in two real stores. Nothing is slow on purpose: whatever repeats is remembered, and hashing and JSON texts are
the standard library's, in C.

It leaves out exactly-once: no attempt is registered, nothing ties rows to offsets, and its log entries go straight into
the store's copy of the log. It refuses (`NotWritten`) what the benchmarks' traffic never sends and it would answer
otherwise: other signals, other attributes that become columns, hosts, regions, model calls, broken records.
"""

from __future__ import annotations

import argparse
import gc
import json
import signal
import sys
import time
from collections import Counter, defaultdict
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import clickhouse_connect
from kafka import KafkaConsumer

sys.path.append(str(Path(__file__).parents[1] / "support"))

import same_result_seal as seal
from onshore_pipeline import assembly
from onshore_pipeline.broker import COLLECTOR_HEADER, ENCODING_HEADER, SEQUENCE_HEADER, Advance
from onshore_pipeline.coverage_names import NAMING_KEYS
from onshore_pipeline.evidence.entry import message_entry
from onshore_pipeline.settings import load_settings
from same_result_controls import Controls
from same_result_events import decode, event_of
from same_result_places import NotWritten, Places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.broker import Message
    from same_result_controls import Verdict

Event = dict[str, Any]
Row = dict[str, Any]
Rows = dict[str, list[Row]]
BATCH_MESSAGES = 80  # of the traffic's 500 events: as many as one attempt of the worker holds
NS_AN_HOUR, S_AN_HOUR = 3_600_000_000_000, 3_600
NS_A_MINUTE, NS_A_MS = 60_000_000_000, 1_000_000
UNREAD_HEADERS = {COLLECTOR_HEADER, ENCODING_HEADER, SEQUENCE_HEADER}


class Program:
    """From messages to rows by table."""

    def __init__(self, judgement: Judgement, log_indexes: dict[tuple[UUID, int], int] | None = None) -> None:
        """`log_indexes`: entries in the store's copy of the log, by topic-partition."""
        self._judgement = judgement
        self._places, self._controls = Places(judgement.context), Controls(judgement.controls)
        self._log_indexes = log_indexes or {}

    def rows(self, messages: Sequence[Message], attempt: UUID) -> Rows:
        rows: Rows = {name: [] for name in TABLES}
        for message in messages:
            self._add(message, attempt, rows)
        return rows

    def _add(self, message: Message, attempt: UUID, rows: Rows) -> None:
        if message.topic != "otlp_logs" or any(name in UNREAD_HEADERS for name, _ in message.headers):
            raise NotWritten(f"a message of {message.topic} with headers {message.headers}")
        tenant = self._judgement.tenant_of(message)
        sealing = seal.MessageSeal(message, self._judgement.salt_master, tenant)
        counts: Counter[tuple[int, Verdict]] = Counter()
        flows: dict[tuple[Any, ...], list[int]] = {}
        roots: dict[int, str] = {}
        leaves: list[bytes] = []
        violated: list[bytes] = []
        heard: dict[tuple[int, str], list[Event]] = defaultdict(list)
        for index, (of_resource, resource, schema_url, record) in enumerate(decode(message)):
            event = event_of(record, index, resource, schema_url, message, self._places)
            event["tenant"], event["attempt_id"] = tenant, attempt
            if of_resource not in roots:
                roots[of_resource] = sealing.resource_root(resource)
            sealing.seal(event, roots[of_resource])
            leaves.append(event["leaf_hash"])
            hour = event["occurred_at"] // NS_AN_HOUR
            for verdict in self._controls.judge(event):
                counts[hour, verdict] += 1
                if verdict.word == "violated":
                    rows["violations"].append(self._violation(event, verdict))
                    violated.append(violation_line(event, verdict))
            add_flow(flows, hour, event)
            heard[hour, naming(resource)].append(event)
            rows["events"].append(event)
        counted = [count_row(message, tenant, attempt, hour, verdict, n) for (hour, verdict), n in counts.items()]
        rows["message_verdicts"] += counted
        rows["message_flows"] += [flow_row(attempt, tenant, flow, totals) for flow, totals in flows.items()]
        rows["message_collectors"] += [
            collector_row(message, attempt, tenant, hour, name, some) for (hour, name), some in heard.items()
        ]
        verdicts_root = seal.lines_root([*map(count_line, counted), *violated])
        entry = message_entry(
            message, tenant=tenant, records=len(leaves), events=len(leaves), dead_lettered=0,
            events_root=seal.merkle_root(leaves), verdicts_root=verdicts_root, pipeline=self._judgement.pipeline,
            context=self._judgement.context.digest, controls=self._judgement.controls.digest,
            salt_key_id=sealing.key_id, attempt=attempt,
        )  # fmt: skip
        rows["evidence_log"].append(self._log_row(message, tenant, entry, len(leaves), attempt))

    def _violation(self, event: Event, verdict: Verdict) -> Row:
        control = verdict.rule.control
        values = tuple("unknown" if event.get(name) is None else str(event[name]) for name in control.group_by)
        copied = ("attempt_id", "event_id", "tenant", "domain", "occurred_at", "ingested_at", "bytes")
        return {name: event[name] for name in copied} | {
            "finding_id": self._controls.finding(control.id, values),
            "control_id": control.id, "control_version": control.version, "kind": control.kind,
            "severity": control.severity, "fingerprint": dict(zip(control.group_by, values, strict=True)),
        }  # fmt: skip

    def _log_row(self, message: Message, tenant: str, entry: bytes, events: int, attempt: UUID) -> Row:
        place = (message.topic_id, message.partition)
        index = self._log_indexes.get(place, 0)
        self._log_indexes[place] = index + 1
        return {
            "log_partition": 0, "log_position": sum(self._log_indexes.values()) - 1, "appended_at": time.time_ns(),
            "kind": "message", "topic": message.topic, "topic_id": message.topic_id, "partition": message.partition,
            "offset": message.offset, "log_index": index, "attempt_id": attempt, "tenant": tenant, "records": events,
            "events": events, "dead_lettered": 0, "entry_hash": sha256(b"\0" + entry).digest(),
            "entry": entry.decode(), "log_id": UUID(int=0), "end_offset": message.offset + 1,
        }  # fmt: skip


TABLES = ("events", "violations", "message_verdicts", "message_flows", "message_collectors", "evidence_log")


def violation_line(event: Event, verdict: Verdict) -> bytes:
    control = verdict.rule.control
    return seal.verdict_line(control=control.id, record_index=event["record_index"], version=control.version)


def count_row(message: Message, tenant: str, attempt: UUID, hour: int, verdict: Verdict, events: int) -> Row:
    return {
        "attempt_id": attempt, "topic_id": message.topic_id, "kafka_partition": message.partition,
        "kafka_offset": message.offset, "tenant": tenant, "source_format": "otlp.log",
        "control_id": verdict.rule.control.id, "control_version": verdict.rule.control.version,
        "hour": hour * S_AN_HOUR, "verdict": verdict.word, "missing": verdict.missing, "events": events,
    }  # fmt: skip


def count_line(row: Row) -> bytes:
    same = {name: row[name] for name in ("events", "hour", "missing", "source_format", "verdict")}
    return seal.verdict_line(control=row["control_id"], version=row["control_version"], **same)


def add_flow(flows: dict[tuple[Any, ...], list[int]], hour: int, event: Event) -> None:
    flow = (
        hour, event["domain"], event["action"], event["source_country"], event["destination_country"],
        event["destination_country_basis"], event["destination_control_country"],
    )  # fmt: skip
    totals = flows.get(flow)
    if totals is None:
        totals = flows[flow] = [0, 0]
    totals[0] += 1
    totals[1] += event["bytes"] or 0


def flow_row(attempt: UUID, tenant: str, flow: tuple[Any, ...], totals: list[int]) -> Row:
    hour, domain, action, source, destination, basis, control = flow
    return {
        "attempt_id": attempt, "tenant": tenant, "hour": hour * S_AN_HOUR, "domain": domain, "action": action,
        "source_country": source, "destination_country": destination, "destination_basis": basis,
        "destination_control_country": control, "events": totals[0], "bytes": totals[1],
    }  # fmt: skip


def naming(resource: dict[str, str]) -> str:
    """What of a resource names its sender, as the store keeps it."""
    named = {key: resource[key] for key in NAMING_KEYS if key in resource}
    return json.dumps(named, ensure_ascii=False, separators=(",", ":")) if named else ""


def collector_row(message: Message, attempt: UUID, tenant: str, hour: int, name: str, events: list[Event]) -> Row:
    times = [event["occurred_at"] for event in events]
    said = (event.get("observed_at") or event["occurred_at"] for event in events)
    minutes = {when // NS_A_MINUTE % 60 for when in times}
    return {
        "attempt_id": attempt, "tenant": tenant, "collector_id": "", "source_format": "otlp.log",
        "received_at": message.timestamp_ns, "last_occurred": max(times), "events": len(events), "dropped": 0,
        "kafka_topic": message.topic, "resource": name, "losses": "", "hour": hour * S_AN_HOUR, "heartbeats": 0,
        "minutes": sum(1 << minute for minute in minutes), "least_heartbeat_delay_ms": None,
        "least_delay_ms": min(message.timestamp_ns // NS_A_MS - when // NS_A_MS for when in said),
    }  # fmt: skip


def insert(client: Any, rows: Rows) -> None:
    """Every table's rows; the log's last, so that whoever sees an entry sees its events."""
    for table, added in rows.items():
        # Columns that hold nothing in all of these rows are empty in the store anyway.
        names = [name for name in added[0] if any(row[name] not in seal.NOTHING for row in added)] if added else []
        if names:
            client.insert(table, [[row[name] for name in names] for row in added], column_names=names)


def stored_entries(client: Any) -> dict[tuple[UUID, int], int]:
    asked = "SELECT topic_id, partition, max(log_index) + 1 FROM evidence_log GROUP BY topic_id, partition"
    return {(topic_id, partition): entries for topic_id, partition, entries in client.query(asked).result_rows}


def from_kafka(settings: Any) -> Iterator[tuple[Sequence[Message], Callable[[], None]]]:
    from onshore_pipeline.kafka_entries import message_of
    from onshore_pipeline.kafka_security import kafka_settings
    from onshore_pipeline.kafka_topics import admin_client, describe_topics

    kafka = kafka_settings(settings)
    with admin_client(kafka) as admin:
        topic_id = describe_topics(kafka, admin, ["otlp_logs"])["otlp_logs"].topic_id
    consumer = KafkaConsumer(
        "otlp_logs", bootstrap_servers=[*kafka.bootstrap_servers], group_id="same-result",
        auto_offset_reset="earliest", enable_auto_commit=False,
    )  # fmt: skip
    while True:
        polled = consumer.poll(timeout_ms=200, max_records=BATCH_MESSAGES)
        yield [message_of(record, topic_id) for records in polled.values() for record in records], consumer.commit


def from_local_log(settings: Any) -> Iterator[tuple[Sequence[Message], Callable[[], None]]]:
    consumer = assembly.consumer(settings)
    while True:
        messages = consumer.poll(max_messages=BATCH_MESSAGES, max_bytes=64 << 20, timeout_s=0.2).messages
        ends = {m.partition: m for m in messages}
        begins = {m.partition: m for m in reversed(messages)}
        moved = [Advance(m.topic, m.topic_id, p, begins[p].offset, m.offset + 1) for p, m in ends.items()]
        yield messages, partial(consumer.commit, (), moved)


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--store", "--kafka", "--data-dir", "--ready-file"):
        parser.add_argument(name, default="")
    given = parser.parse_args()
    settings = load_settings({"data_dir": Path(given.data_dir)})
    client = clickhouse_connect.get_client(dsn=given.store, compress=False)  # as the worker's: it is this machine
    program = Program(assembly.judgement(settings), stored_entries(client))
    read = from_kafka if given.kafka else from_local_log
    gc.freeze()  # the registries stay, and events are in no cycle: looking at them again and again costs a tenth
    gc.disable()
    Path(given.ready_file).touch()
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: stopped.append(number))  # what was inserted is committed, too
    for messages, commit in read(settings):
        if stopped:
            return
        if messages:
            insert(client, program.rows(messages, uuid4()))
            commit()
            gc.collect()


if __name__ == "__main__":
    main()
