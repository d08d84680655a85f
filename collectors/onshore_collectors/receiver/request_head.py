"""Connections whose request line and headers are endless or never end; the HTTP library bounds neither."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio


def guarded_protocol(max_head_bytes: int, head_timeout_s: float) -> type[asyncio.Protocol]:
    """The protocol of uvicorn; a connection is cut when the head of a request does not keep to the limits.

    What is read together with the end of a head counts as head, so the limit is exact to one read of a socket.
    """
    return type("Guarded", (_Guarded,), {"max_head_bytes": max_head_bytes, "head_timeout_s": head_timeout_s})


class _Guarded(HttpToolsProtocol):
    max_head_bytes: ClassVar[int]
    head_timeout_s: ClassVar[float]
    _head_bytes = 0
    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)
        super().data_received(data)
        if self._deadline is not None and self._head_bytes > self.max_head_bytes:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._end_head()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._end_head()
        self._head_bytes = 0
        self._deadline = self.loop.call_later(self.head_timeout_s, self._give_up)

    def _end_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.abort()
