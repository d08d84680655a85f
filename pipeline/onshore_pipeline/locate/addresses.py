"""What an address says: whose network it is in and, as an inference, the country."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import iptocc
import polars as pl

from onshore_pipeline.distinct import by_distinct

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

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


def address_places(addresses: pl.Series, context: Context) -> pl.DataFrame:
    """Look addresses up, each distinct one once.

    Args:
        addresses: Binary, 16 bytes in network order, IPv4 mapped; null where there is none.
        context: the registries.

    Returns:
        In order, a row an address: network (country by the user's own registry, which replaces the inferences),
        network_entity (whose it is by the same), geoip (country by geolocation), registry (country by the regional
        internet registry; only where geolocation knows nothing and no cloud operator lives), asn (UInt32, by a user's
        database), operator (whose network it is). All null for an address that is nowhere in particular.
    """

    def answer(distinct: pl.Series) -> pl.DataFrame:
        return _look_up(distinct, context)

    return by_distinct(addresses, answer, SCHEMA)


def _look_up(distinct: pl.Series, context: Context) -> pl.DataFrame:
    packed = _without_nat64(distinct)
    numbers = packed.bin.reinterpret(dtype=pl.UInt128(), endianness="big")
    frame = pl.DataFrame({"packed": packed, "number": numbers}).with_row_index("position").sort("number")
    frame = _in_ranges(frame, context.own_networks.rename({"country": "network", "entity": "network_entity"}))
    frame = _in_ranges(frame, context.known_networks)
    frame = _in_ranges(frame, context.geoip.rename({"country": "geoip"}))
    frame = _with_databases(frame, context)
    is_own = pl.col("network").is_not_null()
    nowhere = is_own | pl.col("kind").is_in(["special", "anycast", "front_end"]) | pl.col("is_anycast")
    frame = frame.with_columns(pl.when(nowhere.fill_null(False)).then(None).otherwise(pl.col("geoip")).alias("geoip"))
    asks = ~nowhere.fill_null(False) & pl.col("geoip").is_null() & pl.col("kind").is_null()
    frame = frame.with_columns(_registry(frame, frame.select(asks).to_series(), context))
    return frame.sort("position").select(list(SCHEMA))


def _without_nat64(packed: pl.Series) -> pl.Series:
    """NAT64 addresses stand for the IPv4 address inside them."""
    is_nat64 = packed.bin.starts_with(_NAT64)
    if not is_nat64.any():
        return packed
    mapped = pl.lit(_V4_MAPPED) + pl.col("packed").bin.slice(12, 4)
    frame = pl.DataFrame({"packed": packed, "is_nat64": is_nat64})
    return frame.select(pl.when("is_nat64").then(mapped).otherwise("packed")).to_series()


def _in_ranges(frame: pl.DataFrame, ranges: pl.DataFrame) -> pl.DataFrame:
    """Add the labels of the range each `number` lies in; both sides sorted, ranges disjoint."""
    labels = [name for name in ranges.columns if name not in {"first", "last"}]
    joined = frame.join_asof(ranges, left_on="number", right_on="first", strategy="backward")
    inside = pl.col("number") <= pl.col("last")
    return joined.with_columns(pl.when(inside).then(pl.col(name)).alias(name) for name in labels).drop("first", "last")


def _with_databases(frame: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Let the user's databases speak before the geolocation files."""
    if not context.databases:
        return frame.with_columns(asn=pl.lit(None, pl.UInt32), is_anycast=pl.lit(False))
    places = context.databases.places(frame.get_column("packed"))
    frame = frame.with_columns(places.rename({"country": "by database"}))
    return frame.with_columns(pl.coalesce("by database", "geoip").alias("geoip")).drop("by database")


def _registry(frame: pl.DataFrame, asks: pl.Series, context: Context) -> pl.Series:
    """What the regional internet registries say about the addresses that `asks` marks."""
    none = pl.repeat(None, frame.height, dtype=pl.String, eager=True).alias("registry")
    if not context.uses_registry or not asks.any():
        return none
    texts = _texts(frame.filter(asks).get_column("packed"))
    found = pl.Series("found", iptocc.country_code(texts.to_list()), dtype=pl.String)
    codes = found.set(~found.is_in(list(context.countries.codes)).fill_null(False), None)
    return none.scatter(asks.arg_true(), codes)


def _texts(packed: pl.Series) -> pl.Series:
    """Addresses as text: dotted for IPv4 (the registry data knows no mapped ones), eight groups for IPv6."""
    octets = [
        pl.col("packed").bin.slice(12 + i, 1).bin.reinterpret(dtype=pl.UInt8(), endianness="big").cast(pl.String)
        for i in range(4)
    ]
    groups = pl.col("packed").bin.encode("hex").str.replace_all("(.{4})", "$1:").str.strip_suffix(":")
    is_v4 = pl.col("packed").bin.starts_with(_V4_MAPPED)
    text = pl.when(is_v4).then(pl.concat_str(octets, separator=".")).otherwise(groups)
    return packed.rename("packed").to_frame().select(text).to_series()
