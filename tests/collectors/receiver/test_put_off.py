"""Senders who are put off: when, for how long, and that none of theirs is lost: with the SDK's own exporters."""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.batching import BatchLimits
from onshore_collectors.receiver.intake import Intake, IntakeLimits
from onshore_collectors.receiver.pace import LONGEST_WAIT_S, Pace, wait_s
from onshore_collectors.receiver.refusals import Refusal
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_collectors.telemetry import CountedLogProcessor, open_logger_provider
from onshore_pipeline.embedded.drain import Drain
from onshore_pipeline.embedded.log_file import LogLimits
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.collectors.receiver.conftest import Receiver, Start

    from onshore_pipeline.broker import Message, Outgoing

KIB = 1 << 10
PROTOBUF = "application/x-protobuf"


def body_of(size: int) -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add().body.string_value = "x" * size
    return request.SerializeToString()


def texts(messages: Sequence[Message]) -> list[str]:
    return [
        record.body.string_value
        for message in messages
        for resource in ExportLogsServiceRequest.FromString(message.value).resource_logs
        for scope in resource.scope_logs
        for record in scope.log_records
    ]


def refused(receiver: Receiver) -> dict[str, int]:
    counts: dict[str, int] = httpx.get(receiver.http + "/healthz").json()["refused"]
    return counts


@pytest.mark.parametrize("protocol", ["http", "grpc"])
def test_the_sdks_exporters_wait_as_told_while_the_log_is_full_and_lose_nothing(start: Start, protocol: str) -> None:
    receiver = start(log=LogLimits(max_waiting_bytes=64 * KIB))
    while receiver.post("/v1/logs", body_of(8 * KIB), content_type=PROTOBUF).status_code == 200:
        pass
    before = refused(receiver)
    assert before == {"log full": 1}
    exporter = (
        HttpLogs(f"{receiver.http}/v1/logs", timeout=60)
        if protocol == "http"
        else GrpcLogs(receiver.grpc, insecure=True, timeout=60)
    )
    processor = CountedLogProcessor.exporting_to(exporter, limits=BatchLimits(max_batch=20))
    provider = open_logger_provider(processor, {"service.name": "stranger"}, shutdown_on_exit=False)
    logger = provider.get_logger("app")
    for number in range(100):
        logger.emit(body=f"{number} " + "y" * KIB)
    wait_until(lambda: refused(receiver)["log full"] > 1, "the exporter was put off")
    taken: list[str] = []
    done = threading.Event()

    def work() -> None:
        while not done.wait(0.2):
            taken.extend(texts(receiver.work_off()))

    worker = threading.Thread(target=work)
    worker.start()
    assert processor.force_flush(60_000)
    done.set()
    worker.join()
    taken.extend(texts(receiver.work_off()))
    provider.shutdown()
    numbers = Counter(text.split()[0] for text in taken if text.split()[0].isdigit())
    assert numbers == Counter(str(number) for number in range(100))
    assert processor.queue.dropped == 0


def test_after_full_the_body_is_not_even_read_for_a_moment_and_then_taken_again(start: Start) -> None:
    receiver = start(log=LogLimits(max_waiting_bytes=16 * KIB))
    while receiver.post("/v1/logs", body_of(4 * KIB), content_type=PROTOBUF).status_code == 200:
        pass
    answer = receiver.post("/v1/logs", b"no OTLP at all", content_type=PROTOBUF)
    assert answer.status_code == 503, "read, it would be a 400"
    assert 1 <= int(answer.headers["retry-after"]) <= LONGEST_WAIT_S
    health = httpx.get(receiver.http + "/healthz").json()
    assert health["last_put_off_at"] is not None
    assert receiver.work_off()
    taken = body_of(4 * KIB)
    wait_until(lambda: receiver.post("/v1/logs", taken, content_type=PROTOBUF).status_code == 200, "it is taken again")


def test_a_message_larger_than_the_room_that_is_left_does_not_keep_smaller_ones_out_for_long(start: Start) -> None:
    receiver = start(log=LogLimits(max_waiting_bytes=16 * KIB))
    assert receiver.post("/v1/logs", body_of(20 * KIB), content_type=PROTOBUF).status_code == 503
    small = body_of(KIB)
    wait_until(
        lambda: receiver.post("/v1/logs", small, content_type=PROTOBUF).status_code == 200, "a small one is taken"
    )


class _Nowhere:
    def send(self, topic: str, messages: Sequence[Outgoing]) -> None: ...

    def close(self) -> None: ...


def intake(limit: int) -> Intake:
    return Intake(_Nowhere(), TenantRegistry(None), "receiver-1", IntakeLimits(max_in_flight_bytes=limit))


def hold(intake: Intake, size: int) -> None:
    with intake.reservation() as held:
        held.tenant = "one"
        held.grow(size)


def hold_all_one_can(intake: Intake, tenant: str) -> int:
    held = 0

    def go_on() -> None:
        nonlocal held
        while True:
            intake.take(1, tenant)
            held += 1

    with pytest.raises(Refusal) as caught:
        go_on()
    assert (caught.value.http, caught.value.retry_after_s is not None) == (429, True)
    return held


def test_a_greedy_tenant_leaves_room_for_others_and_gets_three_quarters_alone() -> None:
    shared = intake(1000)
    assert hold_all_one_can(shared, "greedy") == 750
    assert hold_all_one_can(shared, "modest") == 187
    assert hold_all_one_can(shared, "late") > 30
    shared.give_back(750, "greedy")
    assert hold_all_one_can(shared, "modest") > 300


def test_room_that_was_given_back_is_there_again_and_reasons_are_counted() -> None:
    shared = intake(100)
    for size in (76, 76, 101):
        with pytest.raises(Refusal):
            hold(shared, size)
    hold(shared, 75)
    assert shared.status()["refused"] == {"tenant's share in flight": 2, "too much in flight": 1}
    assert shared.status()["in_flight_bytes"] == 0


def test_the_wait_is_what_is_in_front_of_a_sender_and_never_beyond_its_patience() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.seconds_for(1000) == 1.0, "nothing is known yet"
    for _ in range(200):
        now += 0.1
        pace.add(100)
    assert pace.seconds_for(3000) == pytest.approx(3.0, rel=0.1), "1,000 bytes a second"
    now += 200
    assert pace.seconds_for(3000) is None, "nothing gets through any more"
    assert (wait_s(2.0, chance=lambda: 0.0), wait_s(2.0, chance=lambda: 1.0)) == (2, 3)
    assert [wait_s(expected, chance=lambda: 1.0) for expected in (0.0, 0.1, 100.0, None)] == [1, 1, 8, 8]
    assert wait_s(None, chance=lambda: 0.0) == 5


def test_the_drain_is_measured_over_half_a_minute_and_unknown_while_nothing_moves() -> None:
    now, worked_off = 0.0, 0
    drain = Drain(lambda: worked_off, lambda: now)
    assert drain.seconds_for(100) is None
    for _ in range(20):
        drain.look()
        now += 0.5
        worked_off += 50
    assert drain.seconds_for(100) == pytest.approx(1.0), "100 bytes a second"
    for _ in range(40):
        now += 1.0
        drain.look()
    assert drain.seconds_for(100) is None, "the worker stands still"
