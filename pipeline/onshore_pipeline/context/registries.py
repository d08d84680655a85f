"""Turns registry rows into frames that joins can use. Every function raises `ContextError` for a row it cannot use."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.networks import range_frame, read_network
from onshore_pipeline.domain.whole_numbers import shown, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row
    from onshore_pipeline.context.dated import Dated

# Networks that rent or lend addresses to others: where such an address is registered says nothing about its place.
_HOSTING_KINDS: Final = frozenset({"hyperscaler", "cloud", "cdn", "model", "transit"})

_LARGEST_ASN: Final = 2**32 - 1
_CLOUD_KINDS: Final = frozenset({"hyperscaler", "cloud"})
_IN_FRONT: Final = frozenset({"akamai", "cloudflare"})


def is_usable(row: Row) -> bool:
    """Whether the row may be used to say something; 'check' means that nobody has verified it yet."""
    return row.get("confidence") != "check"


def latest(rows: Iterable[Row], *key: str) -> list[Row]:
    """One row a key, the last winning: what the user adds stands behind what ships. Keys compare without case."""
    return list({tuple((row.get(column) or "").lower() for column in key): row for row in rows}.values())


def provider_names(rows: Iterable[Row]) -> dict[str, str]:
    """Every spelling of a cloud provider → its short name."""
    return {
        spelling: row.require("provider")
        for row in rows
        for spelling in (row.require("provider"), *(row.get("aliases") or "").split())
    }


def cloud_owners(operators: Iterable[Row], providers: Iterable[Row]) -> dict[str, str]:
    """Names of clouds, as a provider and as a network's operator → whose they are in the end.

    Content networks are left out: that one stands in front of another cloud's machine contradicts nothing.
    """
    rows = [*(row for row in operators if row.get("kind") in _CLOUD_KINDS), *providers]
    return {
        row.require("operator"): row.get("ultimate_parent") or row.require("operator")
        for row in rows
        if is_usable(row) and row.get("provider") not in _IN_FRONT
    }


def region_frame(regions: Sequence[Row], sets: Sequence[Row], countries: Countries) -> pl.DataFrame:
    """Region names → key String (`provider/region`), countries List(String), operator String.

    An empty list is a name that is known to say nothing. Keys without a provider (`/region`) are names on whose
    country every provider that uses them agrees.
    """
    found: dict[tuple[str, str], tuple[tuple[str, ...], str | None]] = {}
    for row in regions:
        key = (row.require("provider").lower(), row.require("region").lower())
        country = countries.of(row, "country")
        found[key] = ((country,) if country and is_usable(row) else (), row.get("operator"))
    for row in sets:
        if row.require("kind") == "multi_region":
            found[row.require("provider").lower(), row.require("name").lower()] = (read_set(row, countries), None)
    by_name: dict[str, set[tuple[str, ...]]] = {}
    for (_, name), (members, _) in found.items():
        by_name.setdefault(name, set()).add(members)
    agreed = [("/" + name, list(members), None) for name, all_ in by_name.items() if len(all_) == 1 for members in all_]
    named = [(f"{provider}/{name}", list(members), op) for (provider, name), (members, op) in found.items()]
    schema: dict[str, pl.DataType] = {"key": pl.String(), "countries": pl.List(pl.String), "operator": pl.String()}
    return pl.DataFrame([*named, *agreed], schema=schema, orient="row")


def profile_frame(sets: Iterable[Row], countries: Countries) -> pl.DataFrame:
    """Prefixes of model names that route over regions → profile String, countries List(String) (empty: unknown)."""
    profiles = [row for row in sets if row.get("kind") == "inference_profile"]
    rows = [(row.require("name"), list(read_set(row, countries))) for row in profiles]
    return pl.DataFrame(rows, schema={"profile": pl.String, "countries": pl.List(pl.String)}, orient="row")


def read_set(row: Row, countries: Countries) -> tuple[str, ...]:
    """The countries that a name stands for, sorted; none when they are not known."""
    members = tuple(sorted((row.get("countries") or "").split()))
    for member in members:
        if member not in countries.codes:
            raise row.error(f"column 'countries': '{member}' is no alpha-2 country code")
    return members if is_usable(row) else ()


def facility_frame(rows: Iterable[Row], countries: Countries) -> pl.DataFrame:
    """Facilities → facility String (lower case), country String, entity String."""
    found = [(row.require("facility").lower(), countries.of(row, "country"), row.get("entity")) for row in rows]
    return _text_frame(found, "facility", "country", "entity")


def own_network_frame(
    rows: Sequence[Row], facilities: pl.DataFrame, of_any_day: Sequence[Dated], countries: Countries
) -> pl.DataFrame:
    """The user's address ranges → first, last UInt128, country String, entity String; the innermost range wins.

    `facilities` are those of the rows' day, `of_any_day` the registry's rows: errors tell the one from the other.
    """
    places = {name: (country, entity) for name, country, entity in facilities.iter_rows()}
    found_countries, entities = [], []
    for row in rows:
        facility = (row.get("facility") or "").lower()
        if facility and facility not in places:
            raise row.error(_why_not(facility, of_any_day), "facility")
        at_facility, run_by = places.get(facility, (None, None))
        country = countries.of(row, "country") or at_facility
        if country is None:
            raise row.error("says neither country nor facility: fill one of them")
        if at_facility not in (None, country):
            raise row.error(f"says country {country}, but facility '{facility}' is in {at_facility}")
        found_countries.append(country)
        entities.append(row.get("entity") or run_by)
    return range_frame([read_network(row) for row in rows], {"country": found_countries, "entity": entities})


def _why_not(facility: str, of_any_day: Sequence[Dated]) -> str:
    """Why a range cannot lie at a facility, in lower case, of which no row holds on its day."""
    lines = sorted({each.row.line for each in of_any_day if each.row.require("facility").lower() == facility})
    file = of_any_day[0].row.file.name if of_any_day else "facilities.yaml or facilities.csv"
    if not lines:
        return f"facility '{facility}' is not in {file}: add it there, or say the country here"
    return (
        f"facility '{facility}' is in {file} for some days only (line {', '.join(map(str, lines))}): date this row"
        " likewise with valid_from and valid_to, once for each row there"
    )


def known_network_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Special, anycast and cloud ranges → first, last UInt128, kind String, operator String."""
    kinds, operators = [row.require("kind") for row in rows], [row.get("operator") for row in rows]
    return range_frame([read_network(row) for row in rows], {"kind": kinds, "operator": operators})


def operator_frame(rows: Iterable[Row]) -> pl.DataFrame:
    """Networks by number → asn UInt32, operator String (null when unverified), is_hosting Boolean."""
    found = []
    for row in rows:
        number = row.require("asn")
        asn = whole_number(number, _LARGEST_ASN)
        if not asn:
            raise row.error(f"column 'asn': '{shown(number)}' is no network number; write it as 64500")
        operator = row.require("operator") if is_usable(row) else None
        found.append((asn, operator, row.get("kind") in _HOSTING_KINDS))
    return pl.DataFrame(found, schema={"asn": pl.UInt32, "operator": pl.String, "is_hosting": pl.Boolean}, orient="row")


def entity_frame(shipped: Mapping[str, str | None], rows: Sequence[Dated], countries: Countries) -> pl.DataFrame:
    """Organisations → entity String (lower case), country, control_country String, effective_from, effective_to Date.

    `shipped` maps the names of operators and owners to the country of the ultimate parent; `rows` (entities.csv) give
    more and replace them. effective_from and effective_to are never null; an entity's periods never overlap.
    """
    found: dict[str, list[tuple[str, str | None, str | None, date, date]]] = {
        name.lower(): [(name.lower(), None, control, date.min, date.max)] for name, control in shipped.items()
    }
    own: dict[str, list[tuple[str, str | None, str | None, date, date]]] = {}
    for each in rows:
        row, name = each.row, each.row.require("name").lower()
        known = (name, countries.of(row, "country"), countries.of(row, "control_country"), each.first, each.last)
        own.setdefault(name, []).append(known)
    found |= own
    texts = dict.fromkeys(("entity", "country", "control_country"), pl.String)
    schema = pl.Schema({**texts, "effective_from": pl.Date, "effective_to": pl.Date})
    return pl.DataFrame([period for periods in found.values() for period in periods], schema=schema, orient="row")


def parents(
    operators: Iterable[Row], providers: Iterable[Row], hosts: Iterable[Row], countries: Countries
) -> dict[str, str | None]:
    """Names of operators and host owners → country of the ultimate parent. Two rows that disagree are an error.

    Companies are found under their registered names, too ('Google LLC' of Google Cloud, 'Alphabet Inc.'), for that is
    how employers are written; not where one such name stands beside two countries.
    """
    found: dict[str, str | None] = {}
    registered: dict[str, set[str | None]] = {}
    columns = [(row, "parent_country") for row in (*operators, *providers)]
    columns += [(row, "operator_parent_country") for row in hosts]
    for row, column in columns:
        name = row.get("operator")
        if name is None or not is_usable(row):
            continue
        country = countries.of(row, column)
        if found.setdefault(name, country) != country:
            raise row.error(f"'{name}' has the ultimate parent's country {found[name]} elsewhere and {country} here")
        for spelled in filter(None, (row.get("as_org"), row.get("ultimate_parent"))):
            registered.setdefault(spelled, set()).add(country)
    known = {name.lower() for name in found}
    alone = {name: next(iter(those)) for name, those in registered.items() if len(those) == 1}
    return found | {name: country for name, country in alone.items() if name.lower() not in known}


def _text_frame(rows: Sequence[tuple[str | None, ...]], *columns: str) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
