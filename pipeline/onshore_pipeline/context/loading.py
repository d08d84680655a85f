"""The context: all that is known about the world when a batch is located, loaded once and never changed."""

from __future__ import annotations

import hashlib
import importlib.metadata
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context import registries
from onshore_pipeline.context.countries import Countries, CountryGroup, read_countries, read_groups
from onshore_pipeline.context.csv_table import Row, Table, read_table
from onshore_pipeline.context.hosts import HostPatterns, by_specificity, read_pattern
from onshore_pipeline.context.mmdb import AddressDatabases
from onshore_pipeline.context.networks import read_geoip
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl

DEBIAN_GEOIP: Final = (Path("/usr/share/tor/geoip"), Path("/usr/share/tor/geoip6"))
"""Where Debian's tor-geoipdb puts the IPFire location database (CC BY-SA 4.0)."""

_REFERENCE: Final = Path(__file__).parent / "reference"
_HOST_COLUMNS: Final = ("provider", "country", "reroutes", "profiles", "note", "confidence")

# File → (required columns, optional columns).
_SHIPPED: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "anycast.csv": (("network", "kind", "operator"), ("note",)),
    "cloud_networks.csv": (("network", "kind", "operator"), ("note",)),
    "cloud_regions.csv": (("provider", "region", "country"), ("name", "operator", "source", "confidence")),
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
_OWN: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "addresses.csv": (("network",), ("country", "facility", "entity", "note")),
    "facilities.csv": (("facility", "country"), ("entity", "note")),
    "hosts.csv": (("host_pattern",), ("entity", "country", "provider", "reroutes", "note")),
    **{name: _SHIPPED[name] for name in ("cloud_regions.csv", "entities.csv", "model_endpoints.csv", "operators.csv")},
}


@dataclass(frozen=True, slots=True)
class Source:
    """A file (or library) that the context was made from, as evidence names it.

    Attributes:
        name: `reference/...` ships with Onshore, `own/...` is the user's, `geoip/...` and `mmdb/...` are geolocation
            data, `registry/iptocc` is what the regional internet registries say.
        version: what it says about itself, '' when it says nothing.
        sha256: of its bytes, hex; of its version for a library.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What is known about the world. The frames' columns stand at the functions that make them (`registries`).

    Attributes:
        digest: SHA-256 over names, versions and digests of all sources, hex.
        sources: sorted by name.
        uses_registry: whether registry answers may be used where nothing better is known.
    """

    digest: str
    sources: tuple[Source, ...]
    countries: Countries = field(repr=False)
    country_groups: tuple[CountryGroup, ...] = field(repr=False)
    provider_names: dict[str, str] = field(repr=False)
    provider_operators: dict[str, str] = field(repr=False)
    regions: pl.DataFrame = field(repr=False)
    profiles: pl.DataFrame = field(repr=False)
    facilities: pl.DataFrame = field(repr=False)
    entities: pl.DataFrame = field(repr=False)
    operators: pl.DataFrame = field(repr=False)
    hosts: HostPatterns = field(repr=False)
    own_networks: pl.DataFrame = field(repr=False)
    known_networks: pl.DataFrame = field(repr=False)
    geoip: pl.DataFrame = field(repr=False)
    databases: AddressDatabases = field(repr=False)
    uses_registry: bool = True


def load(
    directory: Path | None,
    *,
    geoip: Sequence[Path] = (),
    databases: Sequence[Path] = (),
    uses_registry: bool = True,
) -> Context:
    """Load what ships, the user's registries and the geolocation data.

    Args:
        directory: the user's registries (see the package's description), None = none.
        geoip: files in the format of Debian's tor-geoipdb (`DEBIAN_GEOIP` where that is installed).
        databases: MaxMind DB files, asked before `geoip`; country and network number may come from different ones.
        uses_registry: fall back on what the regional internet registries say, outside the networks of cloud operators.

    Raises:
        ContextError: a file cannot be used; it names file, line and remedy.
    """
    shipped = {name: read_table(_REFERENCE / name, *columns) for name, columns in _SHIPPED.items()}
    own = _own_tables(directory)
    countries = read_countries(shipped["country_codes.csv"])
    ranges, geoip_files = read_geoip(geoip, countries.codes)
    readers = AddressDatabases(databases, countries.codes)
    sources = [
        *(Source(f"reference/{name}", table.version, table.sha256) for name, table in shipped.items()),
        *(Source(f"own/{name}", table.version, table.sha256) for name, table in own.items()),
        *(Source(f"geoip/{name}", version, sha256) for name, version, sha256 in geoip_files),
        *(Source(f"mmdb/{name}", version, sha256) for name, version, sha256 in readers.sources),
        *([_registry_source()] if uses_registry else []),
    ]
    sources.sort(key=lambda source: (source.name, source.sha256))

    def rows(*names: str) -> list[Row]:
        """Rows of the shipped tables, then of the user's of the same names."""
        return [row for tables in (shipped, own) for name in names if name in tables for row in tables[name]]

    operators = registries.latest(rows("operators.csv"), "asn")
    models = registries.latest(rows("model_endpoints.csv"), "host_pattern")
    services = rows("service_hosts.csv")
    facilities = registries.facility_frame(rows("facilities.csv"), countries)
    owners = registries.parents(operators, rows("providers.csv"), (*models, *services), countries)
    return Context(
        digest=_digest(sources),
        sources=tuple(sources),
        countries=countries,
        country_groups=read_groups(shipped["country_groups.csv"], countries),
        provider_names=registries.provider_names(rows("providers.csv")),
        provider_operators={row.require("provider"): row.require("operator") for row in rows("providers.csv")},
        regions=registries.region_frame(
            registries.latest(rows("cloud_regions.csv"), "provider", "region"), rows("region_sets.csv"), countries
        ),
        profiles=registries.profile_frame(rows("region_sets.csv"), countries),
        facilities=facilities,
        entities=registries.entity_frame(owners, _entity_rows(shipped, own), countries),
        operators=registries.operator_frame(operators),
        hosts=_patterns(rows("hosts.csv"), (*models, *services), countries),
        own_networks=registries.own_network_frame(rows("addresses.csv"), facilities, countries),
        known_networks=registries.known_network_frame(
            rows("special_addresses.csv", "anycast.csv", "cloud_networks.csv")
        ),
        geoip=ranges,
        databases=readers,
        uses_registry=uses_registry,
    )


def _own_tables(directory: Path | None) -> dict[str, Table]:
    if directory is None:
        return {}
    if not directory.is_dir():
        raise ContextError(directory, None, "is no directory; ONSHORE_CONTEXT_DIR must name one")
    files = sorted(directory.glob("*.csv"))
    for file in files:
        if file.name not in _OWN:
            raise ContextError(file, None, f"no registry has this name; known: {', '.join(sorted(_OWN))}")
    return {file.name: read_table(file, *_OWN[file.name]) for file in files}


def _entity_rows(shipped: dict[str, Table], own: dict[str, Table]) -> list[Row]:
    """The user's entities, and the shipped ones that the user does not replace."""
    mine = list(own["entities.csv"]) if "entities.csv" in own else []
    names = {row.require("name").lower() for row in mine}
    return [row for row in shipped["entities.csv"] if row.require("name").lower() not in names] + mine


def _patterns(own: Sequence[Row], shipped: Sequence[Row], countries: Countries) -> HostPatterns:
    usable = [row for row in shipped if registries.is_usable(row)]
    return HostPatterns(
        [
            *by_specificity(read_pattern(row, countries, entity_column="entity", is_asserted=True) for row in own),
            *by_specificity(
                read_pattern(row, countries, entity_column="operator", is_asserted=False) for row in usable
            ),
        ]
    )


def _registry_source() -> Source:
    version = importlib.metadata.version("iptocc")
    return Source("registry/iptocc", version, hashlib.sha256(version.encode()).hexdigest())


def _digest(sources: Sequence[Source]) -> str:
    lines = "".join(f"{source.name}\0{source.version}\0{source.sha256}\n" for source in sources)
    return hashlib.sha256(lines.encode()).hexdigest()
