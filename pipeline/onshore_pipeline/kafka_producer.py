"""Sending to Kafka: idempotent and acknowledged by all replicas."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import kafka
from kafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from onshore_pipeline.errors import BrokerFull, MessageTooLarge
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.broker import Outgoing

_ENVELOPE_BYTES: Final = 65_536  # what a record batch adds to the largest message, generously


def producer_options(settings: KafkaSettings) -> dict[str, Any]:
    """The keyword arguments of every producer of ours: acks from all replicas, no duplicates, no reordering."""
    timeout_ms = int(settings.request_timeout_s * 1000)
    return client_options(settings) | {
        "acks": "all",
        "enable_idempotence": True,
        "compression_type": settings.compression,
        "max_request_size": settings.max_message_bytes + _ENVELOPE_BYTES,
        "batch_size": 1 << 20,
        "max_block_ms": timeout_ms,
        "delivery_timeout_ms": timeout_ms + 1000,
        "metrics_enabled": False,
    }


class KafkaProducer:
    """Sends and waits for the acknowledgements; may be shared by threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect. Raises `BrokerUnavailable`."""
        self._settings = settings
        self._in_flight_bytes = 0
        self._changed = threading.Condition()
        self._producer = connected(settings, kafka.KafkaProducer, **producer_options(settings))

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Append in order; return when all replicas have it. Raises `BrokerUnavailable` and `MessageTooLarge`."""
        size = sum(len(message.value) for message in messages)
        timeout_s = self._settings.request_timeout_s
        with self._room_for(size), kafka_errors(self._settings, f"send to {topic}"):
            try:
                acks = [
                    self._producer.send(topic, value=message.value, key=message.key, headers=list(message.headers))
                    for message in messages
                ]
                for ack in acks:
                    ack.get(timeout_s + 5)
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                raise MessageTooLarge(
                    f"Kafka at {self._settings.servers}: a message of {max(len(each.value) for each in messages)} bytes"
                    f" is more than {topic} takes: send smaller ones, or raise the topic's max.message.bytes"
                ) from error

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        with kafka_errors(self._settings, "close the producer"):
            self._producer.close(timeout=self._settings.request_timeout_s)

    @contextmanager
    def _room_for(self, size: int) -> Iterator[None]:
        """Hold back senders while the queue is full; the client itself would buffer without bound."""
        limit = self._settings.queue_bytes
        with self._changed:
            if not self._changed.wait_for(
                lambda: not self._in_flight_bytes or self._in_flight_bytes + size <= limit,
                timeout=self._settings.request_timeout_s,
            ):
                raise BrokerFull(f"Kafka at {self._settings.servers}: too slow: {limit >> 20} MiB wait already")
            self._in_flight_bytes += size
        try:
            yield
        finally:
            with self._changed:
                self._in_flight_bytes -= size
                self._changed.notify_all()
