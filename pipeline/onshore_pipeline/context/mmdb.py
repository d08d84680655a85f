"""MaxMind DB files that the user supplies: address → country and network number."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import maxminddb
import polars as pl

from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_CACHED_ADDRESSES: Final = 131_072  # about 20 MB
_V4_MAPPED: Final = b"\x00" * 10 + b"\xff\xff"


class Place(NamedTuple):
    """What the databases say about an address."""

    country: str | None
    asn: int | None
    is_anycast: bool


class AddressDatabases:
    """Several files read as one: the first that knows wins, country and network number apart."""

    def __init__(self, files: Sequence[Path], codes: Sequence[str]) -> None:
        """Open the files. Raises `ContextError` for one that is no MaxMind DB; `codes` are the alpha-2 codes."""
        self._codes = frozenset(codes)
        self._readers = [_open(file) for file in files]
        self._place = lru_cache(_CACHED_ADDRESSES)(self._look_up)
        self.sources = tuple(_source(file, reader) for file, reader in zip(files, self._readers, strict=True))

    def __bool__(self) -> bool:
        """Whether any file was given."""
        return bool(self._readers)

    def places(self, addresses: pl.Series) -> pl.DataFrame:
        """Packed addresses (Binary, 16 bytes each) → country String, asn UInt32, is_anycast Boolean, in their order."""
        return pl.DataFrame(
            [self._place(packed) for packed in addresses],
            schema={"country": pl.String, "asn": pl.UInt32, "is_anycast": pl.Boolean},
            orient="row",
        )

    def _look_up(self, packed: bytes) -> Place:
        v4 = packed.startswith(_V4_MAPPED)
        address = ipaddress.IPv4Address(packed[12:]) if v4 else ipaddress.IPv6Address(packed)
        country, asn, anycast = None, None, False
        for reader in self._readers:
            if not v4 and reader.metadata().ip_version == 4:  # noqa: PLR2004 - the protocol's name
                continue
            record = reader.get(address)
            if isinstance(record, dict):
                country = country or self._country(record)
                asn = asn or _asn(record)
                anycast = anycast or _is_anycast(record)
        return Place(country, asn, anycast)

    def _country(self, record: dict[str, object]) -> str | None:
        # 'registered_country' is where the block's holder sits, not where the address is: never read it.
        found = record.get("country")
        if isinstance(found, dict):
            found = found.get("iso_code")
        code = found if isinstance(found, str) else record.get("country_code")
        return code.upper() if isinstance(code, str) and code.upper() in self._codes else None


def _asn(record: dict[str, object]) -> int | None:
    found = record.get("autonomous_system_number", record.get("asn"))
    if isinstance(found, str):
        digits = found.upper().removeprefix("AS")
        found = int(digits) if digits.isdecimal() else None
    return found if isinstance(found, int) and 0 < found < 1 << 32 else None


def _is_anycast(record: dict[str, object]) -> bool:
    traits = record.get("traits")
    nested = traits.get("is_anycast") if isinstance(traits, dict) else None
    return bool(nested or record.get("is_anycast"))


def _open(file: Path) -> maxminddb.Reader:
    try:
        return maxminddb.open_database(file)
    except OSError as error:
        raise ContextError(file, None, f"cannot be read: {error.strerror or error}") from error
    except (maxminddb.InvalidDatabaseError, ValueError) as error:
        raise ContextError(file, None, f"is no MaxMind DB file: {error}") from error


def _source(file: Path, reader: maxminddb.Reader) -> tuple[str, str, str]:
    metadata = reader.metadata()
    built = datetime.fromtimestamp(metadata.build_epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    with file.open("rb") as content:
        return file.name, f"{metadata.database_type} {built}", hashlib.file_digest(content, "sha256").hexdigest()
