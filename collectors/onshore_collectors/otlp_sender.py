"""Sends serialised OTLP requests over HTTP until they are acknowledged.

The SDK's own HTTP exporter counts a redirect as delivered, gives up after six tries and does not say whether trying
again would help; a reader that must lose nothing needs all three told apart.
"""

from __future__ import annotations

import gzip
import http.client
import os
import ssl
import threading
import time
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Generic, TypeVar
from urllib.parse import urlsplit
from weakref import WeakMethod

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from onshore_collectors.batching import Delivery
from onshore_pipeline.errors import BrokerUnavailable, SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Item = TypeVar("Item")

# The statuses that OTLP/HTTP names as worth another try (OTLP 1.x, "Retryable Response Codes").
_RETRYABLE: Final = frozenset(
    {
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 5.0
_ANSWER_TIMEOUT_S: Final = 10.0
_MOST_ANSWER_BYTES: Final = 65536


class Refused(Exception):
    """The receiving side will never take this request."""

    def __init__(self, status: int, why: str) -> None:
        """Name the HTTP status and what the receiving side said."""
        super().__init__(f"answered HTTP {status}: {why}")
        self.status = status


class OtlpSender:
    """One keep-alive connection to one OTLP/HTTP address, for one sending thread.

    Args:
        endpoint: base address such as `http://127.0.0.1:4318`; a path in front of /v1/... is kept.
        path: `/v1/logs`, `/v1/traces` or `/v1/metrics`.
        headers: sent with every request (authorization, for one).
        give_up_after_s: how long a request is tried before `BrokerUnavailable` is raised.

    Raises:
        SettingsError: `endpoint` is not an http or https address.
    """

    def __init__(self, endpoint: str, path: str, headers: Mapping[str, str], *, give_up_after_s: float) -> None:
        parts = urlsplit(endpoint)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            why = f"{endpoint!r} is not an address like http://127.0.0.1:4318"
            raise SettingsError("otlp endpoint", why)
        self._host, self._port = parts.hostname, parts.port
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._url = parts.path.rstrip("/") + path
        self._endpoint = endpoint
        self._give_up_after_s = give_up_after_s
        self._headers = {
            **headers,
            "Content-Type": "application/x-protobuf",
            "User-Agent": "onshore",
        }
        self._connection: http.client.HTTPConnection | None = None
        self._abandoned = threading.Event()
        again = WeakMethod(self._disconnect)  # a forked child must not talk on its parent's connection
        os.register_at_fork(after_in_child=lambda: (disconnect := again()) and disconnect())

    def send(self, payload: bytes) -> bytes:
        """Send one serialised request and return the response's body.

        Raises:
            Refused: the receiving side said that trying again will not help.
            BrokerUnavailable: not acknowledged within `give_up_after_s`, or `abandon` was called.
        """
        return self.send_packed(gzip.compress(payload, compresslevel=1, mtime=0), "gzip", {})

    def send_packed(self, body: bytes, coding: str, more: Mapping[str, str]) -> bytes:
        """Send one request that is packed already, with `more` headers. Like `send`."""
        headers = {**self._headers, "Content-Encoding": coding, **more}
        deadline = time.monotonic() + self._give_up_after_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                status, asked_pause_s, answer = self._post(body, headers)
            except (OSError, http.client.HTTPException) as error:
                self._disconnect()
                why, asked_pause_s = f"{type(error).__name__}: {error}", None
            else:
                if status == HTTPStatus.OK:
                    return answer
                why = f"HTTP {status}: {_readable(answer)}"
                if status not in _RETRYABLE:
                    raise Refused(status, _readable(answer))
            wait_s = asked_pause_s if asked_pause_s is not None else pause_s
            if time.monotonic() + wait_s > deadline or self._abandoned.wait(wait_s):
                raise BrokerUnavailable(
                    f"{self._endpoint} did not take telemetry ({why}); is `onshore up` running there?"
                )
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def abandon(self) -> None:
        """End any waiting between tries now; called from another thread when the process must end."""
        self._abandoned.set()

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def _post(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, float | None, bytes]:
        if self._connection is None:
            self._connection = self._connect()
        self._connection.request("POST", self._url, body, headers)
        response = self._connection.getresponse()
        answer = response.read(_MOST_ANSWER_BYTES)
        if response.read(1) or response.will_close:
            self._disconnect()
        return response.status, _seconds(response.getheader("Retry-After")), answer

    def _connect(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=_ANSWER_TIMEOUT_S)
        return http.client.HTTPSConnection(self._host, self._port, timeout=_ANSWER_TIMEOUT_S, context=self._tls)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class OtlpDelivery(Generic[Item]):
    """Delivers batches of log records through a sender, in requests that a message can hold.

    Args:
        sender: sends to /v1/logs.
        encode: makes the serialised ExportLogsServiceRequest of some records.
        weigh: about how many bytes one record takes.
        max_request_bytes: where a batch is cut; a single record larger than this is sent by itself.
    """

    def __init__(
        self,
        sender: OtlpSender,
        encode: Callable[[Sequence[Item]], bytes],
        weigh: Callable[[Item], int],
        *,
        max_request_bytes: int,
    ) -> None:
        self._sender, self._encode, self._weigh = sender, encode, weigh
        self._max_request_bytes = max_request_bytes

    def deliver(self, batch: Sequence[Item]) -> Delivery:
        """Send all of `batch`, in order. Raises `BrokerUnavailable` when nothing of it was acknowledged in time."""
        todo = deque(self._cut(batch))
        accepted, refused, reason = 0, 0, ""
        while todo:
            part = todo.popleft()
            try:
                rejected, why = read_answer(self._sender.send(self._encode(part)))
            except Refused as answer:
                if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE and len(part) > 1:
                    middle = len(part) // 2
                    todo.extendleft([part[middle:], part[:middle]])
                    continue
                rejected, why = len(part), str(answer)
            except BrokerUnavailable as error:
                if not accepted:
                    raise
                left = len(part) + sum(map(len, todo))
                return Delivery(accepted, refused + left, str(error))
            accepted, refused, reason = accepted + len(part) - rejected, refused + rejected, why or reason
        return Delivery(accepted, refused, reason)

    def _cut(self, batch: Sequence[Item]) -> list[list[Item]]:
        parts: list[list[Item]] = [[]]
        weight = 0
        for item in batch:
            weight += (of_item := self._weigh(item))
            if weight > self._max_request_bytes and parts[-1]:
                parts.append([])
                weight = of_item
            parts[-1].append(item)
        return parts


def read_answer(answer: bytes) -> tuple[int, str]:
    """How many records the other side rejected, and why. Raises `Refused` where this is no answer."""
    try:
        partial = ExportLogsServiceResponse.FromString(answer).partial_success
    except DecodeError as error:
        raise Refused(HTTPStatus.OK, "the answer is not OTLP; is this an OTLP receiver's address?") from error
    return partial.rejected_log_records, partial.error_message


def _seconds(retry_after: str | None) -> float | None:
    # A date is allowed here too, but no OTLP receiver sends one; our own pauses serve then.
    if retry_after is None or not retry_after.strip().isdigit():
        return None
    return min(float(retry_after), _LONGEST_PAUSE_S * 2)


def _readable(answer: bytes) -> str:
    # Errors come as google.rpc.Status in protobuf: its message is readable text between a few framing bytes.
    text = answer.decode("utf-8", "replace")
    return "".join(char for char in text if char.isprintable() and char != "\ufffd").strip()[:300] or "no explanation"
