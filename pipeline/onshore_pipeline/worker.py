"""The worker: one member of the consumer group, from messages to committed evidence.

The numbers are the steps of docs/commit-protocol.md. While one attempt is written, the next ones are already computed;
attempts are written and committed in the order in which they were polled.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import pyarrow as pa
import structlog

from onshore_pipeline.assess import Attempt, Judgement, MessageId, assess, message_id
from onshore_pipeline.batches import split
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, StoreUnavailable
from onshore_pipeline.memory import give_back_unused
from onshore_pipeline.store.connect import StoreRefused
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from threading import Event

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import Advance, Consumer, Polled

log = structlog.get_logger("worker")

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_STATUS_EVERY_S: Final = 1.0
_IDLE_POLLS_BEFORE_REST: Final = 20
# Beyond this the store, not the messages, is what is wrong.
_MOST_REFUSED_IN_A_ROW: Final = 5


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much one attempt may hold, how many are computed at once, how long a poll waits for the first message."""

    max_messages: int
    max_bytes: int
    max_records: int = 60_000
    assess_at_once: int = 2
    poll_timeout_s: float = 0.2


@dataclass(slots=True)
class Progress:
    """What this worker has committed since it started, and µs of wall time by stage."""

    messages: int = 0
    records: int = 0
    events: int = 0
    dead_lettered: int = 0
    attempts: int = 0
    failed_attempts: int = 0
    stage_us: dict[str, int] = field(default_factory=dict)

    def add(self, attempt: Attempt, clock: _StageClock) -> None:
        """Count a committed attempt."""
        for stage, taken in clock.stage_us.items():
            self.stage_us[stage] = self.stage_us.get(stage, 0) + taken
        self.messages += len(attempt.entries)
        self.records += attempt.records
        self.events += attempt.events
        self.dead_lettered += attempt.dead_lettered
        self.attempts += 1


class Worker:
    """Polls, assesses, writes, commits; until told to stop."""

    def __init__(
        self,
        consumer: Consumer,
        client: Client,
        judgement: Judgement,
        limits: BatchLimits,
        *,
        status_file: Path | None = None,
    ) -> None:
        """Take ready parts; the caller closes them."""
        self._consumer, self._client, self._judgement, self._limits = consumer, client, judgement, limits
        self._status_file = status_file
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._pause_s = _FIRST_PAUSE_S
        self._status_due = 0.0
        self._waiting: deque[Polled] = deque()  # polled, and not begun for want of room
        self._under_way: deque[_UnderWay] = deque()
        self._idle_polls = 0
        self._careful = 0  # messages to take one at a time, because the store refused a batch that held them
        self._refused: dict[MessageId, str] = {}
        self._refused_in_a_row = 0
        self.progress = Progress()

    def run(self, stop: Event) -> None:
        """Work until `stop` is set; attempts under way are finished first."""
        with (
            ThreadPoolExecutor(self._limits.assess_at_once, thread_name_prefix="assess") as assessing,
            ThreadPoolExecutor(1, thread_name_prefix="write") as writing,
        ):
            while not stop.is_set():
                try:
                    if not self._begin(assessing, writing):
                        if self._under_way:
                            self._commit_oldest()
                        else:
                            self._rest()
                    self._pause_s = _FIRST_PAUSE_S
                except (StoreUnavailable, BrokerUnavailable, CommitFenced) as error:
                    self._give_up(error, stop)
                except StoreRefused as error:
                    self._find_refused(error)
                    self._give_up(error, stop)
                self._publish_status()
            self._finish()

    def _begin(self, assessing: ThreadPoolExecutor, writing: ThreadPoolExecutor) -> bool:
        """Step 1, and 2 to 4 in the background; false when there is no room for another attempt or nothing to read."""
        if len(self._under_way) > self._limits.assess_at_once:
            return False
        if not self._waiting:
            self._poll()
        if not self._waiting:
            return False
        polled = self._waiting.popleft()
        clock = _StageClock()
        assessed = assessing.submit(  # 2 compute, in memory
            assess, polled, self._judgement, uuid4(), clock.lap, refused=dict(self._refused)
        )
        written = writing.submit(self._write, assessed, clock)  # one thread: attempts are written in order
        self._under_way.append(_UnderWay(polled, assessed, written, clock))
        return True

    def _rest(self) -> None:
        """Give memory back once after work, when nothing has come for a while."""
        self._idle_polls += 1
        if self._idle_polls == _IDLE_POLLS_BEFORE_REST:
            give_back_unused()

    def _poll(self) -> None:
        """Step 1: whole messages from the authoritative position, in attempts of a size that memory holds."""
        polled = self._consumer.poll(
            max_messages=1 if self._careful else self._limits.max_messages,
            max_bytes=self._limits.max_bytes,
            timeout_s=0.0 if self._under_way else self._limits.poll_timeout_s,
        )
        self._careful = max(0, self._careful - len(polled.messages))
        if polled.messages or polled.gaps:
            self._idle_polls = 0
            self._waiting.extend(split(polled, self._limits.max_records))

    def _write(self, assessed: Future[Attempt], clock: _StageClock) -> None:
        """Steps 3 and 4: what is written here is invisible until step 5."""
        attempt = assessed.result()
        clock.restart()
        insert(self._client, "attempts", _registration(attempt, self._name, self._judgement))  # 3 register
        for name, table in attempt.tables.items():  # 4 write, durably
            insert(self._client, name, table)
        clock.lap("insert")

    def _commit_oldest(self) -> None:
        """Step 5, once 3 and 4 are done; attempts commit in the order in which they were polled."""
        oldest = self._under_way[0]
        oldest.written.result()
        attempt = oldest.assessed.result()
        oldest.clock.restart()
        self._consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)  # 5 one fenced, atomic step
        oldest.clock.lap("commit")
        self._under_way.popleft()
        for message in oldest.polled.messages:
            if self._refused.pop(message_id(message), None) is None:
                self._refused_in_a_row = 0
        self.progress.add(attempt, oldest.clock)
        if attempt.dead_lettered:
            log.warning("dead-lettered", records=attempt.dead_lettered, attempt=str(attempt.attempt_id))

    def _find_refused(self, error: StoreRefused) -> None:
        """Go back to single messages; one that the store refuses even alone becomes a dead letter.

        Raises:
            StoreRefused: it refused one after the other, so the fault is not in them: nothing more is dead-lettered.
        """
        messages = self._under_way[0].polled.messages
        if len(messages) != 1:
            self._careful = sum(len(item.polled.messages) for item in self._under_way)
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row > _MOST_REFUSED_IN_A_ROW:
            raise error
        self._refused[message_id(messages[0])] = str(error)

    def _give_up(self, error: Exception, stop: Event) -> None:
        """Forget every attempt under way, wait, start again at the committed position."""
        for item in self._under_way:
            item.written.cancel()
        for item in self._under_way:
            if not item.written.cancelled():
                item.written.exception()
        self._under_way.clear()
        self._waiting.clear()
        self.progress.failed_attempts += 1
        log.warning("attempts given up", reason=str(error), retry_in_s=round(self._pause_s, 1))
        stop.wait(self._pause_s)
        self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        try:
            self._consumer.rewind()
        except BrokerUnavailable as unavailable:
            log.warning("broker unavailable", reason=str(unavailable))

    def _finish(self) -> None:
        """Commit what is under way if it can be; otherwise it is tried again after the next start."""
        try:
            while self._under_way:
                self._commit_oldest()
        except (StoreUnavailable, StoreRefused, BrokerUnavailable, CommitFenced) as error:
            log.warning("last attempts not committed", reason=str(error))

    def _publish_status(self) -> None:
        """Lag and counts for `onshore status` and the dashboard, at most once a second."""
        now = time.monotonic()
        if self._status_file is None or now < self._status_due:
            return
        self._status_due = now + _STATUS_EVERY_S
        try:
            lag = [asdict(partition) for partition in self._consumer.lag()]
        except BrokerUnavailable:
            return
        status = {"at": datetime.now(UTC).isoformat(), "lag": lag, "progress": asdict(self.progress)}
        part = self._status_file.with_suffix(f".{os.getpid()}.part")
        try:
            part.write_text(json.dumps(status))
            part.replace(self._status_file)
        except OSError as error:  # a full disk must not stop what could still be committed
            log.warning("status not published", reason=str(error))


@dataclass(slots=True)
class _StageClock:
    """Wall time of one attempt by stage."""

    stage_us: dict[str, int] = field(default_factory=dict)
    _since: int = field(default_factory=time.perf_counter_ns)

    def restart(self) -> None:
        """Leave out the time spent waiting."""
        self._since = time.perf_counter_ns()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap for `stage`."""
        now = time.perf_counter_ns()
        self.stage_us[stage] = self.stage_us.get(stage, 0) + (now - self._since) // 1000
        self._since = now


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """An attempt that is not committed yet."""

    polled: Polled
    assessed: Future[Attempt]
    written: Future[None]
    clock: _StageClock


def _registration(attempt: Attempt, worker: str, judgement: Judgement) -> pa.Table:
    """The attempt's row in `attempts`."""

    def of(value: Callable[[Advance], object]) -> list[object]:
        return [value(advance) for advance in attempt.advances]

    row: Mapping[str, object] = {
        "attempt_id": attempt.attempt_id.bytes,
        "worker": worker,
        "registered_at": datetime.now(UTC),
        "pipeline": judgement.pipeline,
        "context_digest": judgement.context.digest,
        "controls_digest": judgement.controls.digest,
        "topic_ids": of(lambda advance: advance.topic_id.bytes),
        "partitions": of(lambda advance: advance.partition),
        "first_offsets": of(lambda advance: advance.first),
        "end_offsets": of(lambda advance: advance.next_offset),
    }
    return pa.Table.from_pylist([row], schema=SCHEMAS["attempts"])
