"""Legal holds as a bundle tells them: what may be said of them, and what follows from no more than that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.jobs.export_tables import REDACTED
from onshore_pipeline.jobs.holds import HOLD_ID, PLACE, REVIEW, SCOPE, fold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onshore_pipeline.jobs.holds import StandingHold

_HOLD: Final = "onshore.hold."
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a bundle says of something.

    Attributes:
        attributes: of attributes those that are open; None where they are closed.
        text: a text, or that it is closed.
        person: a person's name, or what stands for it.
    """

    attributes: Callable[[Mapping[str, str]], dict[str, str] | None]
    text: Callable[[str], str]
    person: Callable[[str], str]


def hold_rows(done: Sequence[Mapping[str, Any]], shown: Shown) -> list[dict[str, Any]]:
    """Every hold that was placed, and how the actions about it make it stand.

    `done` are the actions in the log's order, as `fold` takes them. Of reviews only what is open is told.
    """
    placed: dict[str, Mapping[str, str]] = {}
    for each in done:
        if each["action"] == PLACE:
            placed.setdefault(each["attributes"].get(HOLD_ID, ""), each["attributes"])
    opened = [{**each, "attributes": _of_review(each["attributes"], shown)} for each in done]
    return [
        _row(standing, placed[standing.hold.hold_id], shown) | _reviewed(reviewed, shown)
        for standing, reviewed in zip(fold(done), fold(opened), strict=True)
    ]


def _of_review(attributes: Mapping[str, str], shown: Shown) -> dict[str, str]:
    told = shown.attributes(attributes) or {}
    return {HOLD_ID: attributes.get(HOLD_ID, ""), REVIEW: told.get(REVIEW, "")}


def _row(standing: StandingHold, placed: Mapping[str, str], shown: Shown) -> dict[str, Any]:
    said = shown.attributes(placed)
    scope = {name: placed.get(attribute) for name, attribute in (*SCOPE.items(), ("review", REVIEW))}
    return {
        "id": shown.text(standing.hold.hold_id),
        "state": standing.state,
        **{
            name: text if text is None else REDACTED if said is None else said.get(_HOLD + name)
            for name, text in scope.items()
        },
        "reason": shown.text(standing.reason),
        "placed_by": shown.person(standing.placed_by),
        "placed_at": _ns(standing.placed_at),
        "confirmed_by": standing.confirmed_by and shown.person(standing.confirmed_by),
        "release_by": standing.release_by and shown.person(standing.release_by),
    }


def _reviewed(standing: StandingHold, shown: Shown) -> dict[str, Any]:
    """Of a hold that was never reviewed, nothing: so said bundles of before there were reviews."""
    if standing.reviewed_by is None or standing.reviewed_at is None:
        return {}
    return {
        "next_review": str(standing.next_review),
        "reviewed_by": shown.person(standing.reviewed_by),
        "reviewed_at": _ns(standing.reviewed_at),
    }


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
