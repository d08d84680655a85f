"""What the worker, the sequencer and the receiver ask of a broker.

Two implementations: `embedded.local_log` (SQLite on one machine) and `kafka_broker` (Apache Kafka and what speaks its
protocol). One contract suite holds both to these promises (tests/contracts/).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from onshore_pipeline.numbered import Numbered

ACTIONS_TOPIC: Final = "onshore_actions"  # what operators do, as OTLP logs; nothing but their commands may write it
EVENT_TOPICS: Final = ("otlp_logs", "otlp_spans", "otlp_traces", "otlp_metrics", ACTIONS_TOPIC)
RAW_TOPIC_PREFIX: Final = "raw."  # `raw.FORMAT`: each message one record in that format; Kafka only
EVIDENCE_LOG_TOPIC: Final = "onshore_evidence_log"
DEAD_LETTER_TOPIC: Final = "onshore_dead_letters"
STORES_TOPIC: Final = "onshore_stores"
FINDINGS_TOPIC: Final = "onshore_findings"  # OCSF, one change of a finding a message, keyed by it: for a SIEM

TENANT_HEADER: Final = "onshore-tenant"
ENCODING_HEADER: Final = "onshore-encoding"
COLLECTOR_HEADER: Final = "onshore-collector"
SEQUENCE_HEADER: Final = "onshore-sequence"
RUN_HEADER: Final = "onshore-run"
SENSOR_HEADER: Final = "onshore-sensor"  # the collector whose credential it came with; set by the receiver alone

Clock = Literal["broker", "sender"]


@dataclass(frozen=True, slots=True)
class Message:
    """One message as the broker holds it; (topic_id, partition, offset) is its identity for ever.

    Attributes:
        topic: the topic's name.
        topic_id: the topic's own UUID; a topic made again under the same name has another.
        partition: partition number.
        offset: position in the partition.
        timestamp_ns: nanoseconds since 1970-01-01T00:00:00Z, by the clock that `clock` names.
        clock: 'broker' when the broker stamped it on append, 'sender' when the sender claims it.
        headers: as sent, order kept.
        value: the bytes, untouched; of a message that cannot be read, what there is of it.
        unreadable: why the broker's client cannot read it; '' for one that it can.
    """

    topic: str
    topic_id: UUID
    partition: int
    offset: int
    timestamp_ns: int
    clock: Clock
    headers: tuple[tuple[str, bytes], ...]
    value: bytes
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to append; one that is `numbered` only once."""

    value: bytes
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
    numbered: Numbered | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message lies for ever; fields as in `Message`."""

    topic: str
    topic_id: UUID
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Gap:
    """Offsets [first, end) of a partition that nobody processed and the broker has no message for.

    Attributes:
        topic: the topic's name.
        topic_id: the topic's own UUID.
        partition: partition number.
        first: the first of these offsets.
        end: behind the last of them.
        empty: how many of them, the last ones, never were a committed message, as the broker's log still shows: Kafka's
            transaction markers and what was aborted. Those in front of them were deleted before anybody processed them.
    """

    topic: str
    topic_id: UUID
    partition: int
    first: int
    end: int
    empty: int = 0


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll returned, in offset order within each partition; a gap ends where the next message begins."""

    messages: tuple[Message, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Advance:
    """Partition progress that a commit makes: every offset in [first, next_offset) has its entry in the same commit."""

    topic: str
    topic_id: UUID
    partition: int
    first: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class LoggedEntry:
    """One entry of the authoritative evidence log, as read back.

    Attributes:
        partition: partition of the log topic.
        position: offset in that partition; strictly rising, holes allowed (Kafka's transaction markers).
        timestamp_ns: when the broker appended it.
        value: canonical JSON, byte for byte as committed.
    """

    partition: int
    position: int
    timestamp_ns: int
    value: bytes


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far the consumer group is behind on one partition."""

    topic: str
    partition: int
    next_offset: int
    end_offset: int


@dataclass(frozen=True, slots=True)
class Retained:
    """What the broker still keeps of a partition: offsets [begin, end), not each of them a message."""

    topic: str
    topic_id: UUID
    partition: int
    begin: int
    end: int


class Producer(Protocol):
    """Appends messages. What `send` returned from is durable (fsync, or acks=all)."""

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Append in order; return when durable.

        A message that is `numbered` like the last of its stream is not appended again; how long that is remembered is
        the broker's to say. Raises `OutOfSequence` for one that was overtaken: nothing was appended.


        Raises `BrokerUnavailable`: then nothing may be acknowledged. Raises `MessageTooLarge` for a message that this
        broker will never take; those in front of it may have been appended.
        """
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class Recorder(Protocol):
    """Appends one message and says where it lies: for what people do, a message at a time."""

    def record(self, topic: str, message: Outgoing) -> Place:
        """Append; return when durable. Raises `BrokerUnavailable`, after which it may or may not have been appended."""
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class Consumer(Protocol):
    """One member of the consumer group that turns messages into evidence."""

    def poll(self, *, max_messages: int, max_bytes: int, timeout_s: float) -> Polled:
        """Next whole messages not yet polled by this member; at least one if any waits, even above `max_bytes`.

        Starts from the authoritative position (what the evidence log says was committed), never from a default.

        Raises `BrokerUnavailable`. Raises `CommitFenced` or `NameTaken` when another member took over for good and this
        one will never be able to commit again: close it. Raises `LogInUse` when another process must be stopped first.
        Raises `PartitionDamaged` when what the broker has cannot be read on, however often.
        """
        ...

    def hold(self, timeout_s: float) -> None:
        """Fetch nothing for `timeout_s`, and keep the partitions: for a member that cannot take more at the moment.

        Called again and again it may last for ever. What was polled may still be committed, and the next poll goes on
        behind it.

        Raises `BrokerUnavailable`. Where partitions change hands meanwhile, `commit` and `poll` find out.
        """
        ...

    def commit(
        self, entries: Sequence[bytes], advances: Sequence[Advance], dead_letters: Sequence[Outgoing] = ()
    ) -> None:
        """Append `entries` to the evidence log and move the positions, in one atomic, fenced step.

        `dead_letters` go to the dead-letter topic in the same step.

        Raises `CommitFenced` when any partition's committed position is not `first` or another member owns it: then
        nothing was written. Raises `BrokerUnavailable` when the outcome is unknown or nothing was written: call
        `rewind` and poll again, the positions tell.
        """
        ...

    def rewind(self) -> None:
        """Forget what was polled but not committed; the next poll starts at the committed positions."""
        ...

    def lag(self) -> tuple[PartitionLag, ...]:
        """How far the group is behind, for every partition of the topics read by this member.

        Raises `BrokerUnavailable`, also while it is not settled which partitions are this member's.
        """
        ...

    def close(self) -> None:
        """Leave the group; safe to call twice."""
        ...


class Amender(Protocol):
    """Appends entries about messages that have entries already. One is in power at a time: whoever began last."""

    def begin(self, after: dict[int, int]) -> tuple[LoggedEntry, ...]:
        """Take over, then give the entries behind the positions `after` that name a dead letter.

        Nothing that was begun earlier, by this amender or another, can be committed any more; what an earlier one did
        commit is among the entries. Raises `BrokerUnavailable`.
        """
        ...

    def commit(self, entries: Sequence[bytes], dead_letters: Sequence[Outgoing] = ()) -> None:
        """Append entries, and dead letters to their topic, in one atomic step.

        Raises `CommitFenced` when another began since our `begin`, or none of ours came before: nothing was written.
        Raises `BrokerUnavailable` when the outcome is unknown. After either, `begin` again and look.
        """
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


def names_dead_letter(entry: bytes) -> bool:
    """Whether an entry amends or discards a dead letter; quotes inside of a text would be escaped."""
    return b'"dead_letter":"' in entry


class EntryReader(Protocol):
    """Reads the evidence log in order, committed entries only."""

    @property
    def log_id(self) -> UUID:
        """The log topic's own UUID: positions mean something within it only."""
        ...

    def read(self, *, after: dict[int, int], max_entries: int, timeout_s: float) -> tuple[LoggedEntry, ...]:
        """Entries behind the positions `after` (partition → last position seen; absent = from the beginning).

        In position order within a partition. Returns early with what there is; empty after `timeout_s` of nothing.
        Raises `BrokerUnavailable`.
        """
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...


class MessageReader(Protocol):
    """Reads kept messages again, by their offsets: outside of the consumer group, moving nothing."""

    def retained(self, *, dead_letters: bool = False) -> tuple[Retained, ...]:
        """What is kept of every partition of the event topics, or of the dead-letter topic.

        Raises `BrokerUnavailable`.
        """
        ...

    def read(self, source: Retained, first: int, end: int, *, max_bytes: int) -> tuple[Message, ...]:
        """Messages with offsets in [first, end) that are kept, in order, as the worker was given them.

        One at least if any is kept there; fewer than asked where `max_bytes` of values are reached: ask for the rest.
        Raises `BrokerUnavailable`.
        """
        ...

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        ...
