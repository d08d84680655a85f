"""Host patterns: what a host's name says about whose it is and where it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.checks import read_countries_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row

_TOKENS: Final = re.compile(r"(\*|\{region\})")
_ALLOWED: Final = re.compile(r"[a-z0-9*{}._-]+")
_CACHED_HOSTS: Final = 65_536
_INDEXED_LABELS: Final = 2


@dataclass(frozen=True, slots=True)
class HostPattern:
    """A pattern and what a host that matches it is.

    `*.` in front stands for one or more labels, `*` elsewhere for one label, `{region}` for a region's name.

    Attributes:
        pattern: as written, lower case.
        regex: for the whole host; its one group is the region (an empty group where the pattern has none).
        tail: what every matching host ends with.
        literals: how many characters are spelled out; of several patterns that match, the one with most wins.
        entity: whose it is, None = unknown.
        provider: cloud whose region names the host carries.
        country: where it is, whatever the region.
        countries: the countries it may be in, where that is not one; sorted.
        is_asserted: the user's own registry says so (else it is inferred from the name).
        reroutes: the host passes calls on: neither its name nor its address says where they end.
        has_profiles: the model's name may carry a cross-region profile (apac., eu., ...).
    """

    pattern: str
    regex: str
    tail: str
    literals: int
    entity: str | None
    provider: str | None
    country: str | None
    is_asserted: bool
    reroutes: bool
    has_profiles: bool
    countries: tuple[str, ...] = ()


class HostPatterns:
    """All patterns in the order they are tried: the user's first, and the most specific first."""

    def __init__(self, patterns: Sequence[HostPattern]) -> None:
        """Index the patterns by the last two labels they spell out, so that a host meets only a few of them."""
        self._patterns = tuple(patterns)
        self._by_end: dict[str | None, list[tuple[int, re.Pattern[str]]]] = {}
        for number, pattern in enumerate(patterns):
            self._by_end.setdefault(_spelled_end(pattern), []).append((number, re.compile(pattern.regex)))
        self._first = lru_cache(_CACHED_HOSTS)(self._search)

    def match(self, hosts: pl.Series) -> pl.DataFrame:
        """Match host names (lower case, no port, no final dot; null where there is none).

        Returns:
            In order: owner, provider, country, region (as the name carries it) String, is_asserted, reroutes,
            has_profiles Boolean, candidates List(String); all null where no pattern matches.
        """
        found = [self._first(host) if host is not None else (None, None) for host in hosts]
        return pl.DataFrame(
            [
                (p.entity, p.provider, p.country, region, p.is_asserted, p.reroutes, p.has_profiles, p.countries)
                if p is not None
                else (None,) * 8
                for p, region in found
            ],
            schema=dict.fromkeys(("owner", "provider", "country", "region"), pl.String())
            | dict.fromkeys(("is_asserted", "reroutes", "has_profiles"), pl.Boolean())
            | {"candidates": pl.List(pl.String)},
            orient="row",
        )

    def _search(self, host: str) -> tuple[HostPattern | None, str | None]:
        end = ".".join(host.rsplit(".", _INDEXED_LABELS)[-_INDEXED_LABELS:])
        candidates = self._by_end.get(end, [])
        if None in self._by_end:
            candidates = sorted([*candidates, *self._by_end[None]], key=lambda item: item[0])
        for number, regex in candidates:
            if matched := regex.fullmatch(host):
                return self._patterns[number], matched.group(1) or None
        return None, None


def _spelled_end(pattern: HostPattern) -> str | None:
    """The last two whole labels of every host that matches; None where the pattern does not spell them out."""
    is_literal = pattern.tail == pattern.pattern
    # What stands in front of the tail's first dot may be the end of a longer label.
    whole = pattern.tail if is_literal else pattern.tail.partition(".")[2]
    labels = whole.split(".")
    if len(labels) < _INDEXED_LABELS and not is_literal:
        return None
    return ".".join(labels[-_INDEXED_LABELS:])


def read_pattern(row: Row, countries: Countries, *, entity_column: str, is_asserted: bool) -> HostPattern:
    """Read one row of a host table. Raises `ContextError` for a pattern that matches too much or cannot be read."""
    pattern = row.require("host_pattern").lower().rstrip(".")
    parts = _TOKENS.split(pattern)
    if (
        not _ALLOWED.fullmatch(pattern)
        or parts.count("{region}") > 1
        or re.search(r"[{}]", re.sub(_TOKENS, "", pattern))
    ):
        raise row.error(f"'{pattern}' is no host pattern; write a host, with * for labels and {{region}} at most once")
    if "." not in parts[-1].strip(".") and len(parts) > 1:
        raise row.error(f"'{pattern}' would match a whole top-level domain; spell out at least two labels at its end")
    return HostPattern(
        pattern=pattern,
        regex=_regex(parts),
        tail=parts[-1],
        literals=sum(len(part) for part in parts if not _TOKENS.fullmatch(part)),
        entity=row.get(entity_column),
        provider=(row.get("provider") or "").lower() or None,
        country=countries.of(row, "country"),
        is_asserted=is_asserted,
        reroutes=row.truth("reroutes"),
        has_profiles=row.truth("profiles"),
        countries=read_countries_of(row, "countries", countries),
    )


def by_specificity(patterns: Iterable[HostPattern]) -> list[HostPattern]:
    """The pattern that spells out most first."""
    return sorted(patterns, key=lambda pattern: (-pattern.literals, pattern.pattern))


def _regex(parts: list[str]) -> str:
    spelled = []
    for index, part in enumerate(parts):
        if part == "{region}":
            spelled.append("([a-z0-9-]+)")
        elif part == "*":
            in_front = index == 1 and parts[0] == "" and parts[2].startswith(".")
            spelled.append(r"[^.]+(?:\.[^.]+)*" if in_front else "[^.]+")
        else:
            spelled.append(re.escape(part).replace(r"\-", "-"))
    group = "" if "{region}" in parts else "()"
    return "".join(spelled) + group
