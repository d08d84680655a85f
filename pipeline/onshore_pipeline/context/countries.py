"""Country codes in the spellings that senders use, and dated groups of countries."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from onshore_pipeline.context.csv_table import Row, Table

# Reserved or customary spellings that mean exactly one country.
_ALSO: Final = {"UK": "GB", "EL": "GR"}
# NAM is Namibia's alpha-3 code, but senders that use three-letter continents write it for North America.
_AMBIGUOUS: Final = frozenset({"NAM"})


@dataclass(frozen=True, slots=True)
class Countries:
    """The officially assigned codes.

    Attributes:
        codes: alpha-2, sorted.
        by_spelling: upper-case alpha-2, alpha-3 and English name → alpha-2. Continents ('EU', 'ASI') and codes that
            are not officially assigned ('AP', 'XK', '??') are absent: they name no country.
    """

    codes: tuple[str, ...]
    by_spelling: dict[str, str]

    def of(self, row: Row, column: str) -> str | None:
        """The country in a registry's cell as alpha-2; None when blank. Raises `ContextError` when it is no country."""
        value = row.get(column)
        if value is None:
            return None
        code = self.by_spelling.get(value.upper())
        if code is None:
            why = f"column '{column}': '{value}' is no country; write its ISO 3166-1 code, such as AU or AUS"
            raise row.error(why, column)
        return code


@dataclass(frozen=True, slots=True)
class CountryGroup:
    """A list of countries during a time, such as the EEA.

    Attributes:
        name: upper case.
        members: alpha-2, sorted.
        effective_from: first day, None = always.
        effective_to: last day, None = until further notice.
    """

    name: str
    members: tuple[str, ...]
    effective_from: date | None
    effective_to: date | None


def read_countries(table: Table) -> Countries:
    """Read `country_codes.csv` (alpha2, alpha3, numeric, name)."""
    spellings = dict(_ALSO)
    codes = []
    for row in table:
        code = row.require("alpha2")
        codes.append(code)
        for spelling in (code, row.require("alpha3"), row.require("name").upper()):
            if spelling not in _AMBIGUOUS:
                spellings[spelling] = code
    return Countries(tuple(sorted(codes)), spellings)


def read_groups(table: Table, countries: Countries) -> tuple[CountryGroup, ...]:
    """Read `country_groups.csv`; rows of confidence 'check' are left out. Raises `ContextError`."""
    groups = []
    for row in table:
        if row.get("confidence") == "check":
            continue
        members = tuple(sorted((row.get("members") or "").split()))
        for member in members:
            if member not in countries.codes:
                raise row.error(f"column 'members': '{member}' is no alpha-2 country code")
        dates = (read_date(row, "effective_from"), read_date(row, "effective_to"))
        groups.append(CountryGroup(row.require("group").upper(), members, *dates))
    return tuple(groups)


def read_date(row: Row, column: str) -> date | None:
    """A day in a registry's cell, None when blank. Raises `ContextError` when it is no date."""
    value = row.get(column)
    if value is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise row.error(f"column '{column}': '{value}' is no date; write it as 2026-11-21", column) from error
