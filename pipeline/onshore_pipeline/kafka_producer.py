"""Sending to Kafka: idempotent and acknowledged by all replicas."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import kafka
import structlog
from kafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from onshore_pipeline.broker import Place
from onshore_pipeline.errors import BrokerFull, BrokerUnavailable, MessageTooLarge
from onshore_pipeline.kafka_security import KafkaSettings, client_options, connected, kafka_errors
from onshore_pipeline.kafka_streams import Remembered
from onshore_pipeline.kafka_topics import admin_client, describe_topics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.broker import Outgoing

_log = structlog.get_logger("kafka")

_PAUSE_S: Final = 1.0  # between two tries to connect anew
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


def end(producer: kafka.KafkaProducer, within_s: float) -> None:
    """Close a producer of the library; what has no answer within the time gets none, and its thread ends."""
    try:
        producer.close(timeout=within_s)
    except (KafkaError, OSError):
        # it gives up at the first message without an answer, and its thread would go on for ever
        producer._sender.force_close()  # noqa: SLF001 - there is no other way to it


class KafkaProducer:
    """Sends and waits for the acknowledgements; may be shared by threads.

    The library's producer is replaced after any failure but a message that is too large: one whose batch expired while
    it was sent again gives its producer id up and never asks for another (kafka-python 3.0.12), so nothing would go
    out any more; nor after an error that it calls fatal.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        """Connect. Raises `BrokerUnavailable`."""
        self._settings = settings
        self._in_flight_bytes = 0
        self._remembered = Remembered()
        self._changed = threading.Condition()
        self._connecting = threading.Lock()
        self._refused, self._try_again_at = BrokerUnavailable(""), 0.0
        self._producer: kafka.KafkaProducer | None = self._connect()

    def send(self, topic: str, messages: Sequence[Outgoing]) -> None:
        """Append in order; return when all replicas have it. Raises `BrokerUnavailable` and `MessageTooLarge`.

        Numbers of streams are remembered by this process, for the 100,000 streams that sent last: a sender that was
        killed does no double here. What was under way when this process was killed may be appended again.
        """
        with self._remembered.sending(messages) as new:
            if new:
                self._send(topic, new)

    def record(self, topic: str, message: Outgoing) -> Place:
        """Append one message and say where it lies; raises what `send` raises."""
        ((partition, offset),) = self._send(topic, [message])
        with admin_client(self._settings) as admin:
            described = describe_topics(self._settings, admin, [topic])[topic]
        return Place(topic, described.topic_id, partition, offset)

    def _send(self, topic: str, messages: Sequence[Outgoing]) -> list[tuple[int, int]]:
        size = sum(len(message.value) for message in messages)
        timeout_s = self._settings.request_timeout_s
        with self._room_for(size), kafka_errors(self._settings, f"send to {topic}"):
            producer = self._ready()
            try:
                acks = [
                    producer.send(topic, value=message.value, key=message.key, headers=list(message.headers))
                    for message in messages
                ]
                appended = [ack.get(timeout_s + 5) for ack in acks]
            except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
                raise MessageTooLarge(
                    f"Kafka at {self._settings.servers}: a message of {max(len(each.value) for each in messages)} bytes"
                    f" is more than {topic} takes: send smaller ones, or raise the topic's max.message.bytes"
                ) from error
            except KafkaError:
                self._replace(producer)
                raise
        return [(each.partition, each.offset) for each in appended]

    def close(self) -> None:
        """Release the connections; safe to call twice."""
        producer = self._producer
        if producer is not None:
            end(producer, self._settings.request_timeout_s)

    def _ready(self) -> kafka.KafkaProducer:
        """The producer, a new one if the last one failed; those who come while nobody can connect are told at once."""
        with self._connecting:
            if self._producer is None:
                if time.monotonic() < self._try_again_at:
                    raise BrokerUnavailable(str(self._refused))
                try:
                    self._producer = self._connect()
                except BrokerUnavailable as error:
                    self._refused, self._try_again_at = error, time.monotonic() + _PAUSE_S
                    raise
            return self._producer

    def _connect(self) -> kafka.KafkaProducer:
        return connected(self._settings, kafka.KafkaProducer, **producer_options(self._settings))

    def _replace(self, producer: kafka.KafkaProducer) -> None:
        """Take another one from now on; who still waits for this one has its answer, or none, within the time limit."""
        with self._connecting:
            if self._producer is not producer:
                return
            self._producer = None
        _log.warning("connecting to Kafka anew", servers=self._settings.servers)
        within_s = self._settings.request_timeout_s
        threading.Thread(target=end, args=(producer, within_s), name="kafka-close", daemon=True).start()

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
