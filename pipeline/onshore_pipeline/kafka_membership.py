"""How a worker is a member of its consumer group: by name, and without giving back what it keeps.

A member with a name is a static one: when it is restarted within the session's time it gets its partitions back at once
and nobody else is disturbed; one that is stopped for good keeps them for that time. Rebalances are cooperative: only
partitions that move are taken away, so that what is under way on the others is committed as if nothing had happened.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.errors import KafkaError

from onshore_pipeline.errors import NameTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kafka import ConsumerGroupMetadata, KafkaAdminClient, KafkaConsumer

    from onshore_pipeline.kafka_security import KafkaSettings


def member_options(settings: KafkaSettings) -> dict[str, object]:
    """The keyword arguments that make a consumer a member of the workers' group."""
    return {
        "group_id": settings.group_id,
        "group_instance_id": settings.member or None,
        "partition_assignment_strategy": (CooperativeStickyAssignor,),
        "session_timeout_ms": int(settings.session_timeout_s * 1000),
        "heartbeat_interval_ms": int(min(3.0, settings.session_timeout_s / 4) * 1000),
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


class OwnName:
    """Notices that another worker took this one's name in the group.

    The client is told so by a heartbeat, keeps it to itself and goes on fetching: nothing it reads can be committed.
    """

    def __init__(
        self, settings: KafkaSettings, admin: KafkaAdminClient, membership: Callable[[], ConsumerGroupMetadata]
    ) -> None:
        """`membership` tells as whom the client takes part in the group."""
        self._settings, self._admin, self._membership = settings, admin, membership
        self._look_at = 0.0

    def doubt(self) -> None:
        """Look with the next `check`, whenever it comes: a commit was refused."""
        self._look_at = 0.0

    def check(self) -> None:
        """Ask the group, now and then, who has our name; what a broker does not tell is no reason to stop.

        Raises `NameTaken`.
        """
        if not self._settings.member or time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + self._settings.look_for_topics_s
        own = self._membership()
        if own.generation_id < 0:
            return  # not a member yet: joining would make this one the later of two
        try:
            group = self._admin.describe_groups([self._settings.group_id])[self._settings.group_id]
            holders = {
                each["member_id"] for each in group["members"] if each["group_instance_id"] == own.group_instance_id
            }
        except (KafkaError, KeyError, ValueError):  # the last where a broker names what the client does not know
            return
        if holders and own.member_id not in holders and self._membership().member_id == own.member_id:
            raise self.taken()

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

    def __init__(self) -> None:
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
        self.on_partitions_revoked(lost)
