"""What the store's failures mean to us."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.errors import SettingsError, StoreUnavailable
from onshore_pipeline.store.connect import StoreRefused, connect, store_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]

    with pytest.raises(StoreUnavailable):
        connect(f"http://127.0.0.1:{port}", "onshore", "x")


def test_somebody_else_there_is_unavailable_or_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def hang_up() -> None:
            for _ in range(2):
                listener.accept()[0].close()

        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(StoreUnavailable):
            connect(f"http://127.0.0.1:{listener.getsockname()[1]}", "onshore", "x")


@pytest.mark.parametrize("url", ["127.0.0.1:8123", "tcp://127.0.0.1:9000", "http://", ""])
def test_an_address_that_is_none_is_a_settings_error(url: str) -> None:
    with pytest.raises(SettingsError, match="ONSHORE_CLICKHOUSE_URL"):
        connect(url, "onshore", "x")


def test_a_wrong_password_is_refused_without_showing_it(store_address: dict[str, Any]) -> None:
    with pytest.raises(StoreRefused, match="user or the password") as refused:
        connect(store_address["url"], "onshore", "not-the-password")

    assert "not-the-password" not in str(refused.value)


def test_our_bugs_are_refused_with_their_code(client: Client) -> None:
    with pytest.raises(StoreRefused) as refused, store_errors():
        client.query("SELECT * FROM nowhere")

    assert refused.value.code == 60
    assert "\n" not in str(refused.value)


def test_out_of_memory_is_unavailable(client: Client) -> None:
    with pytest.raises(StoreUnavailable), store_errors():
        client.query("SELECT groupArray(number) FROM numbers(10000000)", settings={"max_memory_usage": 1_000_000})


def test_an_answer_that_is_not_the_stores_own_is_unavailable() -> None:
    """A proxy's 500, or that of a store in distress, says nothing about what was sent to it."""

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(b"Internal Server Error")

        def log_message(self, *words: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        serving = threading.Thread(target=proxy.serve_forever)
        serving.start()
        with pytest.raises(StoreUnavailable, match="Internal Server Error"):
            connect(f"http://127.0.0.1:{proxy.server_port}", "onshore", "x")
        proxy.shutdown()
        serving.join()


def test_too_many_partitions_are_refused(client: Client) -> None:
    client.command("CREATE TABLE IF NOT EXISTS many (id UInt64) ENGINE = MergeTree PARTITION BY id ORDER BY id")

    with pytest.raises(StoreRefused) as refused, store_errors():
        client.command("INSERT INTO many SELECT number FROM numbers(200)")

    assert refused.value.code == 252


def test_a_null_is_never_stored_as_something_else(client: Client) -> None:
    client.command("CREATE TABLE IF NOT EXISTS strict (word String) ENGINE = MergeTree ORDER BY word")

    with pytest.raises(StoreRefused), store_errors():
        client.raw_insert("strict", ["word"], b'{"word":null}', fmt="JSONEachRow")


def test_no_proxy_is_asked(store_address: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")

    assert connect(store_address["url"], **store_address["writer"]).command("SELECT 1") == 1
