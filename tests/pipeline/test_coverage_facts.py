"""Who was heard and which numbers came is written with every attempt and rolled up by the hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SEQUENCE_HEADER, TENANT_HEADER, Outgoing
from onshore_pipeline.jobs.aggregate import rebuild
from onshore_pipeline.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMED = {"host.name": 'h"1', "service.name": "etl", "process.pid": "7", "onshore.collector.id": "c1"}
HEARD = """SELECT collector_id, resource, toUnixTimestamp(hour) AS h, minutes, events, heartbeats, dropped, losses
FROM heard_hourly ORDER BY ALL"""
ISLANDS = "SELECT collector_id, run, first, last, received FROM sequences_hourly ORDER BY ALL"
HOUR = otlp.AT_NS // 10**9 // 3600 * 3600


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("pipeline")) as running:
        yield running


@pytest.fixture(autouse=True)
def _empty(pipeline: Pipeline) -> None:
    """Each test begins with facts of its own; the log goes on."""
    for table in ("message_collectors", "message_sequences", "message_statements", "heard_hourly_built"):
        pipeline.client.command(f"TRUNCATE TABLE {table}")
    pipeline.client.command("TRUNCATE TABLE sequences_hourly_built")


def send(pipeline: Pipeline, value: bytes, **headers: str) -> None:
    names = {"collector": COLLECTOR_HEADER, "sequence": SEQUENCE_HEADER, "run": RUN_HEADER}
    told = tuple((names[name], text.encode()) for name, text in headers.items())
    producer = assembly.local_log(pipeline.settings).producer()
    producer.send("otlp_logs", [Outgoing(value, ((TENANT_HEADER, b"acme"), *told))])
    producer.close()


def processed(pipeline: Pipeline) -> None:
    pipeline.work()
    pipeline.sequence()


def test_who_was_heard_is_kept_by_the_minute_of_event_time_and_by_what_names_a_sender(pipeline: Pipeline) -> None:
    times = [HOUR * 10**9, HOUR * 10**9 + 59 * 60 * 10**9, HOUR * 10**9 + 3600 * 10**9]
    send(pipeline, otlp.logs([otlp.movement()] * 3, resource=NAMED, at_ns=times))
    send(pipeline, otlp.logs([otlp.movement()], at_ns=times[0]))
    processed(pipeline)
    name = '{"host.name":"h\\"1","service.name":"etl"}'
    assert pipeline.rows(HEARD) == [
        ("", "", HOUR, 1, 1, 0, 0, ""),
        ("c1", name, HOUR, 1 | 1 << 59, 2, 0, 0, ""),
        ("c1", name, HOUR + 3600, 1, 1, 0, 0, ""),
    ]


def test_heartbeats_losses_and_what_senders_lost_are_counted(pipeline: Pipeline) -> None:
    gap: dict[str, str | int] = {
        "onshore.action": "telemetry.gap",
        "onshore.data.count": 3,
        "onshore.reason": "queue full",
    }
    beat = {"onshore.action": "telemetry.heartbeat"}
    lossy = otlp.movement() | {"onshore.source.losses": "awsRegion,recipientAccountId"}
    send(pipeline, otlp.logs([gap, beat, lossy], resource={"onshore.collector.id": "c1"}))
    processed(pipeline)
    heard = {row[-1]: row[4:7] for row in pipeline.rows(HEARD)}
    assert heard == {"": (2, 1, 3), "awsRegion,recipientAccountId": (1, 0, 0)}
    stated = pipeline.rows("SELECT action, source, why, items FROM message_statements_current")
    assert stated == [("telemetry.gap", "", "queue full", 3)]


def test_delays_are_told_by_the_brokers_clock_however_far_a_sender_is_off(pipeline: Pipeline) -> None:
    far = 2**63 - 10**9  # the year 2262
    send(pipeline, otlp.logs([otlp.movement()], resource={"onshore.collector.id": "ahead"}, at_ns=far))
    processed(pipeline)
    asked = "SELECT least_delay_ms < -200 * 365 * 86400000 FROM heard_hourly WHERE collector_id = 'ahead'"
    assert pipeline.one(asked) == 1


def test_numbers_in_headers_become_islands_and_a_dead_letter_has_come_too(pipeline: Pipeline) -> None:
    for number in ("0", "1", "4"):
        send(pipeline, otlp.logs([otlp.movement()] * 2, resource=NAMED), collector="k", sequence=number, run="r1")
    send(pipeline, b"\xff no request", collector="k", sequence="2", run="r1")
    send(pipeline, otlp.logs([otlp.movement()]), collector="k", sequence="0", run="r2")
    processed(pipeline)
    assert pipeline.rows(ISLANDS) == [("k", "r1", 0, 2, 3), ("k", "r1", 4, 4, 1), ("k", "r2", 0, 0, 1)]


def test_a_number_that_comes_twice_is_received_twice(pipeline: Pipeline) -> None:
    for _ in range(2):
        send(pipeline, otlp.logs([otlp.movement()]), collector="k", sequence="7", run="r3")
    processed(pipeline)
    assert pipeline.rows(ISLANDS) == [("k", "r3", 7, 7, 2)]


def test_numbers_of_records_are_read_where_no_header_has_one(pipeline: Pipeline) -> None:
    numbered = [otlp.movement() | {"onshore.collector.sequence": number} for number in (0, 1, 2, 9)]
    send(pipeline, otlp.logs(numbered, resource={"onshore.collector.id": "f", "onshore.collector.run": "r"}))
    processed(pipeline)
    assert pipeline.rows(ISLANDS) == [("f", "r", 0, 2, 3), ("f", "r", 9, 9, 1)]


def test_building_the_hours_again_gives_the_same(pipeline: Pipeline) -> None:
    send(pipeline, otlp.logs([otlp.movement()] * 2, resource=NAMED), collector="k", sequence="0", run="again")
    processed(pipeline)
    once = [pipeline.rows(HEARD), pipeline.rows(ISLANDS)]
    reader = assembly.entry_reader(pipeline.settings)
    sequencer = Sequencer(reader, pipeline.client)
    attempts = {row[0] for row in pipeline.rows("SELECT DISTINCT attempt_id FROM message_collectors_current")}
    rebuild(pipeline.client, attempts, sequencer.position, sequencer.log_id)
    sequencer.close()
    assert [pipeline.rows(HEARD), pipeline.rows(ISLANDS)] == once
