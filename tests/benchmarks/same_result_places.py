"""Where a party is and whose it is: look-ups in the product's registries as dicts and sorted lists, all remembered.

Claims are weighed as docs/decisions/0007 says. What needs a registry that the benchmarks' traffic never asks (hosts,
regions, facilities, cross-region models, a MaxMind database) is not written here.
"""

from __future__ import annotations

import socket
from bisect import bisect_right
from datetime import UTC, date, datetime
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

import iptocc

if TYPE_CHECKING:
    import polars as pl

    from onshore_pipeline.context import Context

COUNTRIES = {
    line.split(",")[0]
    for line in resources.files("onshore_pipeline")
    .joinpath("context/reference/country_codes.csv")
    .read_text()
    .splitlines()
}
NAT64, MAPPED = b"\x00\x64\xff\x9b" + bytes(8), bytes(10) + b"\xff\xff"
V4_SIZE = 4
NOWHERE = {"special", "anycast", "front_end"}
RANKS = {"asserted": 0, "inferred": 1}


class NotWritten(Exception):
    """An input that this program would give another result for than the product."""


class Address(NamedTuple):
    """What an address says: the claims (name, country, basis), whose network it is, and what that follows from.

    `packed` has 4 bytes for a v4 address: of its spellings the one that clickhouse-connect writes into IPv6 fastest.
    """

    packed: bytes
    claims: tuple[tuple[str, str, str], ...]
    entity: str | None
    owner: str


class Place(NamedTuple):
    """A party's place, and the names of the claims that it follows from."""

    country: str | None
    basis: str
    candidates: tuple[str, ...]
    contradiction: str | None
    claim: str


class Ranges:
    """Disjoint sorted address ranges with their labels."""

    def __init__(self, frame: pl.DataFrame) -> None:
        labels = frame.drop("first", "last")
        self._firsts, self._lasts = frame["first"].to_list(), frame["last"].to_list()
        self._labels, self._nothing = labels.rows(), (None,) * labels.width

    def find(self, number: int) -> tuple[Any, ...]:
        place = bisect_right(self._firsts, number) - 1
        return self._labels[place] if place >= 0 and number <= self._lasts[place] else self._nothing


class Places:
    """Every question is worked out once and remembered."""

    def __init__(self, context: Context) -> None:
        if context.databases:
            raise NotWritten("a MaxMind database")
        self._own, self._known, self._geoip = map(Ranges, (context.own_networks, context.known_networks, context.geoip))
        self._uses_registry = context.uses_registry
        self._spellings = context.countries.by_spelling
        self._entities: dict[str, list[tuple[str | None, str | None, date, date]]] = {}
        for name, *rest in context.entities.rows():
            self._entities.setdefault(name, []).append(tuple(rest))
        self.address = lru_cache(1 << 20)(self._address)
        self.country = lru_cache(1 << 16)(self._country)
        self.home = lru_cache(1 << 16)(self._home)
        self.owner = lru_cache(1 << 16)(self._owner)
        self.weigh = lru_cache(1 << 16)(weigh)

    def _address(self, text: str) -> Address:
        try:
            packed = socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
        except (OSError, ValueError) as error:
            raise NotWritten(f"client.address {text!r}, which is no address") from error
        plain = MAPPED + packed[-V4_SIZE:] if len(packed) == V4_SIZE or packed.startswith(NAT64) else packed
        number = int.from_bytes(plain, "big")
        network, network_entity = self._own.find(number)
        kind, operator = self._known.find(number)
        geoip = registry = None
        if kind not in NOWHERE:
            (geoip,) = self._geoip.find(number)
            if network is None and geoip is None and kind is None and self._uses_registry:
                found = iptocc.country_code(spelled(plain))
                registry = found if found in COUNTRIES else None
        claims = [("network", network, "asserted"), ("geoip", geoip, "inferred"), ("registry", registry, "inferred")]
        owner = "network" if network_entity else "range" if operator else "-"
        made = tuple(claim for claim in claims if claim[1] is not None)
        return Address(packed, made, network_entity or operator, owner)

    def _country(self, text: str | None) -> str | None:
        return self._spellings.get(text.strip().upper()) if text else None

    def _home(self, sent: tuple[str, ...]) -> tuple[str | None, ...]:
        """Countries; none when one of the words names no country."""
        codes = tuple("none" if word == "none" else self._country(word) for word in sent)
        return () if None in codes or ("none" in codes and len(codes) > 1) else codes

    def _owner(self, entity: str | None, day: int) -> tuple[str | None, str | None]:
        """Where an organisation is registered, and the country that controls it, on a day since 1970."""
        if entity is None:
            return None, None
        when = datetime.fromtimestamp(day * 86_400, UTC).date()
        for country, control, first, last in self._entities.get(entity.lower(), ()):
            if first <= when <= last:
                return country, control
        return None, None


def spelled(packed: bytes) -> str:
    return socket.inet_ntoa(packed[12:]) if packed.startswith(MAPPED) else socket.inet_ntop(socket.AF_INET6, packed)


def weigh(party: str, claims: tuple[tuple[str, str, str], ...]) -> Place:
    """Claims (name, country, basis), the strongest first."""
    if not claims:
        return Place(None, "unknown", (), None, "-")
    countries = {country for _, country, _ in claims}
    if len(countries) == 1:
        return Place(claims[0][1], claims[0][2], (), None, claims[0][0])
    weakest = max((basis for *_, basis in claims), key=RANKS.__getitem__)
    said = ",".join(f"{name}={country}" for name, country, _ in claims)
    return Place(None, weakest, tuple(sorted(countries)), f"{party}:{said}", "+".join(name for name, *_ in claims))
