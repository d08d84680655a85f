"""The worker's side of Kafka: a member of the consumer group whose positions move only with the evidence log."""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kafka import KafkaAdminClient, OffsetAndMetadata, TopicPartition
from kafka.errors import FencedInstanceIdError, NoOffsetForPartitionError, OffsetOutOfRangeError

from onshore_pipeline.broker import Advance, Gap, Message, Outgoing, PartitionLag, Polled
from onshore_pipeline.errors import BrokerUnavailable, CommitFenced
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.kafka_bounded import BoundedConsumer, DamagedBatch
from onshore_pipeline.kafka_damage import Damage
from onshore_pipeline.kafka_entries import KafkaEntryReader, gap_before, held_bytes, message_of, reading_options
from onshore_pipeline.kafka_membership import (
    Assignor,
    GroupWatch,
    Rebalances,
    go_on_joining,
    is_joining,
    member_options,
)
from onshore_pipeline.kafka_positions import LoggedPositions, Owned, Place
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors
from onshore_pipeline.kafka_topics import Topic, describe_topics
from onshore_pipeline.kafka_transactions import Transactions

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kafka.consumer.fetcher import ConsumerRecord

__all__ = ["KafkaConsumer", "KafkaEntryReader", "KafkaSettings"]

_FETCH_MESSAGES: Final = 200  # taken over from the client at once
_FETCH_BYTES_A_PARTITION: Final = 2 << 20  # held for each, compressed, until handed out; one larger batch still comes
_TOP_UP_MS: Final = 20  # how long to wait for more once there is something to hand out
_CLOSE_MS: Final = 5000


class KafkaConsumer:
    """One member of the consumer group; for one thread."""

    def __init__(
        self, settings: KafkaSettings, at: Callable[[str], None] = nowhere, check: Callable[[], object] = lambda: None
    ) -> None:
        """Connect; the first polls join the group, and `check` whose the log is. Raises `BrokerUnavailable`."""
        self._settings, self._check = settings, check
        self._timeout_ms = int(settings.request_timeout_s * 1000)
        self._transactions = Transactions(settings, at)
        self._positions = LoggedPositions(settings)
        assignor = Assignor()
        self._rebalances = Rebalances(assignor)
        self._topics: dict[str, Topic] = {}  # subscribed to
        self._places: dict[TopicPartition, Place] = {}
        self._waiting: deque[Message] = deque()  # fetched, not yet handed out
        self._waiting_bytes = 0
        self._look_for_topics_at = 0.0
        self._damage = Damage(settings.servers)
        self._admin = connected(settings, KafkaAdminClient, **client_options(settings))
        try:
            self._consumer = connected(
                settings,
                BoundedConsumer,
                **reading_options(settings) | {"max_partition_fetch_bytes": _FETCH_BYTES_A_PARTITION},
                **member_options(settings, assignor),
            )
        except BaseException:
            self._admin.close()
            raise
        self._watch = GroupWatch(settings, self._admin, self._consumer, assignor)

    def poll(self, *, max_messages: int, max_bytes: int, timeout_s: float) -> Polled:
        """Next whole messages. Offsets without a message (deleted, or Kafka's own markers) come back as gaps."""
        deadline = time.monotonic() + timeout_s
        self._watch.check(self._topics)  # before the next step, which would fence the one that has it now
        self._transactions.open()  # ends what an earlier attempt left open, so that the positions are final
        with kafka_errors(self._settings, "poll"):
            while len(self._waiting) < max_messages and self._waiting_bytes < max_bytes:
                left_ms = max(0, int((deadline - time.monotonic()) * 1000))
                if not self._fetch(_TOP_UP_MS if self._waiting else left_ms) and (self._waiting or not left_ms):
                    break
        return self._hand_out(max_messages, max_bytes)

    def hold(self, timeout_s: float) -> None:
        """Poll with every partition paused: heartbeats and `max_poll_interval_s` see a member that lives."""
        fetched: dict[TopicPartition, list[ConsumerRecord]] = {}
        with kafka_errors(self._settings, "stay in the group"):
            if not self._consumer.subscription():
                time.sleep(timeout_s)
                return
            with suppress(KeyError):  # changed hands this very moment: the next poll notices
                self._consumer.pause(*self._consumer.assignment())
            # a partition just given to us may have no position: the next poll looks where it begins
            with suppress(NoOffsetForPartitionError, OffsetOutOfRangeError):
                go_on_joining(self._consumer)
                fetched = self._consumer.poll(timeout_ms=int(timeout_s * 1000))
            for source, records in fetched.items():
                self._consumer.seek(source, records[0].offset)  # read again by the next poll

    def commit(
        self, entries: Sequence[bytes], advances: Sequence[Advance], dead_letters: Sequence[Outgoing] = ()
    ) -> None:
        """Append entries and dead letters and move the positions, in one transaction. Raises as the protocol says."""
        member = self._consumer.group_metadata()  # before the checks: what changes after them fences this snapshot
        with kafka_errors(self._settings, "look at the positions"):
            offsets = self._checked(member.generation_id, advances)
        self._transactions.commit(entries, dead_letters, offsets, member)
        for source, offset in offsets.items():
            place = self._places[source]
            place.found = place.committed = offset.offset

    def rewind(self) -> None:
        """Forget what was polled but not committed; the next poll asks the broker for the positions."""
        self._forget()
        self._rebalances.happened.set()
        self._watch.doubt()

    def lag(self) -> tuple[PartitionLag, ...]:
        """How far the group is behind on the partitions that this member owns.

        Raises `BrokerUnavailable`, also while it is not settled which ones those are.
        """
        if self._rebalances.happened.is_set() or is_joining(self._consumer):
            raise BrokerUnavailable(f"Kafka at {self._settings.servers}: partitions are changing hands")
        sources = sorted(self._places)
        with kafka_errors(self._settings, "look at the ends"):
            ends = self._consumer.end_offsets(sources, timeout_ms=self._timeout_ms) if sources else {}
            owned = self._consumer.assignment()
            known = {each: self._consumer.highwater(each) or 0 for each in sources if each in owned}
        return tuple(
            PartitionLag(
                each.topic,
                each.partition,
                self._places[each].committed,
                max(ends[each], known.get(each, 0), self._places[each].next_offset),
            )
            for each in sources
        )

    def close(self) -> None:
        """Leave the group and release the connections; safe to call twice."""
        with kafka_errors(self._settings, "close the consumer"):
            self._transactions.close()
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)
            self._admin.close()

    def _fetch(self, timeout_ms: int) -> bool:
        """Move what the client has into `_waiting`; whether there was anything."""
        if not self._subscribed():
            time.sleep(timeout_ms / 1000)
            return False
        with suppress(KeyError):  # as above
            self._consumer.resume(*self._consumer.paused())
        fetched: dict[TopicPartition, list[ConsumerRecord]] = {}
        try:
            go_on_joining(self._consumer)
            fetched = self._consumer.poll(timeout_ms=timeout_ms, max_records=_FETCH_MESSAGES)
        except NoOffsetForPartitionError:
            pass  # just given to us: its position is set below
        except OffsetOutOfRangeError as error:
            self._go_on_behind_lost(error.args[0])
        except DamagedBatch as error:
            self._damage.met(error, may_stop=not self._waiting)  # what is in front of it is handed out first
            time.sleep(_TOP_UP_MS / 1000)
        except FencedInstanceIdError as error:
            raise self._watch.taken() from error
        if self._rebalances.happened.is_set():
            kept = self._take_over()  # what else was fetched may stem from a position that was not checked
            fetched = {source: records for source, records in fetched.items() if source in kept}
        for source, records in fetched.items():
            place = self._places.get(source)
            if place is not None:
                messages = [message_of(record, place.topic_id) for record in records]
                self._waiting.extend(messages)
                self._waiting_bytes += sum(map(held_bytes, messages))
        return bool(fetched)

    def _hand_out(self, max_messages: int, max_bytes: int) -> Polled:
        messages: list[Message] = []
        gaps: list[Gap] = []
        size = 0
        begins: dict[TopicPartition, int] = {}
        while self._waiting and len(messages) < max_messages:
            message = self._waiting[0]
            size += held_bytes(message)
            if messages and size > max_bytes:
                break
            source = TopicPartition(message.topic, message.partition)
            place = self._places[source]
            if message.offset > place.next_offset:
                if source not in begins:
                    begins |= self._begins([source])
                gaps.append(gap_before(message, place.next_offset, begins[source]))
            self._waiting.popleft()
            self._waiting_bytes -= held_bytes(message)
            place.next_offset = message.offset + 1
            messages.append(message)
        return Polled(tuple(messages), tuple(gaps))

    def _begins(self, sources: list[TopicPartition]) -> dict[TopicPartition, int]:
        """The oldest offset that the broker has the log of."""
        with kafka_errors(self._settings, "look at the beginnings"):
            return dict(self._consumer.beginning_offsets(sources, timeout_ms=self._timeout_ms))

    def _forget(self) -> None:
        self._places.clear()
        self._waiting.clear()
        self._waiting_bytes = 0

    def _subscribed(self) -> bool:
        """Keep the subscription at the event topics that exist; subscribing to others might make them."""
        if time.monotonic() >= self._look_for_topics_at:
            self._topics = describe_topics(self._settings, self._admin, self._settings.topics)
            self._look_for_topics_at = time.monotonic() + self._settings.look_for_topics_s
            if self._topics and set(self._topics) != self._consumer.subscription():
                self._consumer.subscribe(sorted(self._topics), listener=self._rebalances)
        return bool(self._consumer.subscription())

    def _take_over(self) -> set[TopicPartition]:
        """Let go of what was taken from us, begin where the new ones stand; gives the partitions that we kept."""
        taken, owned = self._rebalances.all_taken(), self._consumer.assignment()
        self._places = {each: place for each, place in self._places.items() if each in owned and each not in taken}
        kept = set(self._places)
        self._waiting = deque(each for each in self._waiting if TopicPartition(each.topic, each.partition) in kept)
        self._waiting_bytes = sum(map(held_bytes, self._waiting))
        if sources := sorted(owned - kept):
            self._begin(sources)
        return kept

    def _begin(self, sources: list[TopicPartition]) -> None:
        """Find where partitions that are new to us stand, and go there."""
        try:
            self._check()
            topics = describe_topics(self._settings, self._admin, {source.topic for source in sources})
            begins = self._begins(sources)
            ends = self._consumer.end_offsets(sources, timeout_ms=self._timeout_ms)
            owned = [
                Owned(each, topics[each.topic].topic_id, begins[each], ends[each], self._committed(each))
                for each in sources
                if each.topic in topics
            ]
            starts = self._positions.starts(owned)  # after the group's offsets: entries are not seen before these
            for each in owned:
                found, start = each.committed, starts[each.source]
                self._places[each.source] = Place(each.topic_id, found and found.offset, start, start)
            for source in sources:
                place = self._places.get(source)
                self._consumer.seek(source, max(place.next_offset if place else 0, begins[source]))
        except BaseException:
            self.rewind()  # all or nothing: the next poll tries again
            raise

    def _committed(self, source: TopicPartition) -> OffsetAndMetadata | None:
        """What the group committed; waits for open transactions."""
        return self._consumer.committed(source, metadata=True, timeout_ms=self._timeout_ms)

    def _go_on_behind_lost(self, positions: dict[TopicPartition, int]) -> None:
        """Move to the oldest message left; the gap shows when it is handed out."""
        begins = self._begins(list(positions))
        for source, position in positions.items():
            if position > begins[source]:
                raise BrokerUnavailable(
                    f"Kafka at {self._settings.servers}: {source.topic}[{source.partition}] ends before offset"
                    f" {position}, which was there before: the cluster lost messages. Offsets would be used twice;"
                    " make the topic again"
                )
            self._consumer.seek(source, begins[source])

    def _checked(self, generation: int, advances: Sequence[Advance]) -> dict[TopicPartition, OffsetAndMetadata]:
        """The offsets to commit, if every partition is ours and stands where its advance begins."""
        sources = {TopicPartition(each.topic, each.partition) for each in advances}
        if advances and (generation < 0 or any(map(self._rebalances.took, sources))):
            raise CommitFenced(f"Kafka at {self._settings.servers}: the partitions changed hands")
        topics = describe_topics(self._settings, self._admin, {each.topic for each in advances}) if advances else {}
        stands: dict[TopicPartition, int] = {}
        for advance in advances:
            source = TopicPartition(advance.topic, advance.partition)
            place, topic = self._places.get(source), topics.get(advance.topic)
            if place is None or topic is None or not place.topic_id == topic.topic_id == advance.topic_id:
                raise CommitFenced(f"{advance.topic}[{advance.partition}] of {advance.topic_id} is not ours")
            if source not in stands:
                committed = self._committed(source)
                if (committed and committed.offset) != place.found:
                    raise CommitFenced(f"{advance.topic}[{advance.partition}]: the position was moved by another")
                stands[source] = place.committed
            if stands[source] != advance.first:
                raise CommitFenced(
                    f"{advance.topic}[{advance.partition}]: the position is {stands[source]}, not {advance.first}"
                )
            if advance.next_offset <= advance.first:
                raise ValueError(f"{advance} leads nowhere")
            stands[source] = advance.next_offset
        return {
            source: OffsetAndMetadata(offset, str(self._places[source].topic_id), -1)
            for source, offset in stands.items()
        }
