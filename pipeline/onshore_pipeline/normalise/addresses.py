"""Texts that should be network addresses, split into addresses and names.

What is no address is kept as a name: 'AWS Internal' is a fact about the source, a NULL would hide it.
"""

from __future__ import annotations

import socket
from typing import Final

import polars as pl

from onshore_pipeline.distinct import by_distinct

_V4_PREFIX: Final = bytes(10) + b"\xff\xff"  # RFC 4291, section 2.5.5.2
_HOST_AND_PORT: Final = 2
_SCHEMA: Final[dict[str, pl.DataType]] = {"address": pl.Binary(), "host": pl.String()}


def split_addresses(texts: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Split texts into (addresses, hosts), both as long as `texts`.

    Addresses are 16 bytes in network order, IPv4 mapped (RFC 4291); null where the text holds none. Hosts are the texts
    that are no address. Ports, brackets, and of URLs all but the host are dropped. An address with a zone
    ('fe80::1%eth0') gives both: the address, and the text as host, because the zone means something on its own machine
    only.
    """
    found = by_distinct(texts, _split_each, _SCHEMA)
    return found["address"], found["host"]


def _split_each(texts: pl.Series) -> pl.DataFrame:
    return pl.DataFrame([_split(text) for text in texts.to_list()], schema=_SCHEMA, orient="row")


def _split(text: str) -> tuple[bytes | None, str | None]:
    name = text.strip()
    if (address := _parse(name)) is not None:
        return address, None
    bare = _without_port(_authority(name) if "://" in name else name)
    if (address := _parse(bare)) is not None:
        return address, None
    if "%" in bare and (address := _parse(bare.partition("%")[0])) is not None:
        return address, name
    return None, bare or None


def _authority(url: str) -> str:
    """Host and port of a URL: who logs in there, and what is asked, is no part of a host."""
    rest = url.partition("://")[2]
    end = min((at for mark in "/?#" if (at := rest.find(mark)) >= 0), default=len(rest))
    return rest[:end].rpartition("@")[2]


def _without_port(text: str) -> str:
    """'[::1]:80' → '::1', 'host:443' → 'host'; anything else stays."""
    if text.startswith("["):
        inside, bracket, _ = text[1:].partition("]")
        return inside if bracket else text
    parts = text.split(":")
    return parts[0] if len(parts) == _HOST_AND_PORT and parts[1].isdecimal() and parts[0] else text


def _parse(text: str) -> bytes | None:
    try:
        if ":" in text:
            return socket.inet_pton(socket.AF_INET6, text)
        if "." in text and text[-1].isdecimal():
            return _V4_PREFIX + socket.inet_pton(socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL byte in the text
        return None
    return None
