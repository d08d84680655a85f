"""Events from a few named fields, located, as rows."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.context import Context, load
from onshore_pipeline.locate.locate import locate
from onshore_pipeline.normalise.frames import EVENTS_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# A geolocation file of our own: AWS Sydney, Google, an Australian and a Japanese provider, and a continent.
GEOIP = """# Generated: for a test
{52.62.0.0},{52.62.255.255},AU
{52.94.0.0},{52.94.255.255},US
{1.1.1.0},{1.1.1.255},AU
{8.8.8.0},{8.8.8.255},US
{10.0.0.0},{10.0.0.255},US
{133.11.0.0},{133.11.255.255},JP
{203.2.218.0},{203.2.218.255},AU
{213.0.0.0},{213.0.0.255},EU
"""


@pytest.fixture(scope="session")
def geoip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = GEOIP
    for part in GEOIP.replace("{", "\n{").split("\n{"):
        address = part.partition("}")[0]
        if "." in address:
            text = text.replace("{" + address + "}", str(int(ipaddress.IPv4Address(address))))
    path = tmp_path_factory.mktemp("geoip") / "geoip"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def shipped() -> Context:
    """What ships, without geolocation: the registries' answers are all that is known about addresses."""
    return load(None)


@pytest.fixture(scope="session")
def with_geoip(geoip_file: Path) -> Context:
    return load(None, geoip=[geoip_file])


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Context]:
    """A context with registries of the user: own(**{"hosts.csv": text})."""

    def load_own(*, geoip: Path | None = None, **files: str) -> Context:
        for name, text in files.items():
            (tmp_path / name).write_text(text, encoding="utf-8")
        return load(tmp_path, geoip=[geoip] if geoip else [])

    return load_own


def packed(text: str) -> bytes:
    address = ipaddress.ip_address(text)
    return bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    """Normalised events; addresses are written as text, `sensor` is the collector that sent them."""
    columns = {"sensor": pl.Series([row.get("sensor") for row in rows], dtype=pl.String)}
    for name, kind in EVENTS_SCHEMA.items():
        values = [row.get(name) for row in rows]
        if name.endswith("_address"):
            values = [packed(value) if value is not None else None for value in values]
        if isinstance(kind, pl.List):
            values = [value or [] for value in values]
        columns[name] = pl.Series(name, values, dtype=kind)
    return pl.DataFrame(columns).with_columns(pl.int_range(pl.len(), dtype=pl.UInt32).alias("row"))


@pytest.fixture(scope="session")
def events() -> Callable[..., pl.DataFrame]:
    return frame


@pytest.fixture(scope="session")
def destinations() -> Callable[..., list[dict[str, Any]]]:
    """Locate events given by fields of their destination; the answers without the `destination_` in their names."""

    def of(context: Context, *rows: dict[str, Any]) -> list[dict[str, Any]]:
        plain = {
            *("domain", "model_requested", "model_endpoint", "occurred_at", "source_format", "attestation", "rtt_ms"),
            "sensor",
        }
        given = [{key if key in plain else f"destination_{key}": value for key, value in row.items()} for row in rows]
        located = locate(frame(*given), context).rows(named=True)
        return [{key.removeprefix("destination_"): value for key, value in row.items()} for row in located]

    return of
