"""The reference data that ships with Onshore."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.countries import read_countries
from onshore_pipeline.context.csv_table import read_bytes, read_csv

if TYPE_CHECKING:
    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Table

Shipped = dict[str, bytes]

_REFERENCE: Final = Path(__file__).parent / "reference"
_HOST_COLUMNS: Final = ("provider", "country", "countries", "reroutes", "profiles", "note", "confidence")

# File → (required columns, optional columns).
_SHIPPED: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "anycast.csv": (("network", "kind", "operator"), ("note",)),
    "cloud_networks.csv": (("network", "kind", "operator"), ("note",)),
    "cloud_regions.csv": (("provider", "region", "country"), ("name", "operator", "source", "confidence")),
    "country_distances.csv": (("country", "km"), ()),
    "country_codes.csv": (("alpha2", "alpha3", "numeric", "name"), ()),
    "country_groups.csv": (("group", "members"), ("effective_from", "effective_to", "confidence", "note")),
    "entities.csv": (
        ("name",),
        ("country", "control_country", "parent", "effective_from", "effective_to", "confidence"),
    ),
    "model_endpoints.csv": (("host_pattern", "operator", "operator_parent_country"), _HOST_COLUMNS),
    "operators.csv": (("asn", "operator", "parent_country"), ("as_org", "ultimate_parent", "kind", "confidence")),
    "providers.csv": (("provider", "operator", "parent_country"), ("aliases", "ultimate_parent", "confidence")),
    "region_sets.csv": (("provider", "kind", "name", "countries"), ("confidence", "note")),
    "service_hosts.csv": (("host_pattern", "operator", "operator_parent_country"), _HOST_COLUMNS),
    "special_addresses.csv": (("network", "kind"), ("note",)),
}


def shipped_files() -> Shipped:
    """The reference data of this release, by file name."""
    return {name: read_bytes(_REFERENCE / name) for name in _SHIPPED}


@lru_cache(maxsize=2)
def reference_tables(files: tuple[tuple[str, bytes], ...]) -> dict[str, Table]:
    """The reference data as tables, by file name. Raises `ContextError`."""
    return {name: reference_table(name, content) for name, content in files}


def reference_table(name: str, content: bytes) -> Table:
    """One file of the reference data. Raises `ContextError`."""
    return read_csv(_REFERENCE / name, content, *_SHIPPED[name])


def shipped_countries() -> Countries:
    """The countries of this release's reference data."""
    return read_countries(reference_tables(tuple(shipped_files().items()))["country_codes.csv"])
