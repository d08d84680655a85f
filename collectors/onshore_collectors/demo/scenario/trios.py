"""Three events of one control: as it demands, against it, and with a gap; by what is done with which data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.movements import DONE, NOWHERE, moved
from onshore_collectors.demo.scenario.template import SATISFIED, UNDETERMINED, VIOLATED, Expected, Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from onshore_collectors.demo.scenario.template import Template

Attributes = dict[str, Value]

_WORDS: Final = {SATISFIED: "as it demands", VIOLATED: "against it", UNDETERMINED: "with a gap"}
_SHARES: Final = {SATISFIED: 0.1, VIOLATED: 1, UNDETERMINED: 1}
PLACE_UNKNOWN: Final[Expected] = {"SOV-16-01": VIOLATED}
NONE: Final[Attributes] = {"onshore.approval.id": "none"}
TICKET: Final[Attributes] = {"onshore.approval.id": "APR-2026-007"}
NO_BASIS: Final[Attributes] = {"onshore.transfer.basis": "none"}
BASIS: Final[Attributes] = {"onshore.transfer.basis": "contract"}
OWN: Final[Attributes] = {"onshore.destination.entity": "{operator}"}
FRENCH: Final[Attributes] = {"onshore.destination.entity": "OVHcloud"}


def to(country: str) -> Attributes:
    """It goes to a country."""
    return {"onshore.destination.country": country}


def by(country: str) -> Attributes:
    """Somebody in a country does it."""
    return {"onshore.actor.country": country}


def aws(region: str) -> Attributes:
    """It happens in a region of AWS."""
    return {"cloud.provider": "aws", "cloud.region": region}


def national(of: str) -> Attributes:
    """Somebody of a nationality does it."""
    return {"onshore.actor.nationality": of}


def trio(
    control: str,
    action: str,
    of: tuple[str, str, frozenset[str]],
    satisfied: tuple[Mapping[str, Value], ...],
    violated: tuple[Mapping[str, Value], ...],
    undetermined: tuple[Mapping[str, Value], ...],
    beside: tuple[Expected, Expected, Expected] = ({}, {}, {}),
) -> Iterator[Template]:
    """The three events; `of` is home, category and whose the data is, `beside` in the order of the three."""
    home, category, tenants = of
    data: Attributes = {
        "onshore.data.set": category.replace("_", "-"),
        "onshore.data.home": (home,),
        "onshore.data.categories": (category,),
    }
    for verdict, said, others in zip(
        (SATISFIED, VIOLATED, UNDETERMINED), (satisfied, violated, undetermined), beside, strict=True
    ):
        expected: Expected = {control: verdict, "SOV-16-01": SATISFIED, **others}
        name = f"{control}: {category} data moved {_WORDS[verdict]}"
        yield moved(action, name, _SHARES[verdict], expected, DONE, data, *said, data="", tenants=tenants)


def abroad(
    control: str, category: str, home: str, tenants: frozenset[str], abroad: str, *common: Mapping[str, Value]
) -> Iterator[Template]:
    """Copies at home, abroad, and nobody knows where."""
    yield from trio(
        control,
        "data.copy",
        (home, category, tenants),
        (to(home), *common),
        (to(abroad), *common),
        (NOWHERE, *common),
        ({}, {}, PLACE_UNKNOWN),
    )


def unapproved(
    control: str, category: str, home: str, tenants: frozenset[str], abroad: str, *common: Mapping[str, Value]
) -> Iterator[Template]:
    """Exports abroad with an approval, without one, and nobody knows whether with one."""
    there = to(abroad)
    yield from trio(
        control,
        "data.export",
        (home, category, tenants),
        (there, TICKET, *common),
        (there, NONE, *common),
        (there, *common),
    )
