"""A batch whose checksum is wrong: fetched again a few times, then the worker stops and says where."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import PartitionDamaged

if TYPE_CHECKING:
    from kafka import TopicPartition

    from onshore_pipeline.kafka_bounded import DamagedBatch

_TRIES: Final = 3
_BETWEEN_TRIES_S: Final = 1.0


class Damage:
    """How often the damaged batch was looked at that was met last."""

    def __init__(self, servers: str) -> None:
        """Nothing is damaged yet."""
        self._servers = servers
        self._place: tuple[TopicPartition, int] | None = None
        self._tries, self._last = 0, 0.0

    def met(self, error: DamagedBatch, *, may_stop: bool) -> None:
        """Count it: it may be damaged on its way only, or on a broker that will not lead for long.

        Raises `PartitionDamaged` after some tries, if it may.
        """
        now, place = time.monotonic(), (error.source, error.offset)
        if self._place != place:
            self._place, self._tries, self._last = place, 1, now
        elif now - self._last >= _BETWEEN_TRIES_S:
            self._tries, self._last = self._tries + 1, now
        if self._tries >= _TRIES and may_stop:
            where = f"{error.source.topic}[{error.source.partition}]"
            raise PartitionDamaged(
                f"Kafka at {self._servers}: {where} cannot be read on from offset {error.offset}: {error.why},"
                f" {self._tries} times. Nothing was skipped. Make a whole replica the leader; where there is none,"
                " delete with kafka-delete-records.sh up to behind what is damaged (kafka-dump-log.sh shows where that"
                " ends), which is sealed as a gap. Then start the worker again"
            ) from error
