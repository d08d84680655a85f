"""Whether the workers of a Kafka group have shared its partitions out among them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.kafka_topics import admin_client

if TYPE_CHECKING:
    from onshore_pipeline.kafka_security import KafkaSettings

_WITHIN_S: Final = 300.0
_LOOK_EVERY_S: Final = 0.25


def wait_until_shared_out(kafka: KafkaSettings, topic: str, workers: int, partitions: int) -> None:
    """Until so many workers own all of the topic's partitions, none of them two more than another.

    Raises:
        OnshoreError: they did not in time.
    """
    deadline = time.monotonic() + _WITHIN_S
    with admin_client(kafka) as admin:
        while True:
            members = admin.describe_groups([kafka.group_id])[kafka.group_id]["members"]
            owned = [_owned(each["member_assignment"], topic) for each in members]
            if len(owned) == workers and sum(owned) == partitions and max(owned) - min(owned) <= 1:
                return
            if time.monotonic() > deadline:
                raise OnshoreError(f"the workers own {owned} of {partitions} partitions after {_WITHIN_S:.0f} s")
            time.sleep(_LOOK_EVERY_S)


def _owned(assignment: object, topic: str) -> int:
    """How many of the topic's partitions a member has; none before its first assignment."""
    if not isinstance(assignment, dict):
        return 0
    return sum(len(each["partitions"]) for each in assignment["assigned_partitions"] if each["topic"] == topic)
