from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import zstandard
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onshore_collectors.receiver.intake import IntakeLimits
from onshore_collectors.receiver.pace import LONGEST_WAIT_S
from onshore_collectors.receiver.serving import bind
from onshore_pipeline.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.collectors.receiver.conftest import Receiver, Start

    from onshore_pipeline.broker import Outgoing

MIB = 1 << 20
PROTOBUF = "application/x-protobuf"
JSON = "application/json"


def request_of(records: int, text: str = "weights were read") -> bytes:
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    for _ in range(records):
        scope.log_records.add().body.string_value = text
    return request.SerializeToString()


class Broken:
    """A broker that does not answer."""

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        raise BrokerUnavailable(f"{topic}: {len(messages)} not taken by /secret/path")

    def close(self) -> None:
        pass


class Held:
    """A broker that answers when it is told to."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Semaphore(0), threading.Event()

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        del topic, messages
        self.entered.release()
        assert self.let_go.wait(10)

    def close(self) -> None:
        pass


def test_a_request_becomes_one_message_untouched_with_its_origin_in_the_headers(receiver: Receiver) -> None:
    body = request_of(3)
    answer = receiver.post("/v1/logs", body, content_type=PROTOBUF)
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF)
    (message,) = receiver.messages()
    assert (message.topic, message.value) == ("otlp_logs", body)
    assert dict(message.headers) == {
        "onshore-encoding": b"otlp_proto",
        "onshore-tenant": b"default",
        "onshore-collector": b"receiver-1",
    }


@pytest.mark.parametrize(
    ("path", "topic"), [("/v1/logs", "otlp_logs"), ("/v1/traces", "otlp_spans"), ("/v1/metrics", "otlp_metrics")]
)
def test_each_signal_has_its_topic(receiver: Receiver, path: str, topic: str) -> None:
    body = b'{"resource": []}'
    answer = receiver.post(path, body, content_type="application/json; charset=utf-8")
    assert (answer.status_code, answer.json()) == (200, {})
    (message,) = receiver.messages()
    assert (message.topic, message.value) == (topic, body)
    assert dict(message.headers)["onshore-encoding"] == b"otlp_json"


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("deflate", zlib.compress),
        ("zstd", zstandard.compress),
        ("identity", bytes),
        ("GZIP", lambda body: gzip.compress(body[:100]) + gzip.compress(body[100:])),
    ],
)
def test_every_content_coding_is_undone(receiver: Receiver, coding: str, pack: Callable[[bytes], bytes]) -> None:
    body = request_of(2000)
    assert receiver.post("/v1/logs", pack(body), content_type=PROTOBUF, content_encoding=coding).status_code == 200
    assert [message.value for message in receiver.messages()] == [body]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_damaged_or_cut_body_is_refused(receiver: Receiver, coding: str) -> None:
    packers: dict[str, Callable[[bytes], bytes]] = {
        "gzip": gzip.compress,
        "deflate": zlib.compress,
        "zstd": zstandard.compress,
    }
    whole = packers[coding](bytes(range(256)) * 500)
    for body in (b"not packed", whole[:-9], whole + b"more"):
        answer = receiver.post("/v1/logs", body, content_type=JSON, content_encoding=coding)
        assert (answer.status_code, answer.json()["code"]) == (400, 3)
        assert f"not valid {coding}" in answer.json()["message"]
    assert receiver.messages() == ()


@pytest.mark.parametrize("media_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_an_empty_body_is_an_empty_request(receiver: Receiver, media_type: str, coding: str) -> None:
    body = gzip.compress(b"") if coding == "gzip" else b""
    assert receiver.post("/v1/logs", body, content_type=media_type, content_encoding=coding).status_code == 200
    assert receiver.messages() == ()


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b'"text"',
        b"{}{}",
        b'{"a": NaN}',
        b'{"a": "\xff"}',
        "{}".encode("utf-16"),
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        request_of(1),
    ],
)
def test_what_is_not_a_json_object_is_refused(receiver: Receiver, body: bytes) -> None:
    answer = receiver.post("/v1/logs", body, content_type=JSON)
    assert (answer.status_code, answer.json()["code"]) == (400, 3)
    assert "JSON" in answer.json()["message"]
    assert receiver.messages() == ()


@pytest.mark.parametrize("body", [b'{"resourceLogs": []}', b"\x00" * 50, b"\x0b\x0c", request_of(5)[:-1], b"\xff" * 11])
def test_what_cannot_be_protobuf_is_refused_in_protobuf(receiver: Receiver, body: bytes) -> None:
    answer = receiver.post("/v1/logs", body, content_type=PROTOBUF)
    assert (answer.status_code, answer.headers["content-type"]) == (400, PROTOBUF)
    status = Status.FromString(answer.content)
    assert (status.code, "not an OTLP request" in status.message) == (3, True)
    assert receiver.messages() == ()


def test_fields_of_a_later_otlp_version_are_let_through(receiver: Receiver) -> None:
    later = request_of(1) + b"\x10\x05" + b"\x19" + bytes(8) + b"\x25" + bytes(4)
    assert receiver.post("/v1/logs", later, content_type=PROTOBUF).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("POST", "/v1/logs", {"content-type": "text/plain"}, 415),
        ("POST", "/v1/logs", {}, 415),
        ("POST", "/v1/logs", {"content-type": JSON, "content-encoding": "br"}, 415),
        ("POST", "/v1/log", {"content-type": JSON}, 404),
        ("POST", "/v1/logs/", {"content-type": JSON}, 404),
        ("GET", "/v1/logs", {}, 405),
        ("PUT", "/v1/logs", {"content-type": JSON}, 405),
        ("POST", "/", {"content-type": JSON}, 405),
        ("POST", "/v1/logs", {"content-type": JSON, "host": "collector.example"}, 403),
        ("POST", "/v1/logs", {"content-type": JSON, "host": "127.0.0.1.example"}, 403),
        ("POST", "/v1/logs", {"content-type": JSON, "origin": "https://page.example"}, 403),
        ("POST", "/v1/logs", {"content-type": JSON, "origin": "null"}, 403),
        ("GET", "/healthz", {"host": "collector.example"}, 403),
        ("POST", "/v1/logs", {"content-type": JSON, "host": "localhost:4318"}, 200),
        ("POST", "/v1/logs", {"content-type": JSON, "host": "[::1]:4318"}, 200),
        ("GET", "/healthz", {}, 200),
        ("GET", "/", {}, 200),
    ],
)
def test_what_is_no_otlp_request_is_told_so(
    receiver: Receiver, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    content = b"{}" if method != "GET" else None
    answer = httpx.request(method, receiver.http + path, headers=headers, content=content)
    assert answer.status_code == status
    assert answer.json().get("message", "x")
    assert ("allow" in answer.headers) == (status == 405)


def test_a_body_above_the_limit_is_refused_by_name_whether_announced_or_not(receiver: Receiver) -> None:
    def streamed() -> Iterator[bytes]:
        for _ in range(17):
            yield bytes(MIB)

    answers = [
        receiver.post("/v1/logs", bytes(17 * MIB), content_type=JSON),
        receiver.post("/v1/logs", streamed(), content_type=JSON),
    ]
    for answer in answers:
        assert answer.status_code == 413
        assert answer.json()["message"] == "the body is larger than 16 MiB; send smaller batches"


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_bomb_is_refused_before_it_fills_the_memory(receiver: Receiver, coding: str) -> None:
    rounds = 400
    if coding == "gzip":
        packer = zlib.compressobj(1, wbits=31)
        bomb = b"".join(packer.compress(bytes(MIB)) for _ in range(rounds)) + packer.flush()
    else:
        zstd = zstandard.ZstdCompressor().compressobj()
        bomb = b"".join(zstd.compress(bytes(MIB)) for _ in range(rounds)) + zstd.flush()
    before = peak_memory_bytes()
    answer = receiver.post("/v1/logs", bomb, content_type=PROTOBUF, content_encoding=coding)
    assert answer.status_code == 413
    assert "unpacked body is larger than 64 MiB" in Status.FromString(answer.content).message
    assert peak_memory_bytes() - before < 160 * MIB


def peak_memory_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def test_json_has_a_lower_limit_because_reading_it_takes_more(start: Start) -> None:
    receiver = start(limits=IntakeLimits(max_json_bytes=MIB))
    answer = receiver.post("/v1/logs", b'{"a":"' + b"a" * MIB + b'"}', content_type=JSON)
    assert (answer.status_code, "JSON body is larger than 1 MiB" in answer.json()["message"]) == (413, True)


def test_a_silent_broker_is_a_503_that_says_when_to_come_back_and_nothing_about_us(start: Start) -> None:
    answer = start(producer=Broken()).post("/v1/logs", request_of(1), content_type=PROTOBUF)
    assert answer.status_code == 503
    assert 1 <= int(answer.headers["retry-after"]) <= LONGEST_WAIT_S
    status = Status.FromString(answer.content)
    assert status.code == 14
    assert "send it again" in status.message
    assert "secret" not in status.message


def test_too_many_bytes_under_way_are_a_429_and_their_room_comes_back(start: Start) -> None:
    held = Held()
    receiver = start(producer=held, limits=IntakeLimits(max_in_flight_bytes=1000))
    first: list[httpx.Response] = []
    sender = threading.Thread(
        target=lambda: first.append(receiver.post("/v1/logs", request_of(30), content_type=PROTOBUF))
    )
    sender.start()
    assert held.entered.acquire(timeout=10)
    answer = receiver.post("/v1/logs", request_of(30), content_type=PROTOBUF)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= LONGEST_WAIT_S
    held.let_go.set()
    sender.join()
    assert first[0].status_code == 200
    assert receiver.post("/v1/logs", request_of(30), content_type=PROTOBUF).status_code == 200
    health = httpx.get(receiver.http + "/healthz").json()
    assert health["in_flight_bytes"] == 0
    assert health["accepted"] == {"otlp_logs": 2}
    assert health["refused"] == {"too much in flight": 1}


def test_nothing_is_acknowledged_before_it_is_durable(start: Start) -> None:
    held = Held()
    receiver = start(producer=held)
    answers: list[httpx.Response] = []
    sender = threading.Thread(target=lambda: answers.append(receiver.post("/v1/logs", b"{}", content_type=JSON)))
    sender.start()
    assert held.entered.acquire(timeout=10)
    assert answers == []
    held.let_go.set()
    sender.join()
    assert answers[0].status_code == 200


def test_a_body_that_never_arrives_is_given_up(start: Start) -> None:
    receiver = start(limits=IntakeLimits(body_timeout_s=0.2))
    waiting = threading.Event()

    def slow() -> Iterator[bytes]:
        yield b"{"
        waiting.wait(0.6)
        yield b"}"

    answer = receiver.post("/v1/logs", slow(), content_type=JSON)
    assert (answer.status_code, "0.2 s" in answer.json()["message"]) == (408, True)


@pytest.mark.parametrize("sent", [b"", b"POST /v1/logs HTTP/1.1\r\nHost: local", b"POST /v1/logs HTTP/1.1\r\na: b\r\n"])
def test_a_connection_that_never_says_what_it_wants_is_closed(start: Start, sent: bytes) -> None:
    receiver = start(limits=IntakeLimits(head_timeout_s=0.3))
    with connection_to(receiver) as connection:
        connection.sendall(sent)
        assert closed_within(connection, 5)


def test_headers_without_end_are_not_kept(start: Start) -> None:
    receiver = start()
    with connection_to(receiver) as connection:
        endless = b"".join(b"x-%d: " % number + b"y" * 8000 + b"\r\n" for number in range(10_000))
        with pytest.raises(OSError, match=r"reset|pipe"):
            connection.sendall(b"POST /v1/logs HTTP/1.1\r\n" + endless)
    assert receiver.post("/v1/logs", b"{}", content_type=JSON).status_code == 200


def test_a_connection_is_kept_between_requests_for_longer_than_a_head_may_take(start: Start) -> None:
    receiver = start(limits=IntakeLimits(head_timeout_s=0.2))
    with httpx.Client(base_url=receiver.http) as client:
        for _ in range(2):
            assert client.post("/v1/logs", content=b"{}", headers={"content-type": JSON}).status_code == 200
            threading.Event().wait(0.5)
        (connection,) = client._transport._pool.connections  # type: ignore[attr-defined]
        assert connection.is_available()
        assert client.post("/v1/logs", content=b"{}", headers={"content-type": JSON}).status_code == 200


def connection_to(receiver: Receiver) -> socket.socket:
    host, _, port = receiver.http.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def closed_within(connection: socket.socket, seconds: float) -> bool:
    connection.settimeout(seconds)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_json_written_by_a_person_is_kept_as_written(receiver: Receiver) -> None:
    body = json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": {"stringValue": "é"}}]}]}]}).encode()
    assert receiver.post("/v1/logs", body, content_type=JSON).status_code == 200
    assert receiver.messages()[0].value == body


def test_answers_leave_without_delay() -> None:
    with bind(0, "--http-port") as listener:
        assert listener.proto == socket.IPPROTO_TCP  # what asyncio looks at before it sets TCP_NODELAY
