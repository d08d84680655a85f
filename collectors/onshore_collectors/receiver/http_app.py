"""OTLP over HTTP: /v1/logs, /v1/traces, /v1/metrics, in protobuf or JSON."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import structlog
from grpc import StatusCode
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from onshore_collectors.receiver.bodies import CODINGS
from onshore_collectors.receiver.numbered import numbered_sender
from onshore_collectors.receiver.refusals import Refusal, failed, too_large
from onshore_collectors.receiver.signals import SIGNAL_BY_PATH, Encoding, Signal

if TYPE_CHECKING:
    from collections.abc import Collection
    from concurrent.futures import Executor

    from starlette.types import Receive, Scope, Send

    from onshore_collectors.receiver.intake import Intake, Reservation

LOOPBACK_HOSTS: Final = frozenset({"127.0.0.1", "localhost", "::1"})

_ENCODINGS: Final[dict[str, Encoding]] = {"application/x-protobuf": "otlp_proto", "application/json": "otlp_json"}
_MEDIA_TYPES: Final[dict[Encoding, str]] = {encoding: media for media, encoding in _ENCODINGS.items()}
_HEALTH_PATHS: Final = ("/", "/healthz")

_log = structlog.get_logger("receiver")


class OtlpHttp:
    """The ASGI application.

    Args:
        intake: takes the bodies.
        threads: where bodies are unpacked and made durable.
        hosts: names this receiver answers to. A page in a browser could otherwise post to it, by its own address or
            by a name that it points at 127.0.0.1.
    """

    def __init__(self, intake: Intake, threads: Executor, hosts: Collection[str] = LOOPBACK_HOSTS) -> None:
        self._intake, self._threads, self._hosts = intake, threads, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        media_type = _media_type(request)
        encoding = _ENCODINGS.get(media_type, "otlp_json")
        try:
            self._check_sender(request)
            if request.url.path in _HEALTH_PATHS:
                _check_method(request, "GET", "HEAD")
                return JSONResponse(self._intake.status())
            signal = _signal_at(request.url.path)
            _check_method(request, "POST")
            await self._take(request, signal, media_type)
        except Refusal as refusal:
            return _refuse(refusal, encoding)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is left to read it
        except Exception:  # noqa: BLE001 - a sender must hear that it has to try again
            _log.exception("request failed", path=request.url.path)
            return _refuse(failed(), encoding)
        return Response(b"{}" if encoding == "otlp_json" else b"", media_type=_MEDIA_TYPES[encoding])

    async def _take(self, request: Request, signal: Signal, media_type: str) -> None:
        with self._intake.reservation() as held:
            if media_type not in _ENCODINGS:
                raise _unsupported(f"Content-Type {media_type!r} is none of {', '.join(_ENCODINGS)}")
            held.identify(request.headers.get("authorization"))
            coding = request.headers.get("content-encoding", "identity").strip().lower()
            if coding not in CODINGS:
                raise _unsupported(f"Content-Encoding {coding!r} is none of {', '.join(CODINGS)}")
            sender = numbered_sender(request.headers)
            body = await self._read(request, held)

            def accept() -> None:
                encoding = _ENCODINGS[media_type]
                self._intake.accept(signal, body, held, coding=coding, encoding=encoding, sender=sender)

            await asyncio.get_running_loop().run_in_executor(self._threads, accept)

    async def _read(self, request: Request, held: Reservation) -> bytes:
        limit = self._intake.limits.max_body_bytes
        announced = request.headers.get("content-length", "0")
        if announced.isdigit() and int(announced) > limit:
            raise too_large("body", limit)
        parts, size = [], 0
        try:
            async with asyncio.timeout(self._intake.limits.body_timeout_s):
                async for part in request.stream():
                    size += len(part)
                    if size > limit:
                        raise too_large("body", limit)
                    held.grow(len(part))
                    parts.append(part)
        except TimeoutError:
            why = f"the body did not arrive within {self._intake.limits.body_timeout_s:g} s"
            raise Refusal(HTTPStatus.REQUEST_TIMEOUT, StatusCode.DEADLINE_EXCEEDED, why) from None
        return b"".join(parts)

    def _check_sender(self, request: Request) -> None:
        named = {"Host": f"//{request.headers.get('host', '')}", "Origin": request.headers.get("origin")}
        for header, value in named.items():
            if value is not None and _host_in(value) not in self._hosts:
                why = f"{header} {value.removeprefix('//')!r} is not an address of this receiver"
                raise Refusal(HTTPStatus.FORBIDDEN, StatusCode.PERMISSION_DENIED, why)


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _host_in(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def _signal_at(path: str) -> Signal:
    if path not in SIGNAL_BY_PATH:
        why = f"there is nothing at {path}; OTLP is taken at {', '.join(SIGNAL_BY_PATH)}"
        raise Refusal(HTTPStatus.NOT_FOUND, StatusCode.NOT_FOUND, why)
    return SIGNAL_BY_PATH[path]


def _check_method(request: Request, *allowed: str) -> None:
    if request.method not in allowed:
        why = f"{request.method} is not done here; use {' or '.join(allowed)}"
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, StatusCode.UNIMPLEMENTED, why)


def _unsupported(why: str) -> Refusal:
    return Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, StatusCode.INVALID_ARGUMENT, why)


def _refuse(refusal: Refusal, encoding: Encoding) -> Response:
    headers = {}
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(refusal.retry_after_s)
    if refusal.http is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if refusal.http is HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = "POST"
    return Response(refusal.body(encoding), refusal.http, headers, media_type=_MEDIA_TYPES[encoding])
