"""Clients that are killed while they are answered: the store goes on."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

if TYPE_CHECKING:
    from pathlib import Path

LONG = "SELECT number FROM numbers(1000000000) FORMAT TSV"


def leave_amid_an_answer(store: Any, statement: str) -> None:
    """Take the first bytes of an answer, then reset the connection as the kernel does for a process that was killed."""
    who = store.users["writer"]
    target = "/?" + urlencode({"query": statement, "user": who["user"], "password": who["password"]})
    with socket.create_connection(("127.0.0.1", store.port), timeout=30) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{store.port}\r\n\r\n".encode())
        assert client.recv(64).startswith(b"HTTP/1.1 200")


def test_clients_that_die_amid_an_answer_leave_a_store_that_answers(tmp_path: Path, start_store: Any) -> None:
    with start_store(tmp_path) as store:
        for _ in range(30):
            leave_amid_an_answer(store, LONG)
        for number in range(600):
            assert store.ask(f"SELECT {number}").body == f"{number}\n".encode()
        assert store.process.poll() is None
