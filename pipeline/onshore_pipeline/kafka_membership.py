"""How a worker is a member of its consumer group: by name, and without giving back what it keeps.

A member with a name is a static one: when it is restarted within the session's time it gets its partitions back at once
and nobody else is disturbed; one that is stopped for good keeps them for that time. Rebalances are cooperative: only
partitions that move are taken away, so that what is under way on the others is committed as if nothing had happened.

Together the two can leave a partition to nobody. One that moves is taken away in a first round and given to its new
owner in a second one, which the old owner asks for. If that one dies in between, its successor is told what the first
round left it and asks for nothing; the group is stable, and so is the hole. `GroupWatch` looks for it.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import structlog
from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError
from kafka.protocol.consumer.metadata import ConsumerProtocolSubscription

from onshore_pipeline.errors import NameTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from kafka import KafkaAdminClient, KafkaConsumer

    from onshore_pipeline.kafka_security import KafkaSettings
    from onshore_pipeline.kafka_topics import Topic

log = structlog.get_logger()

_STABLE: Final = "Stable"  # a group's state while nobody joins or leaves


class Assignor(CooperativeStickyAssignor):  # type: ignore[misc]  # the library ships no types
    """The client's cooperative assignor, under its name, with what it lacks: to forget, and to ask for a rebalance."""

    def __init__(self) -> None:
        """Owns nothing yet."""
        super().__init__()
        self._asked = 0

    def forget(self) -> None:
        """Claim nothing any more: the group gave everything away.

        The client (kafka-python 3.0.12) goes on claiming it, so that the leader waits for it to give back what it does
        not have.
        """
        self.member_assignment = None

    def ask(self) -> None:
        """Differ from what we last joined with: a member that joins anew as it was does not move the group."""
        self._asked += 1

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolSubscription:
        """What we join with; nobody reads the number in it."""
        made = super().metadata(topics)
        return ConsumerProtocolSubscription(
            version=made.version,
            topics=made.topics,
            user_data=str(self._asked).encode() if self._asked else b"",
            owned_partitions=made.owned_partitions,
        )


def member_options(settings: KafkaSettings, assignor: Assignor) -> dict[str, object]:
    """The keyword arguments that make a consumer a member of the workers' group."""
    return {
        "group_id": settings.group_id,
        "group_instance_id": settings.member or None,
        "partition_assignment_strategy": (assignor,),
        "session_timeout_ms": int(settings.session_timeout_s * 1000),
        "heartbeat_interval_ms": int(_heartbeat_every_s(settings) * 1000),
        "max_poll_interval_ms": int(settings.max_poll_interval_s * 1000),
    }


def go_on_joining(consumer: KafkaConsumer) -> None:
    """Call before every poll: a member that joins anew awaits the end of that, however many polls it takes.

    Where topics or partitions changed, the client (kafka-python 3.0.12) forgets after one poll that it is joining:
    it never takes the answer, sends no heartbeats and is no member any more, without a word.
    """
    coordinator = consumer._coordinator  # noqa: SLF001 - nothing public says so
    if coordinator.rejoining:
        coordinator.request_rejoin()


def is_joining(consumer: KafkaConsumer) -> bool:
    """Whether it is no member, or one that does not know yet what it is given: the generation is told before that."""
    return bool(consumer._coordinator.rejoining) or consumer.group_metadata().generation_id < 0  # noqa: SLF001 - as above


class GroupWatch:
    """Looks at the group from outside, now and then, for what the client is not told or keeps to itself.

    Another worker took our name: a heartbeat tells the client, which goes on fetching what can never be committed.
    And nobody has a partition: see above.
    """

    def __init__(
        self, settings: KafkaSettings, admin: KafkaAdminClient, consumer: KafkaConsumer, assignor: Assignor
    ) -> None:
        """`consumer` is the member, and `assignor` what it joins with."""
        self._settings, self._admin, self._consumer, self._assignor = settings, admin, consumer, assignor
        self._look_at = 0.0
        self._unowned_since: dict[TopicPartition, float] = {}
        self._patience_s = _by_then_s(settings)

    def doubt(self) -> None:
        """Look with the next `check`, whenever it comes: a commit was refused."""
        self._look_at = 0.0

    def check(self, topics: Mapping[str, Topic]) -> None:
        """Look, if it is time to; what a broker does not tell is no reason to stop. `topics` are those we subscribe to.

        Raises `NameTaken`.
        """
        own = self._consumer.group_metadata()
        if time.monotonic() < self._look_at or own.generation_id < 0:
            return  # not a member yet: joining would make this one the later of two
        group = self._described()
        self._look_at = time.monotonic() + self._settings.look_for_topics_s
        if group is None:
            return
        named = [each for each in group["members"] if each.get("group_instance_id") == own.group_instance_id]
        holders = {each["member_id"] for each in named} if self._settings.member else set()
        if holders and own.member_id not in holders and self._consumer.group_metadata().member_id == own.member_id:
            raise self.taken()
        if group["group_state"] == _STABLE:
            wanted = {
                TopicPartition(each.name, number) for each in topics.values() for number in range(each.partitions)
            }
            self._mend(wanted - {partition for each in group["members"] for partition in _assigned(each)})
        else:  # its partitions are being given out
            self._unowned_since.clear()
            self._look_at = time.monotonic() + _by_then_s(self._settings)

    def _described(self) -> dict[str, Any] | None:
        """The group as its coordinator describes it; None where that cannot be had now."""
        name = self._settings.group_id
        try:
            group: dict[str, Any] = self._admin.describe_groups([name])[name]
            why = group["error"]
            for each in group["members"]:  # what is read of it below
                each["member_id"], group["group_state"], set(_assigned(each))
        except (KafkaError, OSError, KeyError, TypeError, ValueError) as error:  # the last: of a state unknown to it
            why = repr(error)
        if not why:
            return group
        # The client (kafka-python 3.0.12) asks the first coordinator it was told of for ever.
        self._admin._manager.cluster._coordinators.clear()  # noqa: SLF001 - nothing public does
        log.info("the group cannot be looked at", group=name, reason=str(why))
        return None

    def _mend(self, unowned: set[TopicPartition]) -> None:
        """Ask for a rebalance where a partition has had no owner for a while: it is not just being handed over."""
        now = time.monotonic()
        self._unowned_since = {each: self._unowned_since.get(each, now) for each in unowned}
        lasting = [each for each, since in self._unowned_since.items() if now - since >= self._patience_s]
        if lasting:
            named = sorted(f"{each.topic}[{each.partition}]" for each in lasting)
            log.warning("partitions without an owner: asking the group to share them out", partitions=named)
            self._assignor.ask()
            self._consumer._coordinator.request_rejoin()  # noqa: SLF001 - nothing public does
            self._unowned_since.clear()
            # A rebalance stops everybody's work: one that did not help is not asked for all the time.
            self._patience_s = min(2 * self._patience_s, max(self._patience_s, self._settings.look_for_topics_s))
        if unowned:
            self._look_at = now + _by_then_s(self._settings)
        else:
            self._patience_s = _by_then_s(self._settings)

    def taken(self) -> NameTaken:
        """What to say, and what to do about it."""
        return NameTaken(
            f"another worker has this one's name, {self._settings.member}, in group {self._settings.group_id} at"
            f" {self._settings.servers}, and began later; this one commits nothing any more and stops. The name is made"
            " of host name, data_dir and a number: where both are meant to run, give one of them another data_dir"
            " (ONSHORE_DATA_DIR) or host name and start it again"
        )


class Rebalances(ConsumerRebalanceListener):  # type: ignore[misc]  # the library ships no types
    """Notes that partitions changed hands; called on the client's own thread, which must not be held up."""

    def __init__(self, assignor: Assignor) -> None:
        self._assignor = assignor
        self.happened = threading.Event()
        self._lock = threading.Lock()
        self._taken: set[TopicPartition] = set()

    def took(self, source: TopicPartition) -> bool:
        """Whether a partition was taken away since we last asked which were."""
        with self._lock:
            return source in self._taken

    def all_taken(self) -> set[TopicPartition]:
        """The partitions that were taken away since this was called before, whoever has them now."""
        with self._lock:
            self.happened.clear()
            taken, self._taken = self._taken, set()
            return taken

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Some of ours go to another member."""
        with self._lock:
            self._taken |= set(revoked)
            self.happened.set()

    def on_partitions_assigned(self, assigned: object) -> None:  # noqa: ARG002 - `assignment()` says which
        """Some came to us."""
        self.happened.set()

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """The group had given up on us."""
        self._assignor.forget()
        self.on_partitions_revoked(lost)


def _heartbeat_every_s(settings: KafkaSettings) -> float:
    return min(3.0, settings.session_timeout_s / 4)


def _by_then_s(settings: KafkaSettings) -> float:
    """So long after a rebalance began every member knows of it."""
    return 2 * _heartbeat_every_s(settings)


def _assigned(member: Mapping[str, Any]) -> Iterator[TopicPartition]:
    """The partitions that a member has, as the broker describes it; nothing before the first assignment."""
    for topic in (member["member_assignment"] or {"assigned_partitions": ()})["assigned_partitions"]:
        for number in topic["partitions"]:
            yield TopicPartition(topic["topic"], number)
