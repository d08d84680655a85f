"""The worker: one member of the consumer group, from messages to committed evidence.

The numbers are the steps of docs/commit-protocol.md. While one attempt is written, the next ones are already computed;
attempts are written and committed in the order in which they were polled.
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog

from onshore_pipeline.assess import Judgement, assess, message_id
from onshore_pipeline.batches import BatchLimits, split
from onshore_pipeline.dead_letter_limit import DeadLetterWatch
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced, PartitionDamaged, StoreRefusesAll, StoreUnavailable
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.memory import give_back_unused
from onshore_pipeline.registration import registration
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.rules import FixedRules
from onshore_pipeline.store.connect import StoreRefused
from onshore_pipeline.store.writer import insert
from onshore_pipeline.waits import Waits
from onshore_pipeline.wire.frames import Failure
from onshore_pipeline.worker_status import Progress, StageClock, StatusFile

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Attempt, MessageId
    from onshore_pipeline.broker import Consumer, Polled
    from onshore_pipeline.rules import Rules

log = structlog.get_logger("worker")

_IDLE_POLLS_BEFORE_REST: Final = 20
_TICK_S: Final = 0.5  # how often a worker that waits keeps its partitions, says so and looks whether to stop
_LAST_ANSWER_S: Final = 2.0  # twice this is below what the supervisor grants
_PING_S: Final = 2.0
# Beyond this the store, not the messages, is what is wrong.
_MOST_REFUSED_IN_A_ROW: Final = 5


class Worker:
    """Polls, assesses, writes, commits; until told to stop."""

    def __init__(
        self,
        consumer: Consumer,
        client: Client,
        judgement: Judgement | Rules,
        limits: BatchLimits,
        *,
        status: StatusFile | None = None,
        dead_letters: DeadLetterWatch | None = None,
        at: Callable[[str], None] = nowhere,
    ) -> None:
        """Take ready parts; the caller closes them. `at` is told before and after every step (see `failpoints`)."""
        self._consumer, self._client, self._limits = consumer, client, limits
        self._rules = FixedRules(judgement) if isinstance(judgement, Judgement) else judgement
        self._status, self._texts = status or StatusFile(), RuleTexts()
        self._dead_letters = dead_letters or DeadLetterWatch()
        self._at, self._waits = at, Waits()
        self._broken = Event()  # a write failed: nothing behind it is written either
        self._name = f"{socket.gethostname()}:{os.getpid()}"
        self._waiting: deque[Polled] = deque()  # polled, and not begun for want of room
        self._under_way: deque[_UnderWay] = deque()
        self._idle_polls = 0
        self._careful = 0  # messages to take one at a time, because the store refused a batch that held them
        self._refused: dict[MessageId, tuple[Failure, ...]] = {}
        self._refused_in_a_row = 0
        self.progress = Progress()

    def run(self, stop: Event) -> bool:
        """Work until `stop` is set; attempts under way are finished first.

        Returns:
            False when an insert still had no answer in the end: its thread lives on, and only the end of the process
            ends it.
        """
        assessing = ThreadPoolExecutor(self._limits.assess_at_once, thread_name_prefix="assess")
        writing = ThreadPoolExecutor(1, thread_name_prefix="write")
        try:
            while not stop.is_set():
                try:
                    if not self._begin(assessing, writing):
                        if self._under_way:
                            self._commit_oldest()
                        else:
                            self._rest()
                except (StoreUnavailable, BrokerUnavailable, CommitFenced) as error:
                    self._give_up(error, stop)
                except StoreRefused as error:
                    self._find_refused(error)
                    self._give_up(error, stop)
                except PartitionDamaged:
                    self._finish()
                    raise
                self._say()
            self._finish()
        finally:
            answered = self._all_answered(_LAST_ANSWER_S)
            for threads in (assessing, writing):
                threads.shutdown(wait=answered, cancel_futures=True)
        return answered

    def _begin(self, assessing: ThreadPoolExecutor, writing: ThreadPoolExecutor) -> bool:
        """Step 1, and 2 to 4 in the background; false when there is no room for another attempt or nothing to read."""
        if len(self._under_way) >= self._limits.most_under_way:
            return False
        if not self._waiting:
            self._poll()
        if not self._waiting:
            return False
        polled = self._waiting.popleft()
        clock, judgement = StageClock(), self._rules.in_force()
        assessed = assessing.submit(self._compute, polled, judgement, dict(self._refused), clock)
        written = writing.submit(self._write, assessed, judgement, clock)  # one thread: attempts are written in order
        ids = tuple(message_id(message) for message in polled.messages)  # the messages themselves are not kept
        self._under_way.append(_UnderWay(ids, assessed, written, clock))
        return True

    def _rest(self) -> None:
        """Give memory back once after work, when nothing has come for a while."""
        self._waits.end()
        self._idle_polls += 1
        if self._idle_polls == _IDLE_POLLS_BEFORE_REST:
            give_back_unused()

    def _poll(self) -> None:
        """Step 1: whole messages from the authoritative position, in attempts of a size that memory holds."""
        self._at("1.before")
        polled = self._consumer.poll(  # 1 poll
            max_messages=1 if self._careful else self._limits.max_messages,
            max_bytes=self._limits.max_bytes,
            timeout_s=0.0 if self._under_way else self._limits.poll_timeout_s,
        )
        self._careful = max(0, self._careful - len(polled.messages))
        if polled.messages or polled.gaps:
            self._at("1.after")
            self._idle_polls = 0
            self._waiting.extend(split(polled, self._limits.max_records))

    def _compute(
        self, polled: Polled, judgement: Judgement, refused: dict[MessageId, tuple[Failure, ...]], clock: StageClock
    ) -> Attempt:
        """Step 2, in memory."""
        self._at("2.before")
        attempt = assess(polled, judgement, uuid4(), clock.lap, failed=refused)  # 2 compute
        self._at("2.after")
        return attempt

    def _write(self, assessed: Future[Attempt], judgement: Judgement, clock: StageClock) -> None:
        """Steps 3 and 4: what is written here is invisible until step 5."""
        attempt = assessed.result()
        clock.restart()
        row = registration(attempt, self._name, judgement, datetime.now(UTC))
        try:
            self._texts.keep(self._client, judgement)
            self._at("3.before")
            self._insert("attempts", row)  # 3 register
            self._at("3.after")
            self._at("4.before")
            for name, table in attempt.tables.items():  # 4 write, durably
                self._insert(name, table)
                self._at(f"4.{name}")
            self._at("4.after")
        except BaseException:
            self._broken.set()
            raise
        clock.lap("insert")

    def _insert(self, name: str, table: pa.Table) -> None:
        if self._broken.is_set():
            raise StoreUnavailable("an earlier insert failed, and attempts are written in order")
        insert(self._client, name, table)

    def _commit_oldest(self) -> None:
        """Step 5, once 3 and 4 are known to be done; attempts commit in the order in which they were polled."""
        oldest = self._under_way[0]
        if not wait((oldest.written,), _TICK_S).done:
            self._hold(0.0)
            if oldest.assessed.done():
                self._waits.for_answer("store", "an insert has no answer yet")
            return
        oldest.written.result()  # raises: the outcome of steps 3 and 4 is not known to be good, so there is no step 5
        attempt = oldest.assessed.result()
        outcome = self._dead_letters.checked(attempt)  # raises: nothing of it is committed, and the worker stops
        oldest.clock.restart()
        self._at("5.before")
        self._consumer.commit(attempt.entries, attempt.advances, attempt.dead_letters)  # 5 commit, fenced and atomic
        self._at("5.after")
        oldest.clock.lap("commit")
        self._dead_letters.add(outcome)
        self._waits.end()
        self._under_way.popleft()
        for message in oldest.messages:
            if self._refused.pop(message, None) is None:
                self._refused_in_a_row = 0
        self.progress.add(attempt, oldest.clock)
        if attempt.dead_lettered:
            log.warning("dead-lettered", records=attempt.dead_lettered, attempt=str(attempt.attempt_id))

    def _find_refused(self, error: StoreRefused) -> None:
        """Go back to single messages; one that the store refuses even alone becomes a dead letter.

        Raises:
            StoreRefusesAll: it refused one after the other, so the fault is not in them: nothing more is dead-lettered.
        """
        messages = self._under_way[0].messages
        if len(messages) != 1:
            self._careful = sum(len(item.messages) for item in self._under_way)
            return
        self._refused_in_a_row += 1
        if self._refused_in_a_row > _MOST_REFUSED_IN_A_ROW:
            raise StoreRefusesAll(_MOST_REFUSED_IN_A_ROW, str(error)) from error
        self._refused[messages[0]] = (Failure(0, None, "write", str(error)),)

    def _give_up(self, error: Exception, stop: Event) -> None:
        """Forget every attempt under way, wait until it may go better, start again at the committed position."""
        self._waits.begin_after(error)
        self.progress.failed_attempts += 1
        pause_s = self._waits.next_pause_s()
        log.warning("attempts given up", reason=str(error), retry_in_s=round(pause_s, 1))
        self._broken.set()
        while not (self._all_answered(_TICK_S) or stop.is_set()):
            self._hold(0.0)
            self._say()
        self._under_way.clear()
        self._waiting.clear()
        self._sit_out(pause_s, stop)
        self._broken.clear()
        try:
            self._consumer.rewind()
        except BrokerUnavailable as unavailable:
            log.warning("broker unavailable", reason=str(unavailable))

    def _sit_out(self, pause_s: float, stop: Event) -> None:
        """Fetch and compute nothing for `pause_s`, and until a store that was down answers again."""
        until = time.monotonic() + pause_s
        while not stop.is_set():
            left_s = until - time.monotonic()
            if left_s <= 0:
                if not self._waits.is_for("store") or self._client.ping(_PING_S):
                    return
                until = time.monotonic() + self._waits.next_pause_s()
            self._hold(max(0.0, min(_TICK_S, left_s)), stop)
            self._say()

    def _hold(self, timeout_s: float, stop: Event | None = None) -> None:
        """Keep the partitions; a broker that is away does not end the wait for the store."""
        try:
            self._consumer.hold(timeout_s)
        except BrokerUnavailable as error:
            log.warning("broker unavailable", reason=str(error))
            if stop is not None:
                stop.wait(timeout_s)

    def _all_answered(self, timeout_s: float) -> bool:
        """Whether no attempt under way is being written any more, within `timeout_s`."""
        for item in self._under_way:
            item.written.cancel()
        return not wait([item.written for item in self._under_way], timeout_s).not_done

    def _say(self) -> None:
        self._status.publish(self._consumer, self.progress, {**self._waits.state(), **self._rules.state()})

    def _finish(self) -> None:
        """Commit what is under way if it can be soon; otherwise it is tried again after the next start."""
        until = time.monotonic() + _LAST_ANSWER_S
        try:
            while self._under_way and time.monotonic() < until:
                self._commit_oldest()
        except (StoreUnavailable, StoreRefused, BrokerUnavailable, CommitFenced) as error:
            log.warning("last attempts not committed", reason=str(error))
        self._broken.set()


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """An attempt that is not committed yet."""

    messages: tuple[MessageId, ...]
    assessed: Future[Attempt]
    written: Future[None]
    clock: StageClock
