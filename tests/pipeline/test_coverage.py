"""Gaps of the broker and messages that were lost are findings, counted exactly, however often they are built."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.jobs.coverage import GAPS, LOST, VERSION, finding_id

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC, ATTEMPT = str(uuid4()), str(uuid4())
FOUND = "SELECT control_id, tenant, toUInt32OrZero(fingerprint['kafka_partition']), events FROM findings ORDER BY ALL"


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path) as running:
        yield running


def _entry(kind: str, partition: int, offset: int, end: int | None = None, **more: Any) -> bytes:
    """An entry as it stands in the log, of a topic that only this test has."""
    place = {"topic": "otlp_logs", "topic_id": TOPIC, "partition": partition, "offset": offset, "attempt": ATTEMPT}
    return json.dumps({"kind": kind} | place | ({} if end is None else {"end": end}) | more).encode()


def _log(pipeline: Pipeline, *entries: bytes) -> None:
    pipeline.send(EVIDENCE_LOG_TOPIC, entries)
    pipeline.sequence()


def _sealed(offset: int, tenant: str, records: int) -> bytes:
    return _entry("message", 1, offset, tenant=tenant, records=records, events=records)


def test_gaps_and_lost_messages_are_findings_whose_counters_are_exact(pipeline: Pipeline) -> None:
    _log(pipeline, _entry("gap", 0, 0, 5), _entry("gap", 0, 5, 7, empty=2))
    assert pipeline.rows(FOUND) == [(GAPS, "unknown", 0, 5)]
    _log(pipeline, _entry("gap", 0, 7, 10, empty=1), _entry("gap", 2, 0, 1, empty=1))
    assert pipeline.rows(FOUND) == [(GAPS, "unknown", 0, 7)]
    _log(pipeline, _sealed(0, "acme", 3), _sealed(1, "acme", 4), _sealed(2, "bank", 5), _sealed(3, "bank", 6))
    _log(pipeline, _entry("lost", 1, 0, 3), _entry("lost", 1, 1, 2))  # a message may be called lost twice
    expected = [(GAPS, "unknown", 0, 7), (LOST, "acme", 1, 7), (LOST, "bank", 1, 5)]
    assert pipeline.rows(FOUND) == expected
    pipeline.client.command("INSERT INTO evidence_log SELECT * FROM evidence_log")  # copied twice, not merged yet
    pipeline.client.command("TRUNCATE TABLE rollup_runs")
    pipeline.sequence()
    assert pipeline.rows(FOUND) == expected
    named = {"tenant": "acme", "kafka_topic": "otlp_logs", "kafka_partition": "1"}
    assert pipeline.one("SELECT finding_id FROM findings WHERE tenant = 'acme'") == finding_id(LOST, named)
    assert pipeline.one("SELECT first_seen = (SELECT min(appended_at) FROM evidence_log) FROM findings LIMIT 1") == 1


def test_findings_of_events_are_what_they_were_beside_them(pipeline: Pipeline) -> None:
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()] * 2)])
    pipeline.work()
    _log(pipeline, _entry("gap", 0, 0, 5))
    assert ("AU-APP8-01", "default", 0, 2) in pipeline.rows(FOUND)
    assert (GAPS, "unknown", 0, 5) in pipeline.rows(FOUND)


def test_the_controls_of_coverage_ship_say_what_findings_say_and_name_no_law() -> None:
    controls = {each.id: each for each in load_controls().controls if each.id in (GAPS, LOST)}
    assert set(controls) == {GAPS, LOST}
    for control in controls.values():
        assert (control.version, control.kind, control.severity) == (VERSION, "review", "high")
        assert (control.confidence, control.status) == ("policy", "review")
        assert control.group_by == ("tenant", "kafka_topic", "kafka_partition")
        assert control.jurisdiction == "*"
