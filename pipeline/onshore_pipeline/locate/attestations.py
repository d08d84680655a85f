"""Signed statements about places: JSON Web Signatures (compact, EdDSA) of attestors whose keys are registered.

    header   {"alg": "EdDSA"}
    payload  {"iss": attestor, "sub": what it speaks about, "country": "AU", "iat": ..., "exp": ...}

`sub` is the id, host, address or facility of a party of the event; `iat` and `exp` are seconds since 1970 and bound
when the statement counts, by the event's own time. A statement that cannot be verified is only what a sender says.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import polars as pl
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from onshore_pipeline.domain.event import PARTIES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.context import Context
    from onshore_pipeline.context.registered import Attestor

_CACHED: Final = 16_384
_MOST_BYTES: Final = 8_192
_PARTS: Final = 3
_COMPARED: Final = ("id", "host", "facility")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as read.

    Attributes:
        subject: what it speaks about.
        country: alpha-2.
        begins: since when it counts, seconds since 1970; None = unbounded.
        ends: until when.
        attestors: rows of whose signature was verified, each with its own days; empty = nobody's.
    """

    subject: str
    country: str
    begins: float | None
    ends: float | None
    attestors: tuple[Attestor, ...]


def attested_countries(events: pl.DataFrame, context: Context) -> dict[str, tuple[pl.Series, pl.Series]]:
    """For each party that a statement speaks about: countries by verified ones, and by those that were not."""
    texts = events["attestation"]
    rows = texts.is_not_null().arg_true()
    if not len(rows):
        return {}
    found: dict[str, tuple[list[str | None], list[str | None]]] = {
        party: ([None] * events.height, [None] * events.height) for party in PARTIES
    }
    columns = [f"{party}_{name}" for party in PARTIES for name in (*_COMPARED, "address")]
    for row, event in zip(
        rows, events[rows].select("occurred_at", "attestation", *columns).iter_rows(named=True), strict=True
    ):
        statement = _read(event["attestation"], context)
        if statement is None:
            continue
        side = 0 if _counts(statement, event["occurred_at"]) else 1
        for party in _parties_named(statement.subject, event):
            found[party][side][row] = statement.country
    return {
        party: (pl.Series(verified, dtype=pl.String), pl.Series(said, dtype=pl.String))
        for party, (verified, said) in found.items()
        if any(verified) or any(said)
    }


def _parties_named(subject: str, event: dict[str, Any]) -> Iterator[str]:
    for party in PARTIES:
        address = event[f"{party}_address"]
        names = [event[f"{party}_{name}"] for name in _COMPARED]
        names.append(_spelled(address) if address is not None else None)
        if subject in {name.lower() for name in names if name}:
            yield party


def _spelled(packed: bytes) -> str:
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)


def _counts(statement: Statement, when: datetime | None) -> bool:
    if when is None:
        return False
    at = when.timestamp()
    in_time = (statement.begins is None or statement.begins <= at) and (statement.ends is None or at <= statement.ends)
    day = when.astimezone(UTC).date()
    return in_time and any(attestor.first <= day <= attestor.last for attestor in statement.attestors)


def _read(text: str, context: Context) -> Statement | None:
    read = context.memory.get("attestations", lambda: lru_cache(_CACHED)(lambda each: _statement(each, context)))
    return read(text)


def _statement(text: str, context: Context) -> Statement | None:
    """The statement in a text; None where it is none that we understand."""
    parts = text.strip().split(".")
    if len(text) > _MOST_BYTES or len(parts) != _PARTS:
        return None
    try:
        header, payload = (json.loads(_bytes(part)) for part in parts[:2])
        signature = _bytes(parts[2])
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(payload, dict) or header.get("alg") != "EdDSA":
        return None
    subject, country = payload.get("sub"), payload.get("country")
    begins, ends = payload.get("iat"), payload.get("exp")
    if not isinstance(subject, str) or not isinstance(country, str) or "crit" in header:
        return None
    code = context.countries.by_spelling.get(country.strip().upper())
    if code is None or not _is_time(begins) or not _is_time(ends):
        return None
    signed = ".".join(parts[:2]).encode()
    attestors = tuple(
        each
        for each in context.registered.attestors
        if each.name == payload.get("iss")
        and (not each.countries or code in each.countries)
        and _is_signed(each.public_key, signature, signed)
    )
    return Statement(subject.lower(), code, begins, ends, attestors)


def _is_time(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _is_signed(public_key: bytes, signature: bytes, signed: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def _bytes(part: str) -> bytes:
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
