"""The context: all that is known about the world when a batch is located; made once and never changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import polars as pl

    from onshore_pipeline.context.address_table import AddressTable
    from onshore_pipeline.context.countries import Countries, CountryGroup
    from onshore_pipeline.context.dated import Dated
    from onshore_pipeline.context.distances import Distances
    from onshore_pipeline.context.hosts import HostPatterns
    from onshore_pipeline.context.mmdb import AddressDatabases
    from onshore_pipeline.context.registered import Registered

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A file (or library) that the context was made from, as evidence names it.

    Attributes:
        name: `reference/...` ships with Onshore, `own/...` is the user's, `geoip/...` and `mmdb/...` are geolocation
            data, `registry/iptocc` is what the regional internet registries say, `known_at` what was known
            until when.
        version: what it says about itself, '' when it says nothing.
        sha256: of its bytes, hex; of its version where it has none.
    """

    name: str
    version: str
    sha256: str


class Memory:
    """What was worked out of a context, for as long as it is used; by the name of who worked it out."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._known: dict[str, Any] = {}

    def get(self, name: str, make: Callable[[], T]) -> T:
        """What is remembered under a name, made where nothing is."""
        known: T | None = self._known.get(name)
        return known if known is not None else self._known.setdefault(name, make())


class Contents:
    """Bytes of the registries and of the reference data, by digest; what is larger is not kept."""

    def __init__(self, by_sha256: Mapping[str, bytes]) -> None:
        """Take what was read."""
        self._by_sha256 = dict(by_sha256)

    def of(self, source: Source) -> bytes | None:
        """A source's bytes, None where they are not kept."""
        return self._by_sha256.get(source.sha256)


@dataclass(frozen=True, slots=True, eq=False)
class Geography:
    """Where addresses are said to be, and by which sources: what is large and does not change while a worker runs."""

    ranges: pl.DataFrame
    table: AddressTable
    databases: AddressDatabases
    uses_registry: bool
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Context:
    """What is known about the world. The frames' columns stand at the functions that make them (`registries`).

    Attributes:
        digest: SHA-256 over names, versions and digests of all sources, hex.
        sources: sorted by name.
        contents: bytes of the registries and of the reference data, by digest; what is larger has none.
        registered: what the user registered about data, keys, people and permissions.
        own: the rows of the user's registries by name, with the days they speak about.
        geography: addresses by country.
        epochs: days on which something that is cut by days changes, rising; `of_epoch` tells what holds between them.
    """

    digest: str
    sources: tuple[Source, ...]
    contents: Contents
    countries: Countries
    country_groups: tuple[CountryGroup, ...]
    provider_names: dict[str, str]
    provider_operators: dict[str, str]
    cloud_owners: dict[str, str]
    regions: pl.DataFrame
    profiles: pl.DataFrame
    facilities: pl.DataFrame
    entities: pl.DataFrame
    operators: pl.DataFrame
    hosts: HostPatterns
    own_networks: pl.DataFrame
    known_networks: pl.DataFrame
    own_table: AddressTable
    known_table: AddressTable
    registered: Registered
    own: Mapping[str, Sequence[Dated]]
    geography: Geography
    distances: Distances
    epochs: tuple[date, ...] = ()
    of_epoch: Callable[[int | None], Context] = field(kw_only=True)
    memory: Memory = field(kw_only=True, default_factory=Memory)

    def __repr__(self) -> str:
        """By its digest."""
        return f"Context({self.digest})"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:  # noqa: ANN401, FBT001 - what consoles and tests call
        printer.text(repr(self))

    @property
    def entities_are_dated(self) -> bool:
        """Whether the day of an event makes a difference to whose something is."""
        entities = self.entities
        return bool(((entities["effective_from"] != date.min) | (entities["effective_to"] != date.max)).any())

    @property
    def geoip(self) -> pl.DataFrame:
        """Address ranges by country."""
        return self.geography.ranges

    @property
    def databases(self) -> AddressDatabases:
        """The user's address databases."""
        return self.geography.databases

    @property
    def uses_registry(self) -> bool:
        """Whether registry answers may be used where nothing better is known."""
        return self.geography.uses_registry
