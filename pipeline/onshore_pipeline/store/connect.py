"""The store's client: clickhouse-connect over HTTP, and what its failures mean to us."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, OperationalError
from clickhouse_connect.driver.httpclient import HttpClient
from clickhouse_connect.driver.httputil import get_pool_manager
from urllib3.exceptions import HTTPError

from onshore_pipeline.errors import OnshoreError, SettingsError, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client
    from urllib3 import PoolManager

_CONNECT_TIMEOUT_S: Final = 5
_ANSWER_TIMEOUT_S: Final = 300

# A NULL for a column that cannot hold it is an error, never '' or 0; an answer to an insert means that it is stored.
_SETTINGS: Final = {"input_format_null_as_default": "0", "async_insert": "0"}

# ClickHouse's codes for "not now": out of memory, time or space, too busy, network or Keeper trouble, read-only, files
# that cannot be read, written, opened, closed or cut.
_RETRY_CODES: Final = frozenset(
    {
        74,
        75,
        76,
        77,
        87,
        88,
        159,
        173,
        202,
        203,
        209,
        210,
        225,
        236,
        241,
        242,
        243,
        252,
        279,
        285,
        286,
        289,
        319,
        394,
        425,
        529,
        745,
        999,
    }
)
_NO_SPACE: Final = "No space left on device"
_AUTHENTICATION_FAILED: Final = 516


class StoreRefused(OnshoreError):
    """The store answered and said no: asking again will not help.

    Attributes:
        code: ClickHouse's error code, None when it gave none.
    """

    def __init__(self, why: str, code: int | None = None) -> None:
        """Say what the store said, on one line."""
        super().__init__(why)
        self.code = code


def connect(url: str, user: str, password: str, *, ca_file: Path | None = None) -> Client:
    """Open a client that several threads may share.

    Args:
        url: such as `http://127.0.0.1:8123` or `https://clickhouse.example:8443`.
        user: who reads or writes.
        password: theirs.
        ca_file: certificate authority that signed the store's certificate; None is the system's.

    Raises:
        SettingsError: `url` is no HTTP address.
        StoreUnavailable: nothing answers there.
        StoreRefused: the user or the password is wrong.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("ONSHORE_CLICKHOUSE_URL", f"{url!r} is not an http:// or https:// address")
    secure = parts.scheme == "https"
    with store_errors():
        client = clickhouse_connect.get_client(
            host=parts.hostname,
            port=parts.port or (8443 if secure else 8123),
            secure=secure,
            username=user,
            password=password,
            database=parts.path.strip("/") or None,
            pool_mgr=_connections(ca_file),
            # Most answers are small, and the embedded store is on this machine: compressing costs more than it saves.
            compress=secure,
            connect_timeout=_CONNECT_TIMEOUT_S,
            send_receive_timeout=_ANSWER_TIMEOUT_S,
            # A session would make the server answer one query of ours at a time.
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
        )
    # urllib3 would send an INSERT again when TLS breaks under its answer, and the rows would stand there twice.
    assert isinstance(client, HttpClient)
    client.http_retries = 0
    for name, value in _SETTINGS.items():
        known = client.server_settings.get(name)
        if known is not None and not known.readonly and known.value != value:
            client.set_client_setting(name, value)
    return client


def answers(url: str, *, ca_file: Path | None = None, timeout_s: float = 3.0) -> bool:
    """Whether a store answers at `url` within `timeout_s`, whoever asks."""
    try:
        asked = _connections(ca_file).request("GET", f"{url.rstrip('/')}/ping", timeout=timeout_s, retries=False)
    except HTTPError:
        return False
    return bool(asked.status == HTTPStatus.OK)


@cache
def _connections(ca_file: Path | None) -> PoolManager:
    """Kept-alive connections of this process; our own, because the library's would follow `http_proxy` to a proxy."""
    pool: PoolManager = get_pool_manager(ca_cert=None if ca_file is None else str(ca_file), maxsize=16)
    return pool


@contextmanager
def store_errors() -> Iterator[None]:
    """Turn the client's errors into ours: `StoreUnavailable` (try again) or `StoreRefused` (our bug, or a setting)."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(_line(error)) from error
    except DatabaseError as error:
        raise _meaning(error) from error
    except ClickHouseError as error:
        raise StoreRefused(_line(error)) from error
    except (HTTPError, ConnectionError, TimeoutError) as error:
        raise StoreUnavailable(f"the store did not answer: {_line(error)}") from error


def _meaning(error: DatabaseError) -> OnshoreError:
    text = _line(error)
    if error.code == _AUTHENTICATION_FAILED:
        return StoreRefused("the store refused the user or the password", error.code)
    # An answer without a code is not the store's word on what it was sent: a proxy's, or of a store in distress.
    if not error.code or _NO_SPACE in text:
        return StoreUnavailable(text)
    # 252 is also "one insert touches too many partitions", which no waiting mends.
    if error.code in _RETRY_CODES and "partitions" not in text:
        return StoreUnavailable(text)
    return StoreRefused(text, error.code)


def _line(error: Exception) -> str:
    """The error on one line, without what the client puts in front of the store's own words."""
    text = " ".join(str(error).split())
    return text.rpartition("server response: ")[2].partition("DB::Exception: ")[2] or text or type(error).__name__
