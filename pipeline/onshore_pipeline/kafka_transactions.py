"""One commit to Kafka: log entries, dead letters and positions in one fenced transaction."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Final
from uuid import uuid4

import structlog
from kafka import KafkaProducer
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFencedError,
    RebalanceInProgressError,
    RecordListTooLargeError,
    UnknownMemberIdError,
)

from onshore_pipeline.broker import DEAD_LETTER_TOPIC, EVIDENCE_LOG_TOPIC, Outgoing
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.kafka_producer import end, producer_options
from onshore_pipeline.kafka_security import KafkaSettings, connected, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kafka import ConsumerGroupMetadata, OffsetAndMetadata, TopicPartition
    from kafka.producer.future import FutureRecordMetadata

_log = structlog.get_logger("kafka")

_LONGEST_HEADER: Final = 16_384
_ROOM_FOR_FRAMING: Final = 4_096  # what Kafka writes around a message and its headers, generously
_LAST_ANSWER_S: Final = 1.0
# Behind the time limit of a commit without an answer: the broker aborts what is older, and looks every ten seconds. The
# client may never answer: it loses a request to a broker that dies.
_PATIENCE_S: Final = 15.0
_FENCED: Final = (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    ProducerFencedError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


class Transactions:
    """The transactional producer of one worker; for one thread.

    A producer that met any trouble is thrown away: the next `open` ends what it left, by the same transactional id.
    One whose commit got no answer goes on asking; until it has one nothing else is begun, but not for ever.
    """

    def __init__(self, settings: KafkaSettings, at: Callable[[str], None] = nowhere) -> None:
        """Nothing is connected yet."""
        self._settings, self._at = settings, at
        self._id = f"{settings.transactional_id_prefix}.{settings.group_id}.{settings.member or uuid4().hex}"
        self._producer: KafkaProducer | None = None
        self._undecided: _Undecided | None = None
        self._largest = settings.max_message_bytes

    def open(self) -> None:
        """Connect and end what an earlier producer of this id left open; quick when that is done.

        Raises `BrokerUnavailable`.
        """
        if self._producer is not None:
            return
        self._settle()
        producer = connected(
            self._settings,
            KafkaProducer,
            **producer_options(self._settings),
            transactional_id=self._id,
            transaction_timeout_ms=int(self._settings.commit_timeout_s * 1000),
        )
        with kafka_errors(self._settings, "open transactions"):
            try:
                producer.init_transactions()
            except BaseException:
                _discard(producer)
                raise
        self._producer = producer

    def reopen(self) -> None:
        """`open` anew, also where nothing went wrong: what anybody has begun under this id can commit no more."""
        producer, self._producer = self._producer, None
        if producer is not None:
            _discard(producer)
        self.open()

    def commit(
        self,
        entries: Sequence[bytes],
        dead_letters: Sequence[Outgoing],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        member: ConsumerGroupMetadata | None,
    ) -> None:
        """Append and move the positions in one step; a dead letter that the broker finds too large goes without value.

        `member` is None where no positions move. Raises `CommitFenced` (nothing was written) and `BrokerUnavailable`
        (unknown: look at the positions).
        """
        largest = self._largest
        while True:
            letters = tuple(_fitting(each, largest) for each in dead_letters)
            try:
                return self._commit(entries, letters, offsets, member)
            except _TooLarge as refused:  # nothing was committed; each turn leaves at least one value out
                largest = refused.size - 1
                if member is None:  # opening anew fences, and who amends must then read the log again first
                    self._largest = largest
                    raise BrokerUnavailable(f"Kafka at {self._settings.servers}: a dead letter is too large") from None
                _log.warning("a dead letter is too large for its topic; its value is in the store only", bytes=largest)

    def _commit(
        self,
        entries: Sequence[bytes],
        dead_letters: Sequence[Outgoing],
        offsets: Mapping[TopicPartition, OffsetAndMetadata],
        member: ConsumerGroupMetadata | None,
    ) -> None:
        self.open()
        producer, self._producer = self._producer, None
        assert producer is not None
        patience_s = self._settings.commit_timeout_s
        step = _Step(lambda: _transact(producer, entries, dead_letters, offsets, member, self._at, patience_s))
        if not step.ends_within(self._settings.commit_timeout_s):
            self._undecided = _Undecided(step, producer, time.monotonic() + _PATIENCE_S)
            raise BrokerUnavailable(
                f"Kafka at {self._settings.servers}: no answer to a commit for {self._settings.commit_timeout_s:g} s"
            )
        if step.error is None:
            self._producer = producer
            return
        # abort if the broker still lets us, so that readers need not wait for the transaction's time limit
        _Step(producer.abort_transaction).ends_within(self._settings.request_timeout_s)
        _discard(producer)
        if isinstance(step.error, _TooLarge):
            raise step.error
        # a message sent after the refusal came is refused with an error that holds the first one
        if any(isinstance(each, _FENCED) for each in (step.error, *step.error.args)):
            raise CommitFenced(f"Kafka at {self._settings.servers}: another worker took over: {step.error}")
        raise BrokerUnavailable(f"Kafka at {self._settings.servers}: cannot commit: {step.error}") from step.error

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        producer, self._producer = self._producer, None
        undecided, self._undecided = self._undecided, None
        for each in (producer, undecided.producer if undecided else None):
            if each is not None:
                _discard(each)

    def _settle(self) -> None:
        """Let go of a commit that got no answer, once it has one or the broker must have aborted it by itself."""
        if self._undecided is None:
            return
        if not self._undecided.step.ends_within(0) and time.monotonic() < self._undecided.give_up_at:
            raise BrokerUnavailable(f"Kafka at {self._settings.servers}: the last commit still has no answer")
        _discard(self._undecided.producer)
        self._undecided = None


class _Step:
    """A call on a thread of its own: the client's waits for transactions have no time limit."""

    def __init__(self, call: Callable[[], None]) -> None:
        self.error: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._run, name="kafka-commit", daemon=True)
        self._thread.start()

    def ends_within(self, seconds: float) -> bool:
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - for the thread that waits
            self.error = error


@dataclass(frozen=True, slots=True)
class _Undecided:
    step: _Step
    producer: KafkaProducer
    give_up_at: float


def _discard(producer: KafkaProducer) -> None:
    end(producer, _LAST_ANSWER_S)


def _transact(
    producer: KafkaProducer,
    entries: Sequence[bytes],
    dead_letters: Sequence[Outgoing],
    offsets: Mapping[TopicPartition, OffsetAndMetadata],
    member: ConsumerGroupMetadata | None,
    at: Callable[[str], None],
    patience_s: float,
) -> None:
    producer.begin_transaction()
    if offsets:
        # first, so that a worker that lost its partitions is refused before it wrote anything
        producer.send_offsets_to_transaction(dict(offsets), member)
    at("5.offsets")
    # one partition keeps the entries of a topic-partition in order, whichever worker wrote them
    acks = [producer.send(EVIDENCE_LOG_TOPIC, value=entry, partition=0) for entry in entries]
    acks += [
        producer.send(DEAD_LETTER_TOPIC, value=letter.value, key=letter.key, headers=list(letter.headers))
        for letter in dead_letters
    ]
    _await(acks, dead_letters, patience_s)
    at("5.entries")
    producer.commit_transaction()
    at("5.committed")


class _TooLarge(Exception):
    """The broker refused a dead letter of so many bytes for its size."""

    def __init__(self, size: int) -> None:
        self.size = size
        super().__init__(f"a dead letter of {size} bytes")


def _await(acks: Sequence[FutureRecordMetadata], letters: Sequence[Outgoing], patience_s: float) -> None:
    """Wait until the broker has said yes to each; the last acks are those of `letters`.

    Not by `flush`, which fails where a batch was too large and was split.

    Raises `_TooLarge` with the smallest letter that was refused for its size, and any other refusal as it is.
    """
    refused: list[int] = []
    for ack, letter in zip_longest(reversed(acks), reversed(letters)):
        try:
            ack.get(patience_s)
        except (MessageSizeTooLargeError, RecordListTooLargeError):
            if letter is None or not letter.value:
                raise
            refused.append(_size(letter))
        except KafkaError:
            if not refused:  # else it failed with the transaction
                raise
    if refused:
        raise _TooLarge(min(refused))


def _size(letter: Outgoing) -> int:
    """Bytes of a letter in Kafka, generously."""
    return len(letter.value) + sum(len(name) + len(value) for name, value in letter.headers) + _ROOM_FOR_FRAMING


def _fitting(letter: Outgoing, max_bytes: int) -> Outgoing:
    """The letter, or, where the original and its headers are more than a message may be, one that names it.

    The store has the original bytes; a letter that Kafka refuses would block its partition for ever.
    """
    headers = [(name, value[:_LONGEST_HEADER]) for name, value in letter.headers]
    whole = Outgoing(letter.value, tuple(headers), letter.key)
    if _size(whole) <= max_bytes:
        return whole
    about = (
        ("onshore-dead-letter-bytes", str(len(letter.value)).encode()),
        ("onshore-dead-letter-sha256", hashlib.sha256(letter.value).hexdigest().encode()),
    )
    ours = [(name, value) for name, value in headers if name.startswith("onshore-dead-letter-")]
    return Outgoing(b"", (*ours, *about), letter.key)
