"""What HTTP and gRPC share: limits, tenants, unpacking, checking, and the durable send before any acknowledgement."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from onshore_collectors.receiver.bodies import check_json, check_protobuf, unpack
from onshore_collectors.receiver.pace import Pace, wait_s
from onshore_collectors.receiver.refusals import MIB, Refusal, busy, overtaken, too_large_to_store, unavailable
from onshore_pipeline.broker import COLLECTOR_HEADER, ENCODING_HEADER, SENSOR_HEADER, TENANT_HEADER, Outgoing
from onshore_pipeline.errors import BrokerFull, BrokerUnavailable, MessageTooLarge, OutOfSequence
from onshore_pipeline.failpoints import nowhere

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onshore_collectors.receiver.numbered import NumberedSender
    from onshore_collectors.receiver.signals import Encoding, Signal
    from onshore_collectors.receiver.tenants import TenantRegistry
    from onshore_pipeline.broker import Producer

_log = structlog.get_logger("receiver")

_TENANT_SHARE: Final = 3  # times what is left free: Choudhury and Hahne's dynamic thresholds, for memory
_FULL_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What one request may be, and what all of them together.

    Attributes:
        max_body_bytes: a request's body as it travels.
        max_message_bytes: a request's body unpacked: the message it becomes.
        max_json_bytes: a JSON body unpacked; reading one takes a multiple of its size.
        max_in_flight_bytes: bodies held in memory by all requests together; a tenant may hold three times what is left
            free, so that one alone gets three quarters and never shuts out the others.
        max_head_bytes: a request's line and headers (HTTP).
        head_timeout_s: how long they may take to arrive, and a new connection may say nothing (HTTP).
        body_timeout_s: how long a body may take to arrive (HTTP).
        grpc_connection_s: how long a connection is kept; calls that last `body_timeout_s` longer are cut (gRPC).
        threads: requests that are unpacked and made durable at the same time, for HTTP and gRPC each.
    """

    max_body_bytes: int = 16 * MIB
    max_message_bytes: int = 64 * MIB
    max_json_bytes: int = 16 * MIB
    max_in_flight_bytes: int = 192 * MIB
    max_head_bytes: int = 65_536
    head_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    grpc_connection_s: float = 300.0
    threads: int = 16


class Reservation:
    """A request's share of the memory that all requests may hold together.

    Attributes:
        tenant: whose request it is; set before anything is held.
        collector: the collector that the credential names; '' for none.
    """

    def __init__(self, intake: Intake) -> None:
        self._intake, self._held = intake, 0
        self.tenant = self.collector = ""

    def identify(self, authorization: str | None) -> None:
        """Find out who sends. Raises `Refusal` (401)."""
        sender = self._intake.tenants.sender_of(authorization)
        self.tenant, self.collector = sender.tenant, sender.collector

    def grow(self, size: int) -> None:
        """Take `size` bytes more. Raises `Refusal` (429) when there is no room."""
        self._intake.take(size, self.tenant)
        self._held += size

    def release(self) -> None:
        """Give all of it back."""
        self._intake.give_back(self._held, self.tenant)
        self._held = 0


class Intake:
    """Turns request bodies into durable messages; used by many threads at once.

    Args:
        producer: where messages go; its `send` may be called by many threads.
        tenants: who sends.
        collector_id: this receiver's id, written into every message.
        limits: see `IntakeLimits`.
        at: told where a request is, for tests that end the process there.
    """

    def __init__(
        self,
        producer: Producer,
        tenants: TenantRegistry,
        collector_id: str,
        limits: IntakeLimits,
        at: Callable[[str], None] = nowhere,
    ) -> None:
        self._at = at
        self.limits = limits
        self.tenants = tenants
        self._producer, self._collector = producer, collector_id.encode()
        self._lock = threading.Lock()
        self._held: Counter[str] = Counter()
        self._pace = Pace()
        self._full_until = 0.0
        self._accepted: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._put_off_at: str | None = None

    @contextmanager
    def reservation(self) -> Iterator[Reservation]:
        """A request's memory, given back at the end; a refusal inside is counted by its reason.

        Raises `Refusal` (503) for a moment after the broker said that it is full: a body need not be read for that.
        """
        held = Reservation(self)
        try:
            if time.monotonic() < self._full_until:
                raise _full(None)
            yield held
        except Refusal as refusal:
            with self._lock:
                self._refused[refusal.reason] += 1
                if refusal.retry_after_s is not None:
                    self._put_off_at = datetime.now(UTC).isoformat()
            raise
        finally:
            held.release()

    def take(self, size: int, tenant: str) -> None:
        """Account for `size` bytes more that `tenant` holds. Raises `Refusal` (429) when there is no room."""
        with self._lock:
            held = self._held.total()
            left = self.limits.max_in_flight_bytes - held - size
            is_greedy = self._held[tenant] + size > _TENANT_SHARE * left
            if left >= 0 and not is_greedy:
                self._held[tenant] += size
                return
        shown, retry_after_s = f"{held / MIB:.0f} MiB of requests are under way", wait_s(self._pace.seconds_for(held))
        if left >= 0:
            why = f"{shown}, a large part of them this tenant's; send this one again shortly"
            raise busy(why, "tenant's share in flight", retry_after_s)
        raise busy(f"{shown}; send this one again shortly", "too much in flight", retry_after_s)

    def give_back(self, size: int, tenant: str) -> None:
        """Account for `size` bytes that `tenant` no longer holds."""
        with self._lock:
            self._held[tenant] -= size
            if not self._held[tenant]:
                del self._held[tenant]

    def accept(
        self,
        signal: Signal,
        body: bytes,
        held: Reservation,
        *,
        coding: str,
        encoding: Encoding,
        sender: NumberedSender | None = None,
    ) -> None:
        """Unpack, check and append one request; returns when it is durable.

        One that a `sender` numbered is appended once, however often it comes.

        Raises `Refusal`: 400, 409, 413, 429 or 503.
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
            (TENANT_HEADER, held.tenant.encode()),
            *(sender.headers if sender is not None else ((COLLECTOR_HEADER, self._collector),)),
            *(((SENSOR_HEADER, held.collector.encode()),) if held.collector else ()),
        )
        numbered = sender.numbered(held.tenant, value) if sender is not None else None
        self._at("12.before")
        try:
            self._producer.send(signal.topic, [Outgoing(value, headers, numbered=numbered)])
        except OutOfSequence as error:
            _log.warning("out of sequence, so not taken", topic=signal.topic, why=str(error))
            raise overtaken(str(error)) from error
        except MessageTooLarge as error:
            _log.warning("refused for its size", topic=signal.topic, bytes=len(value), why=str(error))
            raise too_large_to_store(len(value)) from error
        except BrokerFull as error:
            if len(value) <= MIB:  # there may be room for less than a larger one
                self._full_until = time.monotonic() + _FULL_S
            _log.warning("full, so not acknowledged", topic=signal.topic, why=str(error))
            raise _full(error.room_in_s) from error
        except BrokerUnavailable as error:
            _log.warning("not durable, so not acknowledged", topic=signal.topic, why=str(error))
            # The text may name files and hosts of ours, which are no business of the sender.
            why = "nothing can be stored right now; nothing was taken, send it again"
            raise unavailable(why, "broker unavailable", wait_s(None)) from error
        self._at("12.appended")
        self._pace.add(len(value))
        with self._lock:
            self._accepted[signal.topic] += 1

    def status(self) -> dict[str, object]:
        """Counts since the start, for whoever asks how this receiver is."""
        with self._lock:
            return {
                "status": "ok",
                "in_flight_bytes": self._held.total(),
                "max_in_flight_bytes": self.limits.max_in_flight_bytes,
                "accepted": dict(self._accepted),
                "refused": dict(self._refused),
                "last_put_off_at": self._put_off_at,
            }


def _full(room_in_s: float | None) -> Refusal:
    why = "no more can be stored until what waits is worked off; nothing was taken, send it again"
    return unavailable(why, "log full", wait_s(room_in_s))
