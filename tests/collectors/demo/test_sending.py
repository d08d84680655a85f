from __future__ import annotations

import gzip
import threading
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceResponse,
)

from onshore_collectors.demo.play import Request
from onshore_collectors.demo.sending import Lanes
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

Answer = tuple[int, bytes, dict[str, str]]
GOOD: Answer = (200, b"", {})


class _Receiver(ThreadingHTTPServer):
    """Answers by script, then with 200; remembers what it took."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = list(answers)
        self.taken: list[tuple[str, str | None, bytes]] = []
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Receiver

    def do_POST(self) -> None:
        body = gzip.decompress(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            status, answer, headers = self.server.answers.pop(0) if self.server.answers else GOOD
            if status == 200:
                self.server.taken.append((self.path, self.headers.get("authorization"), body))
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _receiver(*answers: Answer) -> Iterator[_Receiver]:
    with _Receiver(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _requests(count: int) -> list[Request]:
    return [Request(f"tenant-{n % 2}", ("log", "span", "metric")[n % 3], b"%d" % n, 5, n) for n in range(count)]


def _send(receiver: _Receiver, count: int, tokens: dict[str, str] | None = None) -> list[Request]:
    sent: list[Request] = []
    Lanes(receiver.endpoint, tokens or {}, give_up_after_s=20).send_all(_requests(count), sent.append)
    return sent


def test_every_request_arrives_once_at_its_signals_path_with_its_tenants_token() -> None:
    with _receiver() as receiver:
        sent = _send(receiver, 40, {"tenant-0": "zero", "tenant-1": "one"})
        assert sorted(request.first_ns for request in sent) == list(range(40))
        paths = ("/v1/logs", "/v1/traces", "/v1/metrics")
        tokens = ("Bearer zero", "Bearer one")
        expected = Counter((paths[n % 3], tokens[n % 2], b"%d" % n) for n in range(40))
        assert Counter(receiver.taken) == expected


def test_without_a_token_none_is_sent() -> None:
    with _receiver() as receiver:
        _send(receiver, 3)
        assert {token for _, token, _ in receiver.taken} == {None}


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_receiver_is_asked_again_after_the_pause_that_it_names(status: int) -> None:
    with _receiver((status, b"", {"Retry-After": "0"}), (status, b"", {"Retry-After": "0"})) as receiver:
        assert len(_send(receiver, 10)) == 10
        assert len(receiver.taken) == 10


def test_a_token_that_is_not_known_is_one_clear_error() -> None:
    with _receiver(*[(401, b"the token is not known here", {})] * 50) as receiver:
        with pytest.raises(OnshoreError, match=r"refused events of tenant tenant-\d: .*the token is not known here"):
            _send(receiver, 10, {"tenant-0": "secret-token"})
        assert receiver.taken == []


def test_records_that_were_rejected_are_not_taken_for_sent() -> None:
    partial = ExportLogsServiceResponse(
        partial_success=ExportLogsPartialSuccess(rejected_log_records=2, error_message="too old")
    )
    with (
        _receiver((200, partial.SerializeToString(), {})) as receiver,
        pytest.raises(OnshoreError, match="rejected 2 records of tenant tenant-0: too old"),
    ):
        _send(receiver, 1)


def test_a_receiver_that_goes_away_is_an_error_that_names_it() -> None:
    with _receiver() as receiver:
        endpoint = receiver.endpoint
    with pytest.raises(BrokerUnavailable, match=endpoint):
        Lanes(endpoint, {}, give_up_after_s=0.2).send_all(_requests(1), lambda _: None)
