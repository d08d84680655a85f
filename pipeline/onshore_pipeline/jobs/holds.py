"""Legal holds, from what operators did: who placed them, who confirmed, who reviewed, who released.

A hold counts from the moment that one person placed it: waiting for the second could cost what it is for. It ends only
when one person releases it and another confirms that. A review says that somebody looked and that it goes on until the
next one. A review that is overdue ends nothing; it is shown.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final, Literal

from onshore_pipeline.jobs.deletions import Hold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from onshore_pipeline.store.reader import Reader

PLACE, CONFIRM = "hold.place", "hold.confirm"
RELEASE, CONFIRM_RELEASE = "hold.release", "hold.release.confirm"
REVIEWED: Final = "hold.review"
HOLD_ID: Final = "onshore.hold.id"
REVIEW: Final = "onshore.hold.review"
SCOPE: Final = {name: f"onshore.hold.{name}" for name in ("tenant", "domain", "dataset", "actor_id", "since", "until")}

# In one spelling only, so that every verifier reads the same day.
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

HoldState = Literal["placed", "confirmed", "release proposed", "released"]

_ACTIONS: Final = """
SELECT action, who, reason, attributes, received_at FROM message_actions_current
WHERE action IN ('hold.place', 'hold.confirm', 'hold.review', 'hold.release', 'hold.release.confirm')
ORDER BY topic_id, kafka_offset, record_index
"""


@dataclass(frozen=True, slots=True)
class StandingHold:
    """A hold as it stands.

    Attributes:
        hold: what it holds.
        placed_by, reason, placed_at: who placed it, why, when.
        review: the day on which somebody must look whether it is still needed, as it was placed.
        confirmed_by: the second person; None: nobody yet.
        release_by: who wants it released; None: nobody.
        state: 'placed' and 'release proposed' hold like 'confirmed'.
        next_review: the day that the last review named instead; None: there was none.
        reviewed_by, reviewed_at: who reviewed it last, and when.
    """

    hold: Hold
    placed_by: str
    reason: str
    placed_at: datetime
    review: date | None
    confirmed_by: str | None = None
    release_by: str | None = None
    state: HoldState = "placed"
    next_review: date | None = None
    reviewed_by: str | None = None
    reviewed_at: datetime | None = None

    @property
    def due(self) -> date | None:
        """The day on which somebody must look next; None: nobody said one that can be read."""
        return self.next_review or self.review

    def is_overdue(self, today: date) -> bool:
        """Whether its review should have been."""
        return self.state != "released" and (self.due is None or self.due < today)


def standing_holds(reader: Reader) -> list[StandingHold]:
    """Every hold that was ever placed, in the order of placing. Raises `StoreUnavailable`."""
    return fold(reader.rows(_ACTIONS))


def in_force(holds: Iterable[StandingHold]) -> list[Hold]:
    """What nobody may delete."""
    return [each.hold for each in holds if each.state != "released"]


def same_person(one: str, other: str | None) -> bool:
    """Whether two names are one person's, however they are written: `Ann`, `ann`, `Ann `."""
    return other is not None and one_spelling(one) == one_spelling(other)


def one_spelling(name: str) -> str:
    """A name without what tells nobody apart: case, outer white space, how characters are composed."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).strip()


def fold(actions: Iterable[Mapping[str, object]]) -> list[StandingHold]:
    """What actions in the log's order amount to; one that does not fit the state has no effect.

    Each has `action`, `who`, `reason`, `attributes` (pairs of key and value) and `received_at`.
    """
    holds: dict[str, StandingHold] = {}
    for each in actions:
        told = _told(each["attributes"])
        hold_id, who = told.get(HOLD_ID, ""), str(each["who"])
        standing = holds.get(hold_id)
        received = each["received_at"]
        assert isinstance(received, datetime)
        if each["action"] == PLACE:
            if standing is None and hold_id:
                holds[hold_id] = StandingHold(
                    _hold(hold_id, told), who, str(each["reason"]), received, _day(told.get(REVIEW))
                )
        elif standing is not None and each["action"] == REVIEWED:
            holds[hold_id] = _reviewed(standing, who, received, told.get(REVIEW))
        elif standing is not None:
            holds[hold_id] = _after(standing, str(each["action"]), who)
    return list(holds.values())


def _after(standing: StandingHold, action: str, who: str) -> StandingHold:
    if action == CONFIRM and standing.state == "placed" and not same_person(who, standing.placed_by):
        return replace(standing, state="confirmed", confirmed_by=who)
    if action == RELEASE and standing.state in ("placed", "confirmed"):
        return replace(standing, state="release proposed", release_by=who)
    is_other = not same_person(who, standing.release_by)
    if action == CONFIRM_RELEASE and standing.state == "release proposed" and is_other:
        return replace(standing, state="released")
    return standing


def _reviewed(standing: StandingHold, who: str, at: datetime, told: str | None) -> StandingHold:
    following = _day(told) if told and _DAY.fullmatch(told) else None
    if standing.state == "released" or following is None:
        return standing
    return replace(standing, next_review=following, reviewed_by=who, reviewed_at=at)


def _told(attributes: object) -> dict[str, str]:
    if isinstance(attributes, dict):
        return {str(key): str(value) for key, value in attributes.items()}
    assert isinstance(attributes, (list, tuple))
    return {str(pair["key"]): str(pair["value"]) for pair in attributes}


def _hold(hold_id: str, told: Mapping[str, str]) -> Hold:
    """What cannot be read widens it: a hold never holds less than it says."""
    named = {name: told.get(attribute) or None for name, attribute in SCOPE.items()}
    since, until = _moment(named["since"]), _moment(named["until"])
    return Hold(hold_id, named["tenant"], named["domain"], named["dataset"], named["actor_id"], since, until)


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
