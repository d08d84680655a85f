"""What an address says: whose network it is in and, as an inference, the country."""

from __future__ import annotations

import sys
from threading import Lock
from typing import TYPE_CHECKING, Final

import iptocc
import numpy as np
import polars as pl

from onshore_pipeline.context.address_table import NOWHERE
from onshore_pipeline.distinct import encoded, is_true, nulls, positions
from onshore_pipeline.locate.address_memory import MOST_AT_ONCE, MOST_REMEMBERED, AddressMemory, keys_of
from onshore_pipeline.locate.address_texts import address_texts
from onshore_pipeline.locate.combinations import combinations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.context import Context

    AddressPlaces = tuple[pl.DataFrame, NDArray[np.int64]]

SCHEMA: Final[dict[str, pl.DataType]] = {
    "network": pl.String(),
    "network_entity": pl.String(),
    "geoip": pl.String(),
    "registry": pl.String(),
    "asn": pl.UInt32(),
    "operator": pl.String(),
}

_V4_MAPPED: Final = np.uint64(0xFFFF << 32)  # ::ffff:0:0/96, the last 64 bits
_LAST_V4: Final = np.uint64(0xFFFF_FFFF)
_NAT64: Final = np.uint64(0x0064FF9B << 32)  # 64:ff9b::/96, the first 64 bits
_IN_NO_COUNTRY: Final = ["special", "anycast", "front_end"]
_PLACE: Final = ("network", "network_entity", "kind", "operator", "geoip")


def address_places(addresses: pl.Series, context: Context) -> AddressPlaces:
    """Look addresses up.

    Args:
        addresses: Binary, 16 bytes in network order, IPv4 mapped; null where there is none.
        context: the registries.

    Returns:
        Different answers (also those that other addresses had before), and which of them each address has (-1: there
        is no address). An answer is network (country by the user's own registry), network_entity (whose it
        is by the same), geoip (country by geolocation, of public addresses alone), registry (country by the regional
        internet registry; only where the other two know nothing and no cloud operator lives), asn (UInt32, by a user's
        database), operator (whose network it is). All null for an address that is nowhere in particular.
    """
    height = len(addresses)
    if addresses.null_count() == height:
        return nulls(0, SCHEMA), np.full(height, -1, np.int64)
    if not addresses.null_count():
        return _remembered(addresses, context)
    is_known = addresses.is_not_null()
    answers, of_known = _remembered(addresses.filter(is_known), context)
    numbers = np.full(height, -1, np.int64)
    numbers[is_known.to_numpy()] = of_known
    return answers, numbers


class _Answers:
    """What was said about addresses before: the different answers, and the number of each address's answer."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.lock = Lock()
        self.addresses = AddressMemory()
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.addresses.forget()
        self.of_row: dict[tuple[object, ...], int] = {}
        self.answers = pl.DataFrame(schema=SCHEMA)

    def add(self, answers: pl.DataFrame, which: NDArray[np.int64]) -> NDArray[np.int64]:
        """Keep answers; the numbers of those that `which` names."""
        rows = answers.rows()
        first_of = {row: position for position, row in reversed(list(enumerate(rows))) if row not in self.of_row}
        self.of_row |= {row: len(self.of_row) + number for number, row in enumerate(first_of)}
        self.answers = pl.concat([self.answers, answers[list(first_of.values())]], rechunk=True)
        return np.array([self.of_row[row] for row in rows], np.int64)[which]


def _remembered(addresses: pl.Series, context: Context) -> AddressPlaces:
    """The answers known so far, and the number of each address's; only addresses not seen before are looked up."""
    if len(addresses) > MOST_AT_ONCE:
        distinct, which = encoded(addresses)
        if len(distinct) > MOST_REMEMBERED:
            answers, numbers = _look_up(distinct, context)
        else:
            answers, numbers = _remembered(distinct, context)
        return answers, numbers[which.to_numpy()]
    memory = context.memory.get("addresses", _Answers)
    with memory.lock:
        if memory.addresses.count > MOST_REMEMBERED:
            memory.forget()
        numbers = memory.addresses.numbers_of(addresses, lambda new: memory.add(*_look_up(new, context)))
        return memory.answers, numbers


def _look_up(addresses: pl.Series, context: Context) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    keys = _numbers_of(addresses)
    tables = (context.own_table, context.known_table, context.geography.table)
    said = context.databases.places(_packed(keys)) if context.databases else None
    asked = [table.numbers_of(keys) for table in tables]
    rows, which = combinations([*asked, *(_codes(said) if said is not None else ())], len(keys))
    places = _places([(table.answers, numbers[rows]) for table, numbers in zip(tables, asked, strict=True)])
    places = _with_databases(places, said[rows] if said is not None else None)
    nowhere = is_true(places["kind"].is_in(_IN_NO_COUNTRY)) | is_true(places["is_anycast"])
    said_of = {column.name: column for column in places.get_columns()}
    said_of["geoip"] = places["geoip"].set(nowhere, None)
    # Geolocation is a claim beside the user's; whom a block was given to says less than he knows.
    asks = ~nowhere
    for name in ("network", "geoip", "kind"):
        asks &= said_of[name].is_null()
    said_of["registry"] = pl.Series("registry", [None], dtype=pl.String).new_from_index(0, places.height)
    places = pl.DataFrame([said_of[name] for name in SCHEMA])
    return _with_registry(places, which, keys, asks, context)


def _codes(places: pl.DataFrame) -> list[NDArray[np.int64]]:
    """A user's databases' answers as codes."""
    columns = (places.get_column(name).rank("dense").cast(pl.Int64).fill_null(0) for name in ("country", "asn"))
    return [*(column.to_numpy() for column in columns), places.get_column("is_anycast").cast(pl.Int64).to_numpy()]


def _places(said: Sequence[tuple[pl.DataFrame, NDArray[np.int64]]]) -> pl.DataFrame:
    """What each table says, by the numbers of its answers: network, network_entity, kind, operator, geoip."""
    columns = []
    for answers, numbers in said:
        at = positions(numbers)
        columns += [column[at] for column in answers.get_columns()]
    return pl.DataFrame([column.alias(name) for column, name in zip(columns, _PLACE, strict=True)])


def _numbers_of(addresses: pl.Series) -> NDArray[np.uint64]:
    """Addresses as two numbers each; NAT64 addresses stand for the IPv4 address inside them."""
    keys = keys_of(addresses).byteswap() if sys.byteorder == "little" else keys_of(addresses).copy()
    is_nat64 = (keys[:, 0] == _NAT64) & (keys[:, 1] <= _LAST_V4)
    if is_nat64.any():
        keys[is_nat64, 0] = 0
        keys[is_nat64, 1] |= _V4_MAPPED
    return keys


def _packed(keys: NDArray[np.uint64]) -> pl.Series:
    """Such numbers as 16 bytes each."""
    raw = keys.astype(">u8").tobytes()
    return pl.Series([raw[at : at + 16] for at in range(0, len(raw), 16)], dtype=pl.Binary)


def _with_databases(places: pl.DataFrame, said: pl.DataFrame | None) -> pl.DataFrame:
    """Let the user's databases speak before the geolocation files."""
    if said is None:
        asn = pl.Series("asn", [None], dtype=pl.UInt32).new_from_index(0, places.height)
        return places.hstack([asn, pl.Series("is_anycast", [False]).new_from_index(0, places.height)])
    places = places.hstack(said.rename({"country": "by database"}))
    return places.with_columns(pl.coalesce("by database", "geoip").alias("geoip")).drop("by database")


def _with_registry(
    places: pl.DataFrame, which: NDArray[np.int64], keys: NDArray[np.uint64], asks: pl.Series, context: Context
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Add what the regional internet registries say, where nothing better is known."""
    if not context.uses_registry or not asks.any():
        return places, which
    asking = np.flatnonzero(asks.to_numpy()[which])
    found = pl.Series(iptocc.country_code(address_texts(keys[asking])), dtype=pl.String)
    codes = pl.Series(context.countries.codes, dtype=pl.String)
    at = {code: position for position, code in enumerate(context.countries.codes)}
    said = np.full(len(which), NOWHERE, np.int64)
    if found.null_count() < len(found):
        distinct, of_distinct = encoded(found)
        known = pl.Series([at.get(code, NOWHERE) for code in distinct], dtype=pl.Int64)
        numbers = known.to_numpy()[of_distinct.fill_null(0).to_numpy()]
        said[asking] = np.where(found.is_null().to_numpy(), NOWHERE, numbers)
    rows, again = combinations([which, said], len(which))
    registry = codes[positions(said[rows])].alias("registry")
    spread = places[which[rows]]
    return pl.DataFrame([registry if name == "registry" else spread[name] for name in SCHEMA]), again
