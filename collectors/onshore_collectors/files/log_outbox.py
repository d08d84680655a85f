"""Sends what was read in numbered requests, in order, and moves positions when a request is acknowledged.

A request is kept in the spool before it is sent and until it is acknowledged. What a killed run left there is sent
first by the next one.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from onshore_collectors.files.batch import Batch, smaller
from onshore_collectors.files.spool import Spool
from onshore_collectors.otlp_sender import OtlpSender, Refused, read_answer
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SEQUENCE_HEADER
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError
from onshore_pipeline.failpoints import nowhere

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from onshore_collectors.files.batch import Origin
    from onshore_collectors.files.pieces import RawRecord, Unreadable
    from onshore_collectors.files.positions import Position, Positions
    from onshore_collectors.files.spool import Stored
    from onshore_collectors.stack_address import ReceiverAddress

_MOST_POSITIONS: Final = 1000
_OVERHEAD_BYTES: Final = 160  # of a record's times, id and file name
_WAITING: Final = 2  # requests, besides those of the batch that is put together
_LOOK_EVERY_S: Final = 0.2
_LAST_ANSWER_S: Final = 12.0  # an answer takes 10 s at most
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


class Stopped(Exception):
    """The run was asked to end."""


class LogOutbox:
    """Takes pieces one by one; when some requests wait to be sent, `put` waits. For one thread.

    Args:
        receiver: where to.
        resource: resource attributes.
        scope: the instrumentation scope's name.
        positions: moved when everything before them was acknowledged; the spool lies beside them.
        stop: when set, waiting ends with `Stopped`.
        rate: most records a second; None is as fast as the receiver takes them.
        give_up_after_s: how long a request is tried.
        at: told where it is, for tests that end it there.

    Attributes:
        sent: records acknowledged that this run read.
        resent: records acknowledged that an earlier run had read and could not finish with.
        rejected: records that the receiver took the request of, and not them.
    """

    def __init__(
        self,
        receiver: ReceiverAddress,
        resource: Mapping[str, str],
        *,
        scope: str,
        positions: Positions,
        stop: threading.Event,
        rate: float | None = None,
        give_up_after_s: float = 600.0,
        at: Callable[[str], None] = nowhere,
    ) -> None:
        self._spool, self._stop, self._rate, self._at = Spool(positions), stop, rate, at
        most_records = 1 << 30 if rate is None else max(1, int(rate))
        # A packed request is kept before it is sent; on this machine zstd is known at the other end.
        coding = "zstd" if urlsplit(receiver.endpoint).hostname in _LOOPBACK else "gzip"
        self._batch = Batch(resource, scope, coding, most_records)
        self._positions: dict[str, Callable[[], Position]] = {}
        self._headers = {RUN_HEADER: self._spool.stream, COLLECTOR_HEADER: resource.get("onshore.collector.id", "")}
        self._sender = OtlpSender(receiver.endpoint, "/v1/logs", receiver.headers, give_up_after_s=give_up_after_s)
        self._began, self._submitted = time.monotonic(), 0
        self.sent = self.resent = self.rejected = 0
        self._changed = threading.Condition()
        self._left_over = self._waiting = self._spool.waiting()
        self._failure: OnshoreError | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._send_all, name="onshore-outbox", daemon=True)
        self._thread.start()

    def finish_earlier(self) -> None:
        """Wait until what an earlier run left is sent, so that positions are where it came to. Raises like `put`."""
        self._wait_until(lambda: not self._left_over)
        self._spool.settle()

    def put(self, record: RawRecord, origin: Origin, file: str, position: Callable[[], Position] | None) -> None:
        """Queue a record of a file.

        Args:
            record: the record.
            origin: attributes that all records of the file share.
            file: its name.
            position: asked, when a batch is complete, for the place behind everything that was put before; None where
                there is no coming back.

        Raises:
            BrokerUnavailable: an earlier request was not taken; nothing more will be sent.
            Stopped: `stop` was set while waiting.
        """
        if not self._batch.has_room(len(record.text) + _OVERHEAD_BYTES):
            self._submit()
        self._batch.put(record, origin)
        if position is not None:
            self._positions[file] = position

    def put_unreadable(
        self, piece: Unreadable, origin: Origin, file: str, position: Callable[[], Position] | None
    ) -> None:
        """Queue a stretch of a file that is no record. Like `put`."""
        if not self._batch.has_room(len(piece.text) + _OVERHEAD_BYTES):
            self._submit()
        self._batch.put_unreadable(piece, origin, file)
        if position is not None:
            self._positions[file] = position

    def move(self, file: str, position: Callable[[], Position]) -> None:
        """Move a file's position once everything put so far was acknowledged. Raises like `put`."""
        self._positions[file] = position
        if len(self._positions) >= _MOST_POSITIONS:
            self._submit()

    def flush(self) -> None:
        """Send everything put so far. Raises like `put`."""
        self._submit()
        self._wait_until(lambda: not self._waiting)
        self._spool.settle()

    def close(self) -> None:
        """End; what is under way is still waited for, what waits is sent by the next run. Never raises."""
        self._sender.abandon()
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(_LAST_ANSWER_S)
        with suppress(OnshoreError):  # what is done is then sent again, under its number
            self._spool.settle()
        self._sender.close()

    def _submit(self) -> None:
        positions = {file: position() for file, position in self._positions.items()}
        payloads, records = self._batch.payloads(), self._batch.records
        if not payloads and not positions:
            return
        self._wait_until(lambda: self._waiting < _WAITING if payloads else not self._waiting)
        self._keep_pace()
        self._spool.add(payloads, positions)
        self._batch.clear()
        self._positions.clear()
        self._submitted += records
        self._at("11.stored")
        with self._changed:
            self._waiting += len(payloads)
            self._changed.notify_all()

    def _keep_pace(self) -> None:
        if self._rate is not None:
            due = self._began + self._submitted / self._rate
            if self._stop.wait(max(0.0, due - time.monotonic())):
                raise Stopped

    def _wait_until(self, holds: Callable[[], bool]) -> None:
        with self._changed:
            while not holds():
                if self._failure is not None:
                    raise self._failure
                if self._stop.is_set():
                    raise Stopped
                self._changed.wait(_LOOK_EVERY_S)
            if self._failure is not None:
                raise self._failure

    def _send_all(self) -> None:
        """The sending thread: request after request, until it is closed or one is not taken."""
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._waiting or self._closing)
                    if self._closing:
                        return
                stored = self._spool.first()
                assert stored is not None
                self._send(stored)
        except OnshoreError as error:
            self._fail(error)
        except BaseException as error:  # noqa: BLE001 - the reader must not wait for a thread that is gone
            self._fail(BrokerUnavailable(f"sending failed: {type(error).__name__}: {error}"))

    def _fail(self, error: OnshoreError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _send(self, stored: Stored) -> None:
        headers = {**self._headers, SEQUENCE_HEADER: str(stored.sequence)}
        try:
            answer = self._sender.send_packed(stored.payload.body, stored.payload.coding, headers)
            rejected, _ = read_answer(answer)
        except Refused as refused:
            parts = smaller(stored) if refused.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else []
            if refused.status == HTTPStatus.CONFLICT:
                raise BrokerUnavailable(
                    f"{self._spool.path} is older than what was sent from here: was it restored from a backup?"
                    f" Remove it to send every file again ({refused})"
                ) from None
            if not parts:
                raise BrokerUnavailable(f"a request was refused: {refused}") from None
            self._spool.replace(stored, parts)
            self._count(len(parts) - 1)
            return
        self._at("11.acknowledged")
        self._spool.done(stored)
        self._count(-1, stored.payload.records - rejected, rejected)

    def _count(self, waiting: int, sent: int = 0, rejected: int = 0) -> None:
        with self._changed:
            if self._left_over:
                self._left_over += waiting
                self.resent += sent
            else:
                self.sent += sent
            self.rejected += rejected
            self._waiting += waiting
            self._changed.notify_all()
