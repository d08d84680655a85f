"""Sends the play's requests over several connections at once until every one is acknowledged."""

from __future__ import annotations

import threading
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from onshore_collectors.otlp_sender import OtlpSender, Refused
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from onshore_collectors.demo.play import Request
    from onshore_collectors.demo.scenario.template import Signal

_PATHS: Final[dict[Signal, str]] = {"log": "/v1/logs", "span": "/v1/traces", "metric": "/v1/metrics"}
_LANES: Final = 4


class Lanes:
    """Connections of a few threads to one receiver; each thread has its own for every tenant and signal.

    Args:
        endpoint: base address of the receiver.
        tokens: tenant → bearer token; a tenant without one sends none.
        give_up_after_s: how long one request is tried.
    """

    def __init__(self, endpoint: str, tokens: Mapping[str, str], *, give_up_after_s: float) -> None:
        self._endpoint, self._tokens, self._give_up_after_s = endpoint, tokens, give_up_after_s
        self._own = threading.local()
        self._lock = threading.Lock()
        self._senders: list[OtlpSender] = []

    def send_all(self, requests: Iterable[Request], on_sent: Callable[[Request], None]) -> None:
        """Send all of `requests`, a few at once, and call `on_sent` in this thread for each that was acknowledged.

        Raises:
            BrokerUnavailable: one was not taken in time.
            OnshoreError: one was refused, wholly or in part.
        """
        pending: set[Future[Request]] = set()
        pool = ThreadPoolExecutor(_LANES, thread_name_prefix="demo")
        try:
            for request in requests:
                pending.add(pool.submit(self._send, request))
                if len(pending) >= 2 * _LANES:
                    pending = _settled(pending, on_sent)
            while pending:
                pending = _settled(pending, on_sent)
        finally:
            for sender in self._senders:
                sender.abandon()
            pool.shutdown(cancel_futures=True)
            for sender in self._senders:
                sender.close()

    def _send(self, request: Request) -> Request:
        try:
            answer = self._sender(request.tenant, request.signal).send(request.payload)
            # The three responses have the same fields.
            partial = ExportLogsServiceResponse.FromString(answer).partial_success
        except Refused as refused:
            raise OnshoreError(f"{self._endpoint} refused events of tenant {request.tenant}: {refused}") from None
        except DecodeError:
            raise OnshoreError(f"{self._endpoint} did not answer in OTLP; is that an OTLP/HTTP receiver?") from None
        if partial.rejected_log_records:
            why = partial.error_message or "no reason given"
            raise OnshoreError(
                f"{self._endpoint} rejected {partial.rejected_log_records} records of tenant {request.tenant}: {why}"
            )
        return request

    def _sender(self, tenant: str, signal: Signal) -> OtlpSender:
        own: dict[tuple[str, Signal], OtlpSender] = self._own.__dict__.setdefault("senders", {})
        if (tenant, signal) not in own:
            token = self._tokens.get(tenant)
            headers = {"Authorization": f"Bearer {token}"} if token is not None else {}
            sender = OtlpSender(self._endpoint, _PATHS[signal], headers, give_up_after_s=self._give_up_after_s)
            own[tenant, signal] = sender
            with self._lock:
                self._senders.append(sender)
        return own[tenant, signal]


def _settled(pending: set[Future[Request]], on_sent: Callable[[Request], None]) -> set[Future[Request]]:
    """Wait until one is done; returns those that are not."""
    done, waiting = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        on_sent(future.result())
    return waiting
