from __future__ import annotations

import gzip
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse

from onshore_collectors.batching import BatchLimits, BatchQueue, Delivery, Gap
from onshore_collectors.gap_file import GapFile
from onshore_collectors.telemetry import build_resource, open_telemetry, read_host_id
from onshore_pipeline.errors import BrokerUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

    from onshore_collectors.telemetry import Telemetry


@dataclass
class Peer:
    """An OTLP receiver that answers as it is told; by default it takes everything."""

    address: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    taken: list[ExportLogsServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def records(self) -> list[LogRecord]:
        return [
            record
            for request in self.taken
            for resource in request.resource_logs
            for scope in resource.scope_logs
            for record in scope.log_records
        ]

    def open(self, **options: Any) -> Telemetry:
        given: dict[str, Any] = {
            "endpoint": self.address,
            "headers": {"authorization": "Bearer t"},
            "resource": {"service.name": "probe"},
            "scope": "onshore.probe",
            **options,
        }
        return open_telemetry(**given)


@pytest.fixture
def peer() -> Iterator[Peer]:
    peer = Peer()
    peer.gate.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = gzip.decompress(self.rfile.read(int(self.headers["Content-Length"])))
            peer.arrived.release()
            peer.gate.wait(10)
            status, headers, answer = peer.answers.pop(0) if peer.answers else (200, {}, b"")
            if status == 200:
                peer.taken.append(ExportLogsServiceRequest.FromString(body))
                peer.headers.append(dict(self.headers))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    peer.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield peer
    server.shutdown()
    thread.join()
    server.server_close()


def texts(record: LogRecord) -> dict[str, str]:
    return {each.key: each.value.string_value for each in record.attributes}


def numbers(peer: Peer) -> list[tuple[str, int]]:
    """The start and the number that each request says."""
    told = []
    for request in peer.taken:
        (resource,) = request.resource_logs
        named = {each.key: each.value for each in resource.resource.attributes}
        told.append((named["onshore.collector.run"].string_value, named["onshore.collector.sequence"].int_value))
    return told


def gaps(peer: Peer) -> list[tuple[str, int]]:
    return [
        (next(each.value.string_value for each in record.attributes if each.key == "onshore.reason"), count)
        for record in peer.records()
        if record.event_name == "telemetry.gap"
        for count in [each.value.int_value for each in record.attributes if each.key == "onshore.data.count"]
    ]


def test_an_event_arrives_with_resource_scope_times_and_types(peer: Peer) -> None:
    with peer.open(scope_attributes={"encoding.format": "aws.cloudtrail"}) as telemetry:
        telemetry.emit(
            "data.read", {"a": "é", "n": 7, "b": True, "f": 0.5, "l": ["x", "y"]}, body="raw", time_ns=5, observed_ns=6
        )
        assert telemetry.flush(10)
        assert (telemetry.sent, telemetry.dropped) == (1, 0)
    (request,) = peer.taken
    (resource,) = request.resource_logs
    told = {each.key: each.value for each in resource.resource.attributes}
    assert told.pop("onshore.collector.run").string_value
    assert told.pop("onshore.collector.sequence").int_value == 0
    assert {key: value.string_value for key, value in told.items()} == {"service.name": "probe"}
    scope = resource.scope_logs[0].scope
    assert (scope.name, scope.attributes[0].key) == ("onshore.probe", "encoding.format")
    (record,) = peer.records()
    assert (record.event_name, record.body.string_value) == ("data.read", "raw")
    assert (record.time_unix_nano, record.observed_time_unix_nano) == (5, 6)
    values = {each.key: each.value for each in record.attributes}
    assert (values["a"].string_value, values["n"].int_value, values["b"].bool_value) == ("é", 7, True)
    assert (values["f"].double_value, len(values["l"].array_value.values)) == (0.5, 2)
    assert peer.headers[0]["authorization"] == "Bearer t"
    assert peer.headers[0]["Content-Encoding"] == "gzip"


def test_many_attributes_large_numbers_odd_times_and_undecodable_text_lose_nothing(peer: Peer) -> None:
    with peer.open() as telemetry:
        telemetry.emit("wide", {f"k{number}": "v" for number in range(10_000)}, body="caf\udce9", time_ns=-1)
        telemetry.emit("large", {"n": 2**63, "t": "\udcff", "x": "y"}, time_ns=2**64)
    wide, large = peer.records()
    assert (len(wide.attributes), wide.dropped_attributes_count, wide.time_unix_nano) == (10_000, 0, 0)
    assert wide.body.string_value == "caf\\udce9"
    assert texts(large) == {"n": "9223372036854775808", "t": "\\udcff", "x": "y"}


def test_order_is_kept_over_many_batches(peer: Peer) -> None:
    with peer.open(block=True, limits=BatchLimits(capacity=50, max_batch=20)) as telemetry:
        for number in range(1000):
            telemetry.emit("e", {}, time_ns=number)
        assert telemetry.flush(10)
    assert [record.time_unix_nano for record in peer.records()] == list(range(1000))


def test_large_records_are_cut_into_requests_that_a_message_can_hold(peer: Peer) -> None:
    with peer.open(max_request_bytes=100_000) as telemetry:
        for _ in range(20):
            telemetry.emit("e", {}, body="x" * 30_000)
    assert len(peer.records()) == 20
    assert max(request.ByteSize() for request in peer.taken) < 100_000


def test_a_full_queue_drops_counts_and_reports_the_gap_as_an_event(peer: Peer) -> None:
    peer.gate.clear()
    with peer.open(limits=BatchLimits(capacity=10, max_batch=10, max_delay_s=0.01)) as telemetry:
        telemetry.emit("first", {})
        assert peer.arrived.acquire(timeout=10)
        for _ in range(25):
            telemetry.emit("e", {})
        assert telemetry.dropped == 15
        peer.gate.set()
        assert telemetry.flush(10)
        assert telemetry.sent == 11
    assert gaps(peer) == [("queue full", 15)]
    (gap,) = [record for record in peer.records() if record.event_name == "telemetry.gap"]
    assert texts(gap)["onshore.domain"] == "infrastructure"
    assert texts(gap)["onshore.action"] == "telemetry.gap"
    assert 0 < gap.time_unix_nano <= gap.observed_time_unix_nano


def test_a_blocking_reader_waits_and_loses_nothing(peer: Peer) -> None:
    peer.gate.clear()
    telemetry = peer.open(block=True, limits=BatchLimits(capacity=4, max_batch=4))

    def read() -> None:
        for number in range(100):
            telemetry.emit("e", {}, time_ns=number)

    reader = threading.Thread(target=read)
    reader.start()
    assert peer.arrived.acquire(timeout=10)
    assert reader.is_alive()
    peer.gate.set()
    reader.join(10)
    assert telemetry.flush(10)
    assert (telemetry.sent, telemetry.dropped) == (100, 0)
    telemetry.close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_go_through_later_is_sent_again(peer: Peer, status: int) -> None:
    peer.answers += [(status, {"Retry-After": "0"}, b"")] * 3
    with peer.open() as telemetry:
        telemetry.emit("e", {})
        assert telemetry.flush(10)
        assert (telemetry.sent, telemetry.dropped) == (1, 0)
    assert len(peer.records()) == 1


@pytest.mark.parametrize("status", [307, 400, 401, 500])
def test_what_never_goes_through_is_counted_and_reported(peer: Peer, status: int) -> None:
    peer.answers.append((status, {"Location": "/elsewhere"}, b"\x08\x03\x12\x07no good"))
    with peer.open() as telemetry:
        telemetry.emit("bad", {})
        assert not telemetry.flush(10)
        assert (telemetry.sent, telemetry.dropped) == (0, 1)
        telemetry.emit("good", {})
        assert telemetry.flush(10)
    (reason, count) = gaps(peer)[0]
    assert (count, f"HTTP {status}" in reason, "no good" in reason) == (1, True, True)


def test_a_batch_too_large_for_the_other_side_is_halved_until_it_fits(peer: Peer) -> None:
    peer.answers += [(413, {}, b"")] * 2
    with peer.open() as telemetry:
        for number in range(8):
            telemetry.emit("e", {}, time_ns=number)
        assert telemetry.flush(10)
    assert [record.time_unix_nano for record in peer.records()] == list(range(8))
    assert [len(request.resource_logs[0].scope_logs[0].log_records) for request in peer.taken] == [2, 2, 4]


def test_records_rejected_within_a_taken_request_are_counted(peer: Peer) -> None:
    partial = ExportLogsServiceResponse()
    partial.partial_success.rejected_log_records = 2
    partial.partial_success.error_message = "too old"
    peer.answers.append((200, {}, partial.SerializeToString()))
    with peer.open() as telemetry:
        for _ in range(5):
            telemetry.emit("e", {})
        assert not telemetry.flush(10)
        assert (telemetry.sent, telemetry.dropped) == (3, 2)
    assert gaps(peer) == [("too old", 2)]


def test_an_address_that_is_no_otlp_receiver_is_not_taken_for_one(peer: Peer) -> None:
    peer.answers.append((200, {}, b"<html>welcome</html>"))
    with peer.open(block=True) as telemetry:
        telemetry.emit("e", {})
        with pytest.raises(BrokerUnavailable, match="not OTLP"):
            telemetry.flush(10)


def test_a_blocking_reader_is_told_at_once_when_a_batch_is_lost(peer: Peer) -> None:
    peer.answers.append((400, {}, b"bad batch"))
    with peer.open(block=True, limits=BatchLimits(max_batch=1)) as telemetry:
        telemetry.emit("e", {})
        with pytest.raises(BrokerUnavailable, match="bad batch"):
            telemetry.flush(10)
        with pytest.raises(BrokerUnavailable, match="bad batch"):
            telemetry.emit("later", {})
        assert telemetry.dropped == 1


def test_nobody_listening_is_an_error_that_names_address_and_remedy(peer: Peer) -> None:
    with peer.open(endpoint="http://127.0.0.1:9", block=True, give_up_after_s=0.05) as telemetry:
        telemetry.emit("e", {})
        with pytest.raises(BrokerUnavailable, match=r"127\.0\.0\.1:9 .*refused.*onshore up"):
            telemetry.flush(10)


def test_closing_sends_what_is_queued_and_does_not_wait_for_the_dead(peer: Peer) -> None:
    telemetry = peer.open()
    telemetry.emit("e", {})
    assert telemetry.close()
    assert telemetry.close()
    assert len(peer.records()) == 1
    telemetry.emit("late", {})
    assert telemetry.dropped == 1
    unreachable = peer.open(endpoint="http://127.0.0.1:9")
    unreachable.emit("e", {})
    assert not unreachable.close(0.1)
    assert (unreachable.sent, unreachable.dropped) == (0, 1)


@pytest.mark.parametrize("endpoint", ["", "127.0.0.1:4318", "ftp://127.0.0.1", "http://"])
def test_an_endpoint_that_is_no_address_is_refused(peer: Peer, endpoint: str) -> None:
    if endpoint:
        with pytest.raises(SettingsError, match="4318"):
            peer.open(endpoint=endpoint)


def test_a_switched_off_sdk_is_an_error_and_not_silence(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with pytest.raises(SettingsError, match="OTEL_SDK_DISABLED"):
        peer.open()


def test_a_resource_says_what_is_known_and_no_more(tmp_path: Path) -> None:
    (tmp_path / "machine-id").write_text("abc123\n")
    assert read_host_id(tmp_path / "machine-id") == "abc123"
    assert read_host_id(tmp_path / "none") is None
    assert build_resource("probe", collector_id="c-1", cloud_region="ap-southeast-2", more={"k8s.node.name": "n"}) == {
        "service.name": "probe",
        "onshore.collector.id": "c-1",
        "cloud.region": "ap-southeast-2",
        "k8s.node.name": "n",
    }


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_every_item_is_delivered_or_counted_and_every_loss_is_reported(
    outcomes: list[tuple[int, bool]], capacity: int, max_batch: int
) -> None:
    script = iter([outcome for outcome, _ in outcomes])
    reported: list[Gap] = []

    def deliver(batch: list[int]) -> Delivery:
        outcome = next(script, 0)
        if outcome == 1:
            raise BrokerUnavailable("nobody there")
        if outcome == 2:
            raise ValueError("a bug")
        refused = len(batch) // 2 if outcome == 3 else 0
        return Delivery(len(batch) - refused, refused, "half" if refused else "")

    def report(found: Sequence[Gap]) -> bool:
        outcome = next(script, 0)
        if outcome == 1:
            raise ValueError("a bug")
        if outcome == 2:
            return False
        reported.extend(found)
        return True

    limits = BatchLimits(capacity, max_batch, max_delay_s=0.0)
    queue = BatchQueue(deliver, report, limits=limits, block=False, name="test")
    for number, (_, flush) in enumerate(outcomes):
        queue.put(number)
        if flush:
            queue.flush(10)
    assert queue.close(10)
    assert queue.sent + queue.dropped == len(outcomes)
    still_unreported = sum(gap.count for gap in queue._lost.values())
    assert sum(gap.count for gap in reported) + still_unreported == queue.dropped


def test_what_has_no_answer_in_the_end_is_counted_said_and_kept_for_the_next_start(
    peer: Peer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "gaps.json"
    peer.gate.clear()
    telemetry = peer.open(gap_file=kept, limits=BatchLimits(max_batch=2, max_delay_s=0.01))
    for _ in range(2):
        telemetry.emit("under way", {})
    assert peer.arrived.acquire(timeout=10)
    for _ in range(3):
        telemetry.emit("queued", {})
    assert not telemetry.close(0.1)
    assert not telemetry.close(0.1)
    said = capsys.readouterr().err
    assert said == (
        "onshore: logs: lost at the end of the process: 3 not sent before the end, 2 no answer before the end\n"
    )
    assert (telemetry.sent, telemetry.dropped) == (0, 5)
    assert len(GapFile(kept).load()) == 2
    peer.gate.set()
    with peer.open(gap_file=kept) as again:
        again.emit("later", {})
        assert again.flush(10)
        assert again.dropped == 0, "they are the earlier process's losses"
    assert sorted(gaps(peer)) == [("no answer before the end", 2), ("not sent before the end", 3)]
    assert not kept.exists()


@pytest.mark.parametrize("content", ["", "{}", '[{"reason": "x"}]', "[1]"])
def test_a_damaged_gap_file_stops_no_application(tmp_path: Path, content: str) -> None:
    (tmp_path / "gaps.json").write_text(content)
    assert GapFile(tmp_path / "gaps.json").load() == ()
    GapFile(tmp_path / "no such folder" / "gaps.json").keep([Gap("x", 1, 2, 3)])


FORKS = """
import os, sys
from onshore_collectors.batching import BatchLimits
from onshore_collectors.telemetry import open_telemetry
telemetry = open_telemetry(
    endpoint=sys.argv[1], headers={}, resource={}, scope="probe", limits=BatchLimits(max_delay_s=60)
)
telemetry.emit("warm", {})
assert telemetry.flush(10)
telemetry.emit("queued by the parent", {})
child = os.fork()
telemetry.emit("of the child" if child == 0 else "of the parent", {})
assert telemetry.flush(10), "a child has a sending thread of its own"
assert telemetry.dropped == 0
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_forked_child_sends_its_own_events_and_none_of_its_parents(peer: Peer) -> None:
    subprocess.run([sys.executable, "-c", FORKS, peer.address], check=True, timeout=60)
    names = sorted(record.event_name for record in peer.records())
    assert names == ["of the child", "of the parent", "queued by the parent", "warm"]
    runs = {run for run, _ in numbers(peer)}
    assert len(runs) == 2, "a child numbers what it sends as a start of its own"
    assert all((run, 0) in numbers(peer) for run in runs)


def test_requests_are_numbered_anew_with_every_start_and_one_that_is_halved_leaves_no_hole(peer: Peer) -> None:
    peer.answers = [(413, {}, b"")]
    for _ in range(2):
        with peer.open(limits=BatchLimits(max_batch=2)) as telemetry:
            for number in range(4):
                telemetry.emit("data.read", {"n": number})
            assert telemetry.flush(10)
    first, second = numbers(peer)[0][0], numbers(peer)[-1][0]
    assert first != second
    assert numbers(peer) == [*((first, number) for number in range(3)), (second, 0), (second, 1)]


def test_what_the_other_side_refuses_leaves_a_hole_in_the_numbers(peer: Peer) -> None:
    peer.answers = [(200, {}, b""), (400, {}, b"no")]
    with peer.open(limits=BatchLimits(max_batch=1)) as telemetry:
        for number in range(3):
            telemetry.emit("data.read", {"n": number})
            telemetry.flush(10)
    assert [number for _, number in numbers(peer)][:2] == [0, 2]


def test_a_heartbeat_comes_at_once_and_again_and_says_when_by_the_senders_clock(peer: Peer) -> None:
    before_ns = time.time_ns()
    with peer.open(limits=BatchLimits(max_batch=1), heartbeat_every_s=0.05):
        for _ in range(3):
            assert peer.arrived.acquire(timeout=10)
    beats = [each for each in peer.records() if each.event_name == "telemetry.heartbeat"]
    assert len(beats) >= 3
    assert all(before_ns <= each.time_unix_nano <= time.time_ns() for each in beats)
    assert not gaps(peer)
