"""Who sequences: one process at a time, the others stand by and take over when it ends.

On one machine the first to lock a file leads. On Kafka all are members of a consumer group of their own, and the one
that holds the evidence log's partition leads; a leader that falls silent is replaced after the session's time. Two
that lead for a moment do the same work twice and harm nothing: copies of an entry are equal, and rollups are
generations.
"""

from __future__ import annotations

import contextlib
import fcntl
import threading
from typing import TYPE_CHECKING, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.kafka_security import KafkaSettings

log = structlog.get_logger("sequencer")

_LOOK_EVERY_S: Final = 0.25
_SESSION_S: Final = 10.0


@contextlib.contextmanager
def lead_by_lock(path: Path, stop: threading.Event) -> Iterator[threading.Event]:
    """Wait until `path` is ours to lock; gives an event that is set when the turn is over, here with `stop`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        said = False
        while not stop.is_set():
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            if not said:
                log.info("standing by: another sequencer leads", lock=str(path))
                said = True
            stop.wait(_LOOK_EVERY_S)
        yield stop


@contextlib.contextmanager
def lead_by_group(settings: KafkaSettings, stop: threading.Event) -> Iterator[threading.Event]:
    """Wait until the evidence log's partition is ours; gives an event that is set when it is not, or with `stop`.

    Raises `BrokerUnavailable`.
    """
    over, leads, trouble = threading.Event(), threading.Event(), list[BaseException]()
    member = threading.Thread(target=_stay, args=(settings, over, leads, stop, trouble), name="leadership", daemon=True)
    member.start()
    try:
        if not leads.wait(_LOOK_EVERY_S * 4) and not over.is_set():
            log.info("standing by until the evidence log is ours", group=_group(settings))
        while not (leads.is_set() or over.is_set()):
            leads.wait(_LOOK_EVERY_S)
        if trouble:
            raise trouble[0]
        yield over
    finally:
        over.set()
        member.join(_SESSION_S)


def _group(settings: KafkaSettings) -> str:
    return f"{settings.group_id}-sequencer"


def _stay(
    settings: KafkaSettings,
    over: threading.Event,
    leads: threading.Event,
    stop: threading.Event,
    trouble: list[BaseException],
) -> None:
    """Be a member of the group until the turn is over; positions stay where the store says, so nothing is fetched."""
    from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

    from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
    from onshore_pipeline.errors import BrokerUnavailable
    from onshore_pipeline.kafka_bounded import BoundedConsumer
    from onshore_pipeline.kafka_entries import reading_options
    from onshore_pipeline.kafka_membership import go_on_joining
    from onshore_pipeline.kafka_security import connected, kafka_errors

    try:
        consumer = connected(
            settings,
            BoundedConsumer,
            # the newest position, because a member that only waits needs none
            **(reading_options(settings) | {"auto_offset_reset": "latest"}),
            group_id=_group(settings),
            partition_assignment_strategy=(CooperativeStickyAssignor,),  # who comes later takes nothing away
            session_timeout_ms=int(min(_SESSION_S, settings.session_timeout_s) * 1000),
            heartbeat_interval_ms=int(min(_SESSION_S, settings.session_timeout_s) * 250),
        )
        with contextlib.closing(consumer), kafka_errors(settings, "stand by to sequence"):
            consumer.subscribe([EVIDENCE_LOG_TOPIC])
            while not (over.is_set() or stop.is_set()):
                go_on_joining(consumer)
                consumer.poll(timeout_ms=int(_LOOK_EVERY_S * 1000), max_records=1)
                owned = consumer.assignment()
                if owned:
                    consumer.pause(*owned)
                    leads.set()
                elif leads.is_set():
                    log.warning("another sequencer leads now", group=_group(settings))
                    return
    except BrokerUnavailable as error:
        trouble.append(error)
    finally:
        over.set()
