"""The running server: who may ask, and what it answers with."""

from __future__ import annotations

import base64
import os
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest

from dashboard_stack import running_dashboard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboard_stack import RunningStore


@pytest.fixture(scope="module")
def dashboard(tmp_path_factory: pytest.TempPathFactory, filled: RunningStore) -> Iterator[str]:
    """The address of a dashboard over the filled store."""
    with running_dashboard(tmp_path_factory.mktemp("server"), filled.url, filled.credentials) as url:
        yield url


def test_every_page_forbids_the_browser_to_load_from_anybody_else(dashboard: str) -> None:
    for path in ("/", "/compliance", "/findings", "/_stcore/health", "/no/such/page"):
        policy = httpx.get(dashboard + path).headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "connect-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy


def test_the_first_page_answers_to_its_name(dashboard: str) -> None:
    answer = httpx.get(dashboard + "/operations?tenant=acme")
    assert (answer.status_code, answer.headers["location"]) == (307, "/?tenant=acme")


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8501"])
def test_a_foreign_host_is_refused(dashboard: str, host: str) -> None:
    assert httpx.get(dashboard, headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        (None, None, 101),
        (None, "http://evil.example", 403),
        ("evil.example", "http://evil.example", 400),
    ],
)
def test_the_live_connection_is_for_pages_of_this_server_only(
    dashboard: str, host: str | None, origin: str | None, status: int
) -> None:
    assert _handshake(dashboard, host, origin or dashboard) == status


def test_the_server_listens_on_the_loopback_address_only(dashboard: str) -> None:
    port = urlsplit(dashboard).port
    with socket.socket() as elsewhere:
        elsewhere.bind(("127.0.0.2", port or 0))  # free, so the server did not take every address


def test_no_answer_of_the_server_holds_the_stores_password(dashboard: str, filled: RunningStore) -> None:
    import json

    password = json.loads(filled.credentials.read_text())["reader"]["password"]
    for path in ("/", "/compliance", "/_stcore/host-config", "/_stcore/health", "/_stcore/metrics"):
        assert password not in httpx.get(dashboard + path).text


def _handshake(url: str, host: str | None, origin: str) -> int:
    """The status with which the server answers the opening of a WebSocket."""
    parts = urlsplit(url)
    key = base64.b64encode(os.urandom(16)).decode()
    request = (
        f"GET /_stcore/stream HTTP/1.1\r\nHost: {host or parts.netloc}\r\nOrigin: {origin}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: streamlit\r\n\r\n"
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(request.encode())
        return int(connection.recv(64).split()[1])
