"""Makes a context of what ships, the user's registries and the geolocation data."""

from __future__ import annotations

import hashlib
import importlib.metadata
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context import registries
from onshore_pipeline.context.address_table import AddressTable
from onshore_pipeline.context.countries import read_countries, read_groups
from onshore_pipeline.context.dated import boundaries, known_from, on_day, settled
from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.distances import Distances
from onshore_pipeline.context.hosts import HostPatterns, by_specificity, read_pattern
from onshore_pipeline.context.mmdb import AddressDatabases
from onshore_pipeline.context.networks import read_geoip
from onshore_pipeline.context.own import files_in, read_own
from onshore_pipeline.context.registered import register
from onshore_pipeline.context.shipped import reference_tables, shipped_countries, shipped_files
from onshore_pipeline.context.world import Contents, Context, Geography, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row, Table
    from onshore_pipeline.context.dated import Dated
    from onshore_pipeline.context.registered import Registered
    from onshore_pipeline.context.shipped import Shipped

DEBIAN_GEOIP: Final = (Path("/usr/share/tor/geoip"), Path("/usr/share/tor/geoip6"))
"""Where Debian's tor-geoipdb puts the IPFire location database (CC BY-SA 4.0)."""

# Looked up by what lies nested or matches a pattern: what they say is cut by days, and not joined by them.
_CUT_BY_DAYS: Final = ("addresses", "cloud_regions", "facilities", "hosts", "model_endpoints", "operators")
_CACHED_SPANS: Final = 32


def load(
    directory: Path | None,
    *,
    geoip: Sequence[Path] = (),
    databases: Sequence[Path] = (),
    uses_registry: bool = True,
    known_at: datetime | None = None,
) -> Context:
    """Load what ships, the user's registries and the geolocation data.

    Args:
        directory: the user's registries (see the package's description), None = none.
        geoip: files in the format of Debian's tor-geoipdb (`DEBIAN_GEOIP` where that is installed).
        databases: MaxMind DB files, asked before `geoip`; country and network number may come from different ones.
        uses_registry: fall back on what the regional internet registries say, outside the networks of cloud operators.
        known_at: leave out what was known later; None = nothing.

    Raises:
        ContextError: a file cannot be used; it names file, line and remedy.
    """
    return assemble(files_in(directory), read_geography(geoip, databases, uses_registry=uses_registry), known_at)


def read_geography(geoip: Sequence[Path], databases: Sequence[Path], *, uses_registry: bool = True) -> Geography:
    """Read the geolocation data; see `load`."""
    codes = shipped_countries().codes
    ranges, files = read_geoip(geoip, codes)
    readers = AddressDatabases(databases, codes)
    sources = (
        *(Source(f"geoip/{name}", version, sha256) for name, version, sha256 in files),
        *(Source(f"mmdb/{name}", version, sha256) for name, version, sha256 in readers.sources),
        *([_named_by_its_version("registry/iptocc", importlib.metadata.version("iptocc"))] if uses_registry else []),
    )
    return Geography(ranges, AddressTable(ranges), readers, uses_registry, sources)


def assemble(
    files: Mapping[Path, bytes], geography: Geography, known_at: datetime | None = None, shipped: Shipped | None = None
) -> Context:
    """Make a context of registries that were read; `shipped` is another release's reference data.

    Raises:
        ContextError: a file cannot be used; it names file, line and remedy.
    """
    reference = shipped or shipped_files()
    tables = reference_tables(tuple(reference.items()))
    countries = read_countries(tables["country_codes.csv"])
    own_tables = read_own(files, countries)
    own = {name: settled(table, REGISTRIES[name].key, known_at) for name, table in own_tables.items()}
    sources = [
        *(Source(f"reference/{name}", table.version, table.sha256) for name, table in tables.items()),
        *(Source(f"own/{table.file.name}", table.version, table.sha256) for table in own_tables.values()),
        *geography.sources,
        *([_named_by_its_version("known_at", known_at.isoformat())] if known_at is not None else []),
    ]
    sources.sort(key=lambda source: (source.name, source.sha256))
    contents = {table.sha256: reference[name] for name, table in tables.items()}
    contents |= {table.sha256: files[table.file] for table in own_tables.values()}
    return _Maker(tables, own, countries, geography, tuple(sources), contents).whole()


def learned(files: Mapping[Path, bytes]) -> tuple[datetime, ...]:
    """The moments at which rows of registries became known, in order. Raises `ContextError`."""
    countries = read_countries(reference_tables(tuple(shipped_files().items()))["country_codes.csv"])
    return tuple(sorted({known_from(row) for table in read_own(files, countries).values() for row in table}))


def read_registered(files: Mapping[Path, bytes]) -> Registered:
    """What the user registered about data, keys, people and permissions. Raises `ContextError`."""
    countries = read_countries(reference_tables(tuple(shipped_files().items()))["country_codes.csv"])
    own = read_own(files, countries)
    return register({name: settled(table, REGISTRIES[name].key) for name, table in own.items()}, countries)


class _Maker:
    """Makes the context of a span of days between two changes, from rows that were read once."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        own: Mapping[str, Sequence[Dated]],
        countries: Countries,
        geography: Geography,
        sources: tuple[Source, ...],
        contents: Mapping[str, bytes],
    ) -> None:
        self._tables, self._own, self._countries = tables, own, countries
        self._geography, self._sources, self._contents = geography, sources, Contents(contents)
        self._registered = register(own, countries)
        self._distances = Distances(tables["country_distances.csv"])
        self._epochs = boundaries(each for name in _CUT_BY_DAYS for each in own.get(name, ()))
        self._digest = digest_of(sources)
        self._of_epoch = lru_cache(_CACHED_SPANS)(self._make)

    def whole(self) -> Context:
        """The context, every span checked."""
        for epoch in range(len(self._epochs) + 1 if self._epochs else 0):
            self._make(epoch)  # raises what is wrong on some days only
        return self._of_epoch(None)

    def _make(self, epoch: int | None) -> Context:
        tables, countries = self._tables, self._countries
        day = None if epoch is None else self._epochs[epoch - 1] if epoch else date.min

        def rows(*names: str) -> list[Row]:
            """Rows of the shipped tables, then of the user's of the same names that hold on the day."""
            shipped = [row for name in names for row in tables.get(f"{name}.csv", ())]
            return shipped + [row for name in names for row in on_day(self._own.get(name, ()), day)]

        operators = registries.latest(rows("operators"), "asn")
        models = registries.latest(rows("model_endpoints"), "host_pattern")
        services = rows("service_hosts")
        facilities = registries.facility_frame(rows("facilities"), countries)
        owners = registries.parents(operators, rows("providers"), (*models, *services), countries)
        own_networks = registries.own_network_frame(
            rows("addresses"), facilities, self._own.get("facilities", ()), countries
        )
        known_networks = registries.known_network_frame(rows("special_addresses", "anycast", "cloud_networks"))
        return Context(
            digest=self._digest,
            sources=self._sources,
            contents=self._contents,
            countries=countries,
            country_groups=read_groups(tables["country_groups.csv"], countries),
            provider_names=registries.provider_names(rows("providers")),
            provider_operators={row.require("provider"): row.require("operator") for row in rows("providers")},
            cloud_owners=registries.cloud_owners(operators, rows("providers")),
            regions=registries.region_frame(
                registries.latest(rows("cloud_regions"), "provider", "region"), rows("region_sets"), countries
            ),
            profiles=registries.profile_frame(rows("region_sets"), countries),
            facilities=facilities,
            entities=registries.entity_frame(owners, self._entities(), countries),
            operators=registries.operator_frame(operators),
            hosts=_patterns(rows("hosts"), (*models, *services), countries),
            own_networks=own_networks,
            known_networks=known_networks,
            own_table=AddressTable(own_networks),
            known_table=AddressTable(known_networks),
            registered=self._registered,
            own=self._own,
            geography=self._geography,
            distances=self._distances,
            epochs=self._epochs,
            of_epoch=self._of_epoch,
        )

    def _entities(self) -> list[Dated]:
        """The user's entities, and the shipped ones that the user does not replace."""
        mine = list(self._own.get("entities", ()))
        names = {each.row.require("name").lower() for each in mine}
        shipped = settled(self._tables["entities.csv"], ("name",))
        return [each for each in shipped if each.row.require("name").lower() not in names] + mine


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


def _named_by_its_version(name: str, version: str) -> Source:
    return Source(name, version, hashlib.sha256(version.encode()).hexdigest())


def digest_of(sources: Sequence[Source]) -> str:
    """The digest of a context that was made of these sources, which are sorted by name."""
    lines = "".join(f"{source.name}\0{source.version}\0{source.sha256}\n" for source in sources)
    return hashlib.sha256(lines.encode()).hexdigest()
