"""Who said where a party is and whose it is: the event's column `provenance`, written by `locate`, read for the axes.

A text such as `source=declared/facility destination=region/provider key=registered/sent`: of each party of which
something is known, the claim that its place follows from, and what its owner follows from; `-` is unknown, and several
claims that were weighed together are joined by `+`. The claims about places are those of `locate.claims`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

UNKNOWN: Final = "-"
JOINED: Final = "+"
SENDER: Final = "{sender}"
"""Stands in `Origin.says` for the format of the record."""

_REGIONS: Final = ("own/cloud_regions", "reference/cloud_regions", "reference/region_sets")
_HOSTS: Final = (
    *("own/hosts", "own/model_endpoints", "reference/service_hosts", "reference/model_endpoints"),
    *_REGIONS,
)
_RANGES: Final = ("own/operators", "reference/operators", "reference/cloud_networks")
_PROVIDERS: Final = ("own/providers", "reference/providers")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a claim or an owner follows from.

    Attributes:
        says: in words, who says so.
        files: how the names of the registries and reference data begin whose rows it follows from; their versions are
            the source's. None where the record itself says it.
        basis: asserted by the record or by the user's own rows, inferred from what ships.
    """

    says: str
    files: tuple[str, ...] = ()
    basis: str = "inferred"


PLACES: Final[Mapping[str, Origin]] = {
    "attested": Origin("a statement signed by a registered attestor", ("own/attestors",)),
    "sensor": Origin(
        "our own collector on the machine, as own registries place it", ("own/collectors", "own/facilities")
    ),
    "declared": Origin(SENDER),
    "attestation": Origin(f"a statement in {SENDER} that no registered attestor signed"),
    "registered": Origin("the registry of keys", ("own/keys",)),
    "region": Origin(f"the region that {SENDER} names", _REGIONS),
    "resource": Origin("the region in the resource's own name", _REGIONS),
    "facility": Origin("the registry of facilities", ("own/facilities",)),
    "person": Origin("the registry of people", ("own/people",)),
    "network": Origin("the registry of addresses", ("own/addresses",)),
    "host": Origin("the host's name", _HOSTS),
    "profile": Origin("the model's cross-region profile", ("reference/region_sets",)),
    "geoip": Origin("geolocation of the address", ("geoip/", "mmdb/")),
    "registry": Origin("the regional internet registry", ("registry/",)),
    "custodian": Origin(
        "where its custodian is registered",
        ("own/entities", *_PROVIDERS, *_RANGES[:2], *_HOSTS[1:4], "reference/entities"),
    ),
}
"""By claim; `custodian` is of keys alone, whose place follows from who holds them where nobody says it."""

OWNERS: Final[Mapping[str, Origin]] = {
    "sent": Origin(SENDER, (), "asserted"),
    "employer": Origin(f"the employer that {SENDER} names", (), "asserted"),
    "person": Origin("the registry of people", ("own/people",), "asserted"),
    "registered": Origin("the registry of keys", ("own/keys",), "asserted"),
    "network": Origin("the registry of addresses", ("own/addresses",), "asserted"),
    "facility": Origin("the registry of facilities", ("own/facilities",), "asserted"),
    "host": Origin("the host's name", _HOSTS),
    "region": Origin(f"who runs the region that {SENDER} names", _REGIONS),
    "provider": Origin(f"the cloud that {SENDER} names", _PROVIDERS),
    "asn": Origin("whose network number the address has", ("own/operators", "reference/operators", "mmdb/")),
    "range": Origin("whose published range the address is in", ("reference/cloud_networks",)),
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a party's place and owner follow from; empty where that is unknown or was not kept."""

    place: tuple[str, ...] = ()
    owner: str = ""


def read(text: str | None) -> dict[str, Told]:
    """Read the column, by subject; what a later release may write and this one does not know is left out.

    Args:
        text: null of events that were located before it was kept.
    """
    told = {}
    for part in (text or "").split():
        subject, _, claims = part.partition("=")
        place, _, owner = claims.partition("/")
        places = tuple(claim for claim in place.split(JOINED) if claim in PLACES)
        told[subject] = Told(places, owner if owner in OWNERS else "")
    return told
