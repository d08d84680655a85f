"""What HTTP and gRPC share: limits, tenants, unpacking, checking, and the durable send before any acknowledgement."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from onshore_collectors.receiver.bodies import check_json, check_protobuf, unpack
from onshore_collectors.receiver.refusals import MIB, Refusal, busy, too_large_to_store, unavailable
from onshore_pipeline.broker import COLLECTOR_HEADER, ENCODING_HEADER, TENANT_HEADER, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, MessageTooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_collectors.receiver.signals import Encoding, Signal
    from onshore_collectors.receiver.tenants import TenantRegistry
    from onshore_pipeline.broker import Producer

_log = structlog.get_logger("receiver")


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What one request may be, and what all of them together.

    Attributes:
        max_body_bytes: a request's body as it travels.
        max_message_bytes: a request's body unpacked: the message it becomes.
        max_json_bytes: a JSON body unpacked; reading one takes a multiple of its size.
        max_in_flight_bytes: bodies held in memory by all requests together.
        body_timeout_s: how long a body may take to arrive.
        threads: requests that are unpacked and made durable at the same time, for HTTP and gRPC each.
    """

    max_body_bytes: int = 16 * MIB
    max_message_bytes: int = 64 * MIB
    max_json_bytes: int = 16 * MIB
    max_in_flight_bytes: int = 192 * MIB
    body_timeout_s: float = 30.0
    threads: int = 16


class Reservation:
    """A request's share of the memory that all requests may hold together."""

    def __init__(self, intake: Intake) -> None:
        self._intake, self._held = intake, 0

    def grow(self, size: int) -> None:
        """Take `size` bytes more. Raises `Refusal` (429) when there is no room."""
        self._intake.take(size)
        self._held += size

    def release(self) -> None:
        """Give all of it back."""
        self._intake.take(-self._held)
        self._held = 0


class Intake:
    """Turns request bodies into durable messages; used by many threads at once.

    Args:
        producer: where messages go; its `send` may be called by many threads.
        tenants: who sends.
        collector_id: this receiver's id, written into every message.
        limits: see `IntakeLimits`.
    """

    def __init__(self, producer: Producer, tenants: TenantRegistry, collector_id: str, limits: IntakeLimits) -> None:
        self.limits = limits
        self._producer, self._tenants, self._collector = producer, tenants, collector_id.encode()
        self._lock = threading.Lock()
        self._in_flight = 0
        self._accepted: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """A request's memory, given back at the end; a refusal inside is counted."""
        held = Reservation(self)
        try:
            yield held
        except Refusal as refusal:
            with self._lock:
                self._refused[refusal.http.phrase] += 1
            raise
        finally:
            held.release()

    def take(self, size: int) -> None:
        """Account for `size` bytes held (negative: given back). Raises `Refusal` (429) when there is no room."""
        with self._lock:
            if size > 0 and self._in_flight + size > self.limits.max_in_flight_bytes:
                raise busy(f"{self._in_flight / MIB:.0f} MiB of requests are under way; send this one again shortly")
            self._in_flight += size

    def tenant_of(self, authorization: str | None) -> str:
        """The sender's tenant. Raises `Refusal` (401)."""
        return self._tenants.tenant_of(authorization)

    def accept(
        self, signal: Signal, body: bytes, held: Reservation, *, coding: str, encoding: Encoding, tenant: str
    ) -> None:
        """Unpack, check and append one request; returns when it is durable.

        Raises `Refusal`: 400, 413, 429 or 503.
        """
        value = unpack(body, coding, self.limits.max_message_bytes, held.grow)
        if not value:
            return  # an empty Export request is valid and holds nothing
        if encoding == "otlp_json":
            check_json(value, self.limits.max_json_bytes)
        else:
            check_protobuf(value)
        headers = (
            (ENCODING_HEADER, encoding.encode()),
            (TENANT_HEADER, tenant.encode()),
            (COLLECTOR_HEADER, self._collector),
        )
        try:
            self._producer.send(signal.topic, [Outgoing(value, headers)])
        except MessageTooLarge as error:
            _log.warning("refused for its size", topic=signal.topic, bytes=len(value), why=str(error))
            raise too_large_to_store(len(value)) from error
        except BrokerUnavailable as error:
            _log.warning("not durable, so not acknowledged", topic=signal.topic, why=str(error))
            # The text may name files and hosts of ours, which are no business of the sender.
            raise unavailable("nothing can be stored right now; nothing was taken, send it again") from error
        with self._lock:
            self._accepted[signal.topic] += 1

    def status(self) -> dict[str, object]:
        """Counts since the start, for whoever asks how this receiver is."""
        with self._lock:
            return {
                "status": "ok",
                "in_flight_bytes": self._in_flight,
                "accepted": dict(self._accepted),
                "refused": dict(self._refused),
            }
