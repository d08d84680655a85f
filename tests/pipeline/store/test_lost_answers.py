"""An answer that gets lost: what the store did once is not done twice behind our back."""

from __future__ import annotations

import ssl
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from losing_proxy import LosingProxy, Way, losing_proxy
from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.connect import connect, store_errors
from onshore_pipeline.store.writer import expected_schema, insert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

# How an answer gets lost on the way, and over which connection.
_WAYS: list[tuple[str, Way]] = [
    ("http", "reset"), ("http", "close"), ("https", "reset"), ("https", "close"), ("https", "garbage"),
]  # fmt: skip


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file: Path = tmp_path_factory.mktemp("tls") / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(file), "-out", str(file.with_suffix(".crt"))),
        ],
        check=True,
        capture_output=True,
    )
    with file.open("a") as both:
        both.write(file.with_suffix(".crt").read_text())
    return file


@pytest.fixture(params=_WAYS, ids=["-".join(way) for way in _WAYS])
def lossy(
    request: pytest.FixtureRequest, store_address: dict[str, Any], client: Client, certificate: Path
) -> Iterator[tuple[Client, LosingProxy, Way]]:
    """A client whose connection goes through a proxy that can lose answers; the store's answers are real."""
    scheme, way = request.param
    tls = None
    if scheme == "https":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate)
    client.command("CREATE OR REPLACE TABLE told (n UInt64) ENGINE = MergeTree ORDER BY n")
    upstream = urlsplit(store_address["url"])
    assert upstream.hostname is not None
    assert upstream.port is not None
    with losing_proxy((upstream.hostname, upstream.port), tls) as proxy:
        ca_file = certificate.with_suffix(".crt") if tls else None
        through = connect(f"{scheme}://127.0.0.1:{proxy.port}", **store_address["writer"], ca_file=ca_file)
        yield through, proxy, way
        through.close()


def test_an_insert_whose_answer_is_lost_is_stored_once_and_reported(
    lossy: tuple[Client, LosingProxy, Way], client: Client
) -> None:
    through, proxy, way = lossy
    expected_schema(through, "told")
    proxy.lose(way)
    with pytest.raises(StoreUnavailable):
        insert(through, "told", pa.table({"n": pa.array([1, 2, 3], pa.uint64())}))
    assert proxy.lost == 1
    assert client.query("SELECT count() FROM told").result_rows == [(3,)]


def test_a_statement_whose_answer_is_lost_is_run_once_and_reported(
    lossy: tuple[Client, LosingProxy, Way], client: Client
) -> None:
    through, proxy, way = lossy
    proxy.lose(way)
    with pytest.raises(StoreUnavailable), store_errors():
        through.command("INSERT INTO told SELECT number FROM numbers(5)")
    assert proxy.lost == 1
    assert client.query("SELECT count() FROM told").result_rows == [(5,)]
