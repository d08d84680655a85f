"""What an address says: whose network it is in and, as an inference, the country."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Final

import iptocc
import numpy as np
import polars as pl

from onshore_pipeline.distinct import encoded, nulls
from onshore_pipeline.locate.address_memory import MOST_AT_ONCE, MOST_REMEMBERED, AddressMemory
from onshore_pipeline.locate.combinations import combinations

if TYPE_CHECKING:
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

_V4_MAPPED: Final = bytes(10) + b"\xff\xff"  # ::ffff:0:0/96
_NAT64: Final = b"\x00\x64\xff\x9b" + bytes(8)  # 64:ff9b::/96
_NOWHERE: Final = ["special", "anycast", "front_end"]
_PLACE: Final = {"network": pl.String(), "network_entity": pl.String(), "kind": pl.String(), "operator": pl.String()}


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
    packed = _without_nat64(addresses)
    numbers = packed.bin.reinterpret(dtype=pl.UInt128(), endianness="big")
    own, known = context.own_table.numbers_of(numbers), context.known_table.numbers_of(numbers)
    country = context.geography.table.numbers_of(numbers)
    said = context.databases.places(packed) if context.databases else None
    asked = [own.astype(np.int64), known.astype(np.int64), country.astype(np.int64)]
    rows, which = combinations([*asked, *(_codes(said) if said is not None else ())], len(packed))
    places = _places(own[rows], known[rows], country[rows], context)
    places = _with_databases(places, said[rows] if said is not None else None)
    nowhere = (pl.col("kind").is_in(_NOWHERE) | pl.col("is_anycast")).fill_null(False)
    places = places.with_columns(pl.when(nowhere).then(None).otherwise(pl.col("geoip")).alias("geoip"))
    # Geolocation is a claim beside the user's; whom a block was given to says less than he knows.
    is_open = ~nowhere & pl.all_horizontal(pl.col("network", "geoip", "kind").is_null())
    asks = places.select(is_open).to_series()
    registry = pl.Series("registry", [None], dtype=pl.String).new_from_index(0, places.height)
    places = places.with_columns(registry).select(list(SCHEMA))
    return _with_registry(places, which, packed, asks, context)


def _codes(places: pl.DataFrame) -> list[NDArray[np.int64]]:
    """A user's databases' answers as codes."""
    columns = (places.get_column(name).rank("dense").cast(pl.Int64).fill_null(0) for name in ("country", "asn"))
    return [*(column.to_numpy() for column in columns), places.get_column("is_anycast").cast(pl.Int64).to_numpy()]


def _places(
    own: NDArray[np.int32], known: NDArray[np.int32], country: NDArray[np.int32], context: Context
) -> pl.DataFrame:
    """What ranges say, by their numbers: network, network_entity, kind, operator, geoip."""

    def of(frame: pl.DataFrame, numbers: NDArray[np.int32]) -> list[pl.Series]:
        places = pl.Series(numbers)
        positions = places.set(places < 0, None)
        return [column.gather(positions) for column in frame.get_columns() if column.name not in {"first", "last"}]

    codes = pl.DataFrame({"geoip": pl.Series(context.countries.codes, dtype=pl.String)})
    columns = [*of(context.own_networks, own), *of(context.known_networks, known)]
    named = [column.alias(name) for column, name in zip(columns, _PLACE, strict=True)]
    return pl.DataFrame([*named, *of(codes, country)])


def _without_nat64(packed: pl.Series) -> pl.Series:
    """NAT64 addresses stand for the IPv4 address inside them."""
    is_nat64 = packed.bin.starts_with(_NAT64)
    if not is_nat64.any():
        return packed
    mapped = pl.lit(_V4_MAPPED) + pl.col("packed").bin.slice(12, 4)
    frame = pl.DataFrame({"packed": packed, "is_nat64": is_nat64})
    return frame.select(pl.when("is_nat64").then(mapped).otherwise("packed")).to_series()


def _with_databases(places: pl.DataFrame, said: pl.DataFrame | None) -> pl.DataFrame:
    """Let the user's databases speak before the geolocation files."""
    if said is None:
        return places.with_columns(asn=pl.lit(None, pl.UInt32), is_anycast=pl.lit(False))
    places = places.hstack(said.rename({"country": "by database"}))
    return places.with_columns(pl.coalesce("by database", "geoip").alias("geoip")).drop("by database")


def _with_registry(
    places: pl.DataFrame, which: NDArray[np.int64], packed: pl.Series, asks: pl.Series, context: Context
) -> tuple[pl.DataFrame, NDArray[np.int64]]:
    """Add what the regional internet registries say, where nothing better is known."""
    if not context.uses_registry or not asks.any():
        return places, which
    asking = np.flatnonzero(asks.to_numpy()[which])
    distinct, of_distinct = encoded(packed.gather(asking))
    found = pl.Series(iptocc.country_code(_texts(distinct).to_list()), dtype=pl.String)
    codes = pl.Series(context.countries.codes, dtype=pl.String)
    at = pl.DataFrame({"code": found}).join(
        pl.DataFrame({"code": codes}).with_row_index("at"), on="code", how="left", maintain_order="left"
    )
    said = np.full(len(which), -1, np.int64)
    said[asking] = at.get_column("at").cast(pl.Int64).fill_null(-1).gather(of_distinct).to_numpy()
    rows, again = combinations([which, said], len(which))
    answers = pl.Series(said[rows])
    registry = codes.gather(answers.set(answers < 0, None)).alias("registry")
    return places[which[rows]].with_columns(registry), again


def _texts(packed: pl.Series) -> pl.Series:
    """Addresses as text: dotted for IPv4 (the registry data knows no mapped ones), eight groups for IPv6."""
    is_v4 = packed.bin.starts_with(_V4_MAPPED)
    octets = [
        pl.col("packed").bin.slice(12 + i, 1).bin.reinterpret(dtype=pl.UInt8(), endianness="big").cast(pl.String)
        for i in range(4)
    ]
    dotted = packed.filter(is_v4).to_frame("packed").select(pl.concat_str(octets, separator=".")).to_series()
    hexadecimal = packed.filter(~is_v4).bin.encode("hex").to_frame("packed")
    groups = [pl.col("packed").str.slice(4 * i, 4) for i in range(8)]
    grouped = hexadecimal.select(pl.concat_str(groups, separator=":")).to_series()
    # Back in the order of the addresses.
    order = pl.concat([is_v4.arg_true(), (~is_v4).arg_true()]).arg_sort()
    return pl.concat([dotted, grouped]).gather(order)
