"""Address ranges: CIDR lists and geolocation files as one sorted table that a join can search.

Addresses are 128-bit numbers, IPv4 mapped into ::ffff:0:0/96, so that one table serves both families.
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
import socket
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from onshore_pipeline.context.csv_table import Row

MAPPED: Final = 0xFFFF << 32
_GENERATED: Final = re.compile(rb"^#\s*Generated:\s*(.+?)\s*$", re.MULTILINE)
_HEADER_BYTES: Final = 4096


def read_network(row: Row, column: str = "network") -> tuple[int, int]:
    """First and last address of the CIDR block (or single address) in a cell. Raises `ContextError`."""
    value = row.require(column)
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        raise row.error(f"column '{column}': {error}", column) from error
    base = MAPPED if network.version == 4 else 0  # noqa: PLR2004 - the protocol's name
    return base + int(network.network_address), base + int(network.broadcast_address)


def disjoint(ranges: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Cut nested ranges (first, last, label) into disjoint ones, the innermost label winning.

    Ranges must nest or be apart, as CIDR blocks always do; of two equal ones the first wins.
    """
    ordered = sorted(ranges, key=lambda item: (item[0], -item[1]))
    cut: list[tuple[int, int, int]] = []
    open_ranges: list[tuple[int, int]] = []  # (last, label), innermost on top
    position = 0

    def advance(target: int) -> None:
        """Emit everything in front of `target`."""
        nonlocal position
        while open_ranges and open_ranges[-1][0] < target:
            last, label = open_ranges.pop()
            if position <= last:
                cut.append((position, last, label))
                position = last + 1
        if open_ranges and position < target:
            cut.append((position, target - 1, open_ranges[-1][1]))
        position = target

    previous: tuple[int, int] | None = None
    for first, last, label in ordered:
        if previous == (first, last):
            continue
        previous = (first, last)
        advance(first)
        open_ranges.append((last, label))
    advance(1 << 128)
    return cut


def range_frame(ranges: Sequence[tuple[int, int]], labels: dict[str, Sequence[str | None]]) -> pl.DataFrame:
    """Disjoint sorted ranges → first UInt128, last UInt128, and one String column a label."""
    cut = disjoint((first, last, index) for index, (first, last) in enumerate(ranges))
    picked = [index for _, _, index in cut]
    return pl.DataFrame(
        {
            "first": pl.Series([first for first, _, _ in cut], dtype=pl.UInt128),
            "last": pl.Series([last for _, last, _ in cut], dtype=pl.UInt128),
            **{name: pl.Series([values[i] for i in picked], dtype=pl.String) for name, values in labels.items()},
        }
    ).set_sorted("first")


def read_geoip(files: Sequence[Path], codes: Sequence[str]) -> tuple[pl.DataFrame, tuple[tuple[str, str, str], ...]]:
    """Read geolocation files in the format of Debian's tor-geoipdb: `first,last,country` a line, # comments.

    Args:
        files: IPv4 files hold decimal numbers, IPv6 files hold addresses; both may be given, in any order.
        codes: alpha-2 codes; anything else ('EU', 'AP', '??') is no country, and such ranges stay unknown.

    Returns:
        (first UInt128, last UInt128, country String; disjoint, sorted) and for each file (name, version, sha256).

    Raises:
        ContextError: a file cannot be read, has another format, or its ranges overlap.
    """
    frames, sources = [], []
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise ContextError(file, None, f"cannot be read: {error.strerror}") from error
        frames.append(_geoip_ranges(file, content))
        generated = _GENERATED.search(content[:_HEADER_BYTES])
        version = generated.group(1).decode("utf-8", "replace") if generated else ""
        sources.append((file.name, version, hashlib.sha256(content).hexdigest()))
    empty = pl.DataFrame(schema={"first": pl.UInt128, "last": pl.UInt128, "country": pl.String})
    ranges = pl.concat([empty, *frames]).sort("first")
    overlaps = ranges.select((pl.col("first") <= pl.col("last").shift(1)) | (pl.col("last") < pl.col("first")))
    if overlaps.to_series().any():
        raise ContextError(files[0], None, "its address ranges overlap, in the file or between the files given")
    return ranges.filter(pl.col("country").is_in(list(codes))).set_sorted("first"), tuple(sources)


def _geoip_ranges(file: Path, content: bytes) -> pl.DataFrame:
    try:
        text = pl.read_csv(
            content, has_header=False, comment_prefix="#", schema=dict.fromkeys(("first", "last", "country"), pl.String)
        )
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise ContextError(file, None, f"is not a geolocation file (first,last,country a line): {reason}") from error
    if text.is_empty():
        raise ContextError(file, None, "holds no address ranges")
    parse: Callable[[pl.Series], pl.Series] = _v6 if ":" in (text.item(0, "first") or "") else _v4
    try:
        numbers = {name: parse(text.get_column(name)) for name in ("first", "last")}
    except (pl.exceptions.PolarsError, OSError, TypeError) as error:
        raise ContextError(file, None, "holds a line whose range is no pair of addresses") from error
    return pl.DataFrame({**numbers, "country": text.get_column("country").str.to_uppercase()})


def _v4(column: pl.Series) -> pl.Series:
    numbers = column.cast(pl.UInt32)
    if numbers.null_count():
        raise TypeError("a cell is empty")
    return numbers.cast(pl.UInt128) + pl.Series([MAPPED], dtype=pl.UInt128)


def _v6(column: pl.Series) -> pl.Series:
    packed = pl.Series([socket.inet_pton(socket.AF_INET6, text) for text in column], dtype=pl.Binary)
    return packed.bin.reinterpret(dtype=pl.UInt128(), endianness="big")
