"""ClickHouse's HTTP interface in front of the embedded engine.

Serves unmodified clients: clickhouse-connect, curl, exporters that insert RowBinary or JSONEachRow. What differs from a
server: session ids are taken and ignored, and there is no external data (temporary tables sent along).
"""

from __future__ import annotations

import base64
import binascii
import errno
import json
import time
import uuid
from typing import IO, TYPE_CHECKING, Final

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from onshore_pipeline.embedded import bodies
from onshore_pipeline.embedded.engine_session import EngineError, refusal
from onshore_pipeline.embedded.statement_job import Job

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping
    from pathlib import Path

    from onshore_pipeline.embedded.credentials import Credentials, Role
    from onshore_pipeline.embedded.full_disk import Disk
    from onshore_pipeline.embedded.session_pool import Lease, SessionPool

_STATUS_OF_CODE: Final[Mapping[int, int]] = {
    194: 401,
    **dict.fromkeys((164, 192, 193, 497, 516), 403),
    **dict.fromkeys((6, 25, 26, 27, 36, 38, 41, 53, 62, 72, 117, 167, 168, 427, 456, 457), 400),
    **dict.fromkeys((46, 47, 50, 56, 60, 63, 73, 81, 82, 115), 404),
    354: 400,
    **dict.fromkeys((223, bodies.TOO_LARGE), 413),
    48: 501,
}
_DISK_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_EXCEPTION_TAG_BYTES: Final = 16


def build_app(
    pools: Mapping[Role, SessionPool], credentials: Credentials, spool_folder: Path, disk: Disk, port: int
) -> Starlette:
    """The application: `/`, `/ping`, `/replicas_status`.

    Args:
        pools: the engine's sessions for each role.
        credentials: who is who.
        spool_folder: where large request bodies lie while they are read.
        disk: under the engine.
        port: where the application listens; a request for another host or port is refused.
    """
    interface = _Interface(pools, credentials, spool_folder, disk)
    hosts = frozenset(f"{host}:{port}" for host in ("127.0.0.1", "localhost", "[::1]"))

    async def ping(request: Request) -> Response:
        return _stranger(request, hosts) or PlainTextResponse("Ok.\n")

    async def root(request: Request) -> Response:
        return _stranger(request, hosts) or await interface.answer(request)

    return Starlette(
        routes=[
            Route("/ping", ping),
            Route("/replicas_status", ping),
            Route("/", root, methods=["GET", "POST"]),
        ]
    )


def _stranger(request: Request, hosts: frozenset[str]) -> Response | None:
    """Refuse a request that a web page made a browser send here (DNS rebinding, cross-site requests)."""
    host = request.headers.get("host", "")
    if host.lower() not in hosts:
        return _error(refusal(497, "ACCESS_DENIED", f"requests for the host {host!r} are not answered here"), 403)
    origin = request.headers.get("origin")
    if origin is not None and origin.lower().removeprefix("http://") not in hosts:
        return _error(refusal(497, "ACCESS_DENIED", "requests from other origins are not answered"), 403)
    return None


class _Interface:
    """Answers one request after the other; what it holds never changes."""

    def __init__(
        self, pools: Mapping[Role, SessionPool], credentials: Credentials, spool_folder: Path, disk: Disk
    ) -> None:
        self._pools = pools
        self._credentials = credentials
        self._spool_folder = spool_folder
        self._disk = disk

    async def answer(self, request: Request) -> Response:
        """Authenticate, read the body, run the statement, stream the answer."""
        arguments = dict(request.query_params)
        if request.method == "GET" and "query" not in arguments:
            return PlainTextResponse("Ok.\n")
        try:
            role = self._authenticate(request, arguments)
            with await bodies.spool(request.stream(), self._spool_folder) as file:
                return await self._run(request, role, arguments, file)
        except EngineError as error:
            return _error(error)
        except ClientDisconnect:
            return Response(status_code=499)
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            return _error(refusal(243, "NOT_ENOUGH_SPACE", f"the store's disk: {error.strerror}"))

    def _authenticate(self, request: Request, arguments: Mapping[str, str]) -> Role:
        role = self._credentials.role_of(*_login(request, arguments))
        if role is None:
            raise refusal(516, "AUTHENTICATION_FAILED", "Authentication failed: the user or the password is wrong")
        return role

    async def _run(self, request: Request, role: Role, arguments: dict[str, str], file: IO[bytes]) -> Response:
        started = time.monotonic_ns()
        lease = await self._pools[role].lease()
        try:
            about = (request.method, role, request.headers, arguments)
            job = await lease.call(Job, *about, file, self._spool_folder, self._disk)
            chunks, output_format, summary = await lease.call(job.run, lease.session)
        except BaseException as error:
            lease.give_back(usable=isinstance(error, EngineError))
            raise
        encoding = ""
        if arguments.get("enable_http_compression") == "1":
            encoding = bodies.answer_encoding(request.headers.get("accept-encoding", ""))
        headers = {
            "X-ClickHouse-Summary": json.dumps({**summary, "elapsed_ns": str(time.monotonic_ns() - started)}),
            "X-ClickHouse-Query-Id": arguments.get("query_id") or str(uuid.uuid4()),
            "X-ClickHouse-Format": output_format,
            "X-ClickHouse-Timezone": "UTC",
            "X-ClickHouse-Server-Display-Name": "onshore",
        }
        tag = uuid.uuid4().hex[:_EXCEPTION_TAG_BYTES]
        headers["X-ClickHouse-Exception-Tag"] = tag
        if encoding:
            headers["Content-Encoding"] = encoding
        body = _body(lease, bodies.compressed(chunks, encoding), tag, readable=not encoding)
        return StreamingResponse(body, headers=headers, media_type=_media_type(output_format))


async def _body(lease: Lease, chunks: Iterator[bytes], tag: str, *, readable: bool) -> AsyncIterator[bytes]:
    """The answer's bytes; an error on the way is written as ClickHouse writes it, then the connection breaks off."""
    usable = False
    try:
        while (chunk := await lease.call(next, chunks, None)) is not None:
            yield chunk
        usable = True
    except EngineError as error:
        if readable:
            message = f"{error}\n".encode()
            yield b"\r\n__exception__\r\n%s\r\n%s%d %s\r\n__exception__\r\n" % (
                tag.encode(), message, len(message), tag.encode()
            )  # fmt: skip
        raise
    finally:
        lease.give_back(usable=usable)


def _login(request: Request, arguments: Mapping[str, str]) -> tuple[str, str]:
    """User and password from the headers, else from the URL, else empty."""
    headers = request.headers
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return "", ""
        return user, password
    if "x-clickhouse-user" in headers:
        return headers["x-clickhouse-user"], headers.get("x-clickhouse-key", "")
    return arguments.get("user", ""), arguments.get("password", "")


def _error(error: EngineError, status: int | None = None) -> Response:
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "X-ClickHouse-Timezone": "UTC"}
    return PlainTextResponse(f"{error}\n", status or _STATUS_OF_CODE.get(error.code, 500), headers)


def _media_type(output_format: str) -> str:
    if output_format.startswith("JSON"):
        return "application/json; charset=UTF-8"
    if output_format.startswith(("TabSeparated", "TSV", "Pretty", "Vertical", "Values")):
        return "text/tab-separated-values; charset=UTF-8"
    return "text/csv; charset=UTF-8" if output_format.startswith("CSV") else "application/octet-stream"
