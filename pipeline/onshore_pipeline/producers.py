"""Handing a message over: to Kafka where one is named, else to the local log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from onshore_pipeline.broker import Producer
    from onshore_pipeline.kafka_security import KafkaSettings


def open_producer(
    *,
    kafka: KafkaSettings | None = None,
    log_folder: Path | None = None,
    max_waiting_bytes: int | None = None,
    now_ns: Callable[[], int],
) -> Producer:
    """A producer whose `send` may be called by many threads.

    Args:
        kafka: the cluster to send to; wins over the local log.
        log_folder: folder of the local log.
        max_waiting_bytes: how much may wait in the local log (see `LogLimits`).
        now_ns: clock of the local log, nanoseconds since 1970-01-01T00:00:00Z.

    Raises:
        BrokerUnavailable: the cluster does not answer, or the log cannot be opened.
        SettingsError: neither is given.
    """
    if kafka is not None:
        from onshore_pipeline.kafka_producer import KafkaProducer

        return KafkaProducer(kafka)
    if log_folder is not None:
        from onshore_pipeline.embedded.local_log import LocalLog
        from onshore_pipeline.embedded.log_file import LogLimits

        limits = LogLimits(max_waiting_bytes=max_waiting_bytes)
        return LocalLog(log_folder, now_ns=now_ns, limits=limits).producer()
    raise SettingsError("kafka_bootstrap_servers", "is needed where there is no data folder for a local log")
