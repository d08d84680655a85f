"""OTLP over gRPC: the three Export services, on the raw request bytes.

gRPC's own decompression is switched off: the compressed bytes are unpacked here, within the same limits as over HTTP.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NoReturn

import grpc
import structlog

from onshore_collectors.receiver.refusals import Refusal, failed
from onshore_collectors.receiver.signals import SIGNALS, Signal
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_collectors.receiver.intake import Intake

_STREAMS_A_CONNECTION: Final = 64

# OTLP wants the RetryInfo inside the status's details; the SDK for Python (1.45) looks here instead.
_RETRY_INFO_KEY: Final = "google.rpc.retryinfo-bin"

_log = structlog.get_logger("receiver")


def _exporter(intake: Intake, signal: Signal) -> Callable[[bytes, grpc.ServicerContext], bytes]:
    def export(body: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            with intake.reservation() as held:
                held.identify(_authorization(context))
                held.grow(len(body))
                intake.accept(signal, body, held, coding=_coding(body), encoding="otlp_proto")
        except Refusal as refusal:
            _refuse(context, refusal)
        except Exception:  # noqa: BLE001 - a sender must hear that it has to try again
            _log.exception("request failed", service=signal.grpc_service)
            _refuse(context, failed())
        return b""  # an Export response without a partial success has no fields

    return export


def _authorization(context: grpc.ServicerContext) -> str | None:
    return next((str(value) for key, value in context.invocation_metadata() if key == "authorization"), None)


def _coding(body: bytes) -> str:
    # No OTLP request starts with these bytes: 0x1f is no protobuf tag, 0x78 is field 15, which no request has.
    if body[:2] == b"\x1f\x8b":
        return "gzip"
    return "deflate" if body[:1] == b"\x78" else "identity"


def _refuse(context: grpc.ServicerContext, refusal: Refusal) -> NoReturn:
    trailing = [("grpc-status-details-bin", refusal.details())]
    if (retry := refusal.retry_info()) is not None:
        trailing.append((_RETRY_INFO_KEY, retry))
    context.set_trailing_metadata(tuple(trailing))
    context.abort(refusal.code, refusal.why)
    raise AssertionError  # abort raises


def open_grpc_server(intake: Intake, port: int) -> tuple[grpc.Server, int]:
    """A started server on 127.0.0.1 and its port (0 picks a free one). Raises `SettingsError`: the port is taken."""
    server = grpc.server(
        ThreadPoolExecutor(intake.limits.threads, thread_name_prefix="otlp-grpc"),
        handlers=[
            grpc.method_handlers_generic_handler(
                signal.grpc_service, {"Export": grpc.unary_unary_rpc_method_handler(_exporter(intake, signal))}
            )
            for signal in SIGNALS
        ],
        options=[
            ("grpc.so_reuseport", 0),  # else two receivers could share the port without noticing
            ("grpc.per_message_decompression", 0),
            ("grpc.max_receive_message_length", intake.limits.max_body_bytes),
            ("grpc.max_concurrent_streams", _STREAMS_A_CONNECTION),
            # The only way to end a call whose message never arrives; senders in good order just connect again.
            ("grpc.max_connection_age_ms", int(intake.limits.grpc_connection_s * 1000)),
            ("grpc.max_connection_age_grace_ms", int(intake.limits.body_timeout_s * 1000)),
        ],
    )
    try:
        bound = server.add_insecure_port(f"127.0.0.1:{port}")
    except RuntimeError as error:
        raise SettingsError("--grpc-port", f"127.0.0.1:{port} is taken; choose another or 0") from error
    server.start()
    return server, bound
