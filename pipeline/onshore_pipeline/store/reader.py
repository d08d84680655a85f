"""Reads the store into frames: the only part of the store that the dashboard may import."""

from __future__ import annotations

import ipaddress
import threading
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa

from onshore_pipeline.store.connect import connect, store_errors

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

_SIXTEEN_BYTES: Final = pa.binary(16)
_REMEMBERED: Final = 256
_UUID_DASHES: Final = ((0, 8), (8, 4), (12, 4), (16, 4), (20, 12))


class Reader:
    """One user's view of the store; threads may share it. Connects when first asked."""

    def __init__(self, url: str, user: str, password: str, *, ca_file: Path | None = None) -> None:
        """Take what `connect` takes."""
        self._address = (url, user, password, ca_file)
        self._client: Client | None = None
        self._connecting = threading.Lock()
        self._address_columns: dict[str, frozenset[str]] = {}

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer to one SELECT.

        UUIDs come as text (lower case, with dashes), IPv6 as text (a v4-mapped one as its IPv4 spelling), FixedString
        as Binary, DateTime64 as Datetime in UTC, arrays as List, maps as List(Struct{key, value}), and a String column
        that is not all UTF-8 as Binary.

        Args:
            sql: with parameters as `{name:Type}`.
            parameters: their values by name.

        Raises:
            StoreUnavailable: the store did not answer.
            StoreRefused: it said no.
        """
        client = self._connected()
        with store_errors():
            body = client.raw_query(sql, parameters=dict(parameters or {}), fmt="ArrowStream")
            table = pa.ipc.open_stream(body).read_all()
            addresses = (
                self._addresses(client, sql, parameters) if _SIXTEEN_BYTES in table.schema.types else frozenset()
            )
        columns = zip(table.schema.names, table.columns, strict=True)
        return pl.DataFrame({name: _series(column, is_address=name in addresses) for name, column in columns})

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The same as `frame`, as one dict a row: for small answers."""
        return self.frame(sql, parameters).to_dicts()

    def close(self) -> None:
        """Forget the connection; the next question opens another."""
        with self._connecting:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _addresses(self, client: Client, sql: str, parameters: Mapping[str, Any] | None) -> frozenset[str]:
        """Which columns of this answer are IPv6: in Arrow they look like FixedString(16)."""
        known = self._address_columns.get(sql)
        if known is None:
            rows = client.query(f"DESCRIBE TABLE ({sql})", parameters=dict(parameters or {})).result_rows
            known = frozenset(str(name) for name, kind, *_ in rows if "IPv6" in str(kind))
            if len(self._address_columns) >= _REMEMBERED:
                self._address_columns.clear()
            self._address_columns[sql] = known
        return known

    def _connected(self) -> Client:
        with self._connecting:
            if self._client is None:
                url, user, password, ca_file = self._address
                self._client = connect(url, user, password, ca_file=ca_file)
            return self._client


def _series(column: pa.ChunkedArray, *, is_address: bool) -> pl.Series:
    if isinstance(column.type, pa.UuidType):
        return _uuid_text(_from_arrow(column.cast(column.type.storage_type)))
    if is_address:
        return _address_text(_from_arrow(column))
    if pa.types.is_list(column.type) and isinstance(column.type.value_type, pa.UuidType):
        raw = _from_arrow(column.cast(pa.list_(column.type.value_type.storage_type)))
        return raw.to_frame().select(pl.all().list.eval(_dashed(pl.element().bin.encode("hex")))).to_series()
    if pa.types.is_string(column.type):
        try:
            column.validate(full=True)
        except pa.ArrowInvalid:
            return _from_arrow(column.cast(pa.binary()))
    return _from_arrow(column)


def _from_arrow(column: pa.ChunkedArray) -> pl.Series:
    series = pl.from_arrow(column)
    assert isinstance(series, pl.Series)
    if pa.types.is_map(column.type):
        sides = {"key": _polars_type(column.type.key_type), "value": _polars_type(column.type.item_type)}
        return series.cast(pl.List(pl.Struct(sides)))
    return series


def _polars_type(kind: pa.DataType) -> pl.DataType:
    empty = pl.from_arrow(pa.array([], kind))
    assert isinstance(empty, pl.Series)
    return empty.dtype


def _uuid_text(raw: pl.Series) -> pl.Series:
    return raw.to_frame("id").select(_dashed(pl.col("id").bin.encode("hex"))).to_series()


def _dashed(hexadecimal: pl.Expr) -> pl.Expr:
    return pl.concat_str([hexadecimal.str.slice(start, length) for start, length in _UUID_DASHES], separator="-")


def _address_text(raw: pl.Series) -> pl.Series:
    distinct = raw.drop_nulls().unique()
    spelled = [_spell(ipaddress.IPv6Address(address)) for address in distinct.to_list()]
    return raw.replace_strict(distinct, pl.Series(spelled, dtype=pl.String), default=None, return_dtype=pl.String)


def _spell(address: ipaddress.IPv6Address) -> str:
    return str(address.ipv4_mapped or address)
