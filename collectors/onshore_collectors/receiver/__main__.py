"""`python -m onshore_collectors.receiver`: the receiver as a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import socket
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from onshore_collectors.receiver.intake import Intake, IntakeLimits
from onshore_collectors.receiver.refusals import MIB
from onshore_collectors.receiver.serving import serve
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_pipeline.embedded.parent import follow_parent
from onshore_pipeline.errors import OnshoreError, SettingsError
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.producers import open_producer
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.broker import Producer
    from onshore_pipeline.settings import Settings

_CLOSE_TIMEOUT_S: Final = 0.5
_ANSWER_WITHIN_S: Final = 8.0  # senders give up after 10 s, and are better told to try again
_HEADERS_BYTES: Final = 65_536  # of a message's limit, kept for its headers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until told to stop; 0 when it ended as asked, 2 when it could not start (one line on standard error)."""
    options = _parse(arguments)
    if options.with_parent:
        follow_parent()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        tenants = TenantRegistry(options.tenants, require_token=options.require_token)
        settings = load_settings()
        producer, max_message_bytes = _open(options.local_log, settings)
        limits = _limits(options.max_body_mib * MIB, max_message_bytes, settings.max_in_flight_mib * MIB)
        serving = serve(
            Intake(producer, tenants, options.collector_id, limits, at_failpoint(options.failpoint)),
            http_port=options.http_port,
            grpc_port=options.grpc_port,
            ready_file=options.ready_file,
        )
        asyncio.run(serving)
    except OnshoreError as error:
        sys.stderr.write(f"onshore receiver: {error}\n")
        return 2
    _close(producer)
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m onshore_collectors.receiver", description=__doc__)
    add = parser.add_argument
    add("--http-port", type=_port, default=4318, help="OTLP/HTTP, on 127.0.0.1; 0 picks a free port")
    add("--grpc-port", type=_port, default=4317, help="OTLP/gRPC, on 127.0.0.1; 0 picks a free port")
    add("--ready-file", type=Path, help="written, with both addresses, when both ports are listened on")
    add("--tenants", type=Path, help="the registry of tenants' tokens")
    add("--require-token", action="store_true", help="refuse senders without a token")
    add("--local-log", type=Path, help="folder of the local log; without it, Kafka by the ONSHORE_KAFKA_ settings")
    add("--max-body-mib", type=_mib, default=16, help="largest request body as it travels, in MiB")
    add("--collector-id", default=f"receiver-{socket.gethostname()}", help="this receiver's id in every message")
    add("--failpoint", help=argparse.SUPPRESS)
    add("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args(arguments)


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:  # noqa: PLR2004 - what a port is
        raise argparse.ArgumentTypeError(f"{text} is not a port")
    return number


def _mib(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 64:  # noqa: PLR2004 - a body unpacked may not exceed this either
        raise argparse.ArgumentTypeError(f"{text} is not between 1 and 64")
    return number


def _limits(max_body_bytes: int, max_message_bytes: int, max_in_flight_bytes: int) -> IntakeLimits:
    """What was asked for, so that one request never needs more than half of what all of them may hold."""
    most = max_in_flight_bytes // 2
    return IntakeLimits(
        max_body_bytes=min(max_body_bytes, most),
        max_message_bytes=min(max_message_bytes, most),
        max_json_bytes=min(IntakeLimits().max_json_bytes, most),
        max_in_flight_bytes=max_in_flight_bytes,
    )


def _open(local_log: Path | None, settings: Settings) -> tuple[Producer, int]:
    """The producer, and the largest message it takes in bytes."""
    if local_log is not None:
        most = settings.max_waiting_mib * MIB or None
        producer = open_producer(log_folder=local_log, max_waiting_bytes=most, now_ns=time.time_ns)
        return producer, IntakeLimits().max_message_bytes
    if not settings.kafka_bootstrap_servers:
        raise SettingsError(
            "kafka_bootstrap_servers", "is needed without --local-log; set ONSHORE_KAFKA_BOOTSTRAP_SERVERS"
        )
    from onshore_pipeline.kafka_security import kafka_settings

    kafka = replace(kafka_settings(settings), request_timeout_s=_ANSWER_WITHIN_S)
    return open_producer(kafka=kafka, now_ns=time.time_ns), kafka.max_message_bytes - _HEADERS_BYTES


def _close(producer: Producer) -> None:
    closing = threading.Thread(target=producer.close, daemon=True)
    closing.start()
    closing.join(_CLOSE_TIMEOUT_S)
    if closing.is_alive():
        # A broker that does not answer must not keep the process: nothing it holds was acknowledged to anyone.
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
