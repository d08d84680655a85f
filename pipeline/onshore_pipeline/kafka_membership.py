"""How a worker is a member of its consumer group: by name, and without giving back what it keeps.

A member with a name is a static one: when it is restarted within the session's time it gets its partitions back at once
and nobody else is disturbed; one that is stopped for good keeps them for that time. Rebalances are cooperative: only
partitions that move are taken away, so that what is under way on the others is committed as if nothing had happened.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from kafka import ConsumerRebalanceListener, TopicPartition
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

if TYPE_CHECKING:
    from collections.abc import Iterable

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
