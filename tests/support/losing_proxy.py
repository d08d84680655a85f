"""A proxy in front of the store that loses an answer once the store has given it: what was asked was done."""

from __future__ import annotations

import os
import socket
import struct
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

Way = Literal["reset", "close", "garbage"]

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class LosingProxy:
    """Hands bytes on in both directions until an answer is to be lost.

    Attributes:
        port: where it listens on 127.0.0.1.
        lost: how many answers it has lost.
    """

    def __init__(self, upstream: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._upstream, self._tls = upstream, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._way: Way | None = None
        self._to = b""
        self.lost = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def lose(self, way: Way | None, to: bytes = b"") -> None:
        """Lose every answer from now on in this `way`, or those `to` requests with these bytes; None loses none."""
        self._way, self._to = way, to

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            with client, socket.create_connection(self._upstream) as server:
                # the embedded store answers to its own name only
                renamed = tuple(f"Host: 127.0.0.1:{port}".encode() for port in (self.port, self._upstream[1]))
                asked = bytearray()
                threading.Thread(target=_copy, args=(client, server, renamed, asked), daemon=True).start()
                while answer := server.recv(1 << 16):
                    if self._way is not None and self._to in asked:
                        self.lost += 1
                        self._end(client, self._way)
                        return
                    client.sendall(answer)

    @staticmethod
    def _end(client: socket.socket, way: Way) -> None:
        if way == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        if way == "garbage":  # below TLS: an error in the middle of a record
            os.write(client.fileno(), b"no TLS record")
        client.shutdown(socket.SHUT_RD if way == "reset" else socket.SHUT_RDWR)


def _copy(source: socket.socket, target: socket.socket, renamed: tuple[bytes, bytes], asked: bytearray) -> None:
    with suppress(OSError):
        while data := source.recv(1 << 16):
            if data.startswith((b"GET ", b"POST ")):
                asked.clear()
            asked += data
            target.sendall(data.replace(*renamed, 1))


@contextmanager
def losing_proxy(upstream: tuple[str, int], tls: ssl.SSLContext | None = None) -> Iterator[LosingProxy]:
    proxy = LosingProxy(upstream, tls)
    try:
        yield proxy
    finally:
        proxy.close()
