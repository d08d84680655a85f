"""Legal holds, from what people did."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final

import pytest

from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.jobs.deletions import Hold
from onshore_pipeline.jobs.holds import fold, in_force

AT: Final = datetime(2026, 11, 1, tzinfo=UTC)


def did(action: str, who: str, **told: str) -> dict[str, Any]:
    attributes = [{"key": f"onshore.hold.{name}", "value": value} for name, value in ({"id": "h1"} | told).items()]
    return {"action": f"hold.{action}", "who": who, "reason": "a case", "attributes": attributes, "received_at": AT}


PLACED: Final = did("place", "ana", tenant="acme", review="2027-01-31")


@pytest.mark.parametrize(
    ("more", "state", "holds"),
    [
        ([], "placed", True),
        ([did("confirm", "ana")], "placed", True),
        ([did("confirm", "bo")], "confirmed", True),
        ([did("confirm", "bo"), did("release", "bo")], "release proposed", True),
        ([did("confirm", "bo"), did("release", "bo"), did("release.confirm", "bo")], "release proposed", True),
        ([did("confirm", "bo"), did("release", "bo"), did("release.confirm", "ana")], "released", False),
        ([did("release.confirm", "bo")], "placed", True),
        ([did("confirm", "bo", id="h2")], "placed", True),
        ([did("place", "eve", tenant="nobody")], "placed", True),
    ],
)
def test_it_takes_one_person_to_hold_and_two_to_let_go(more: list[dict[str, Any]], state: str, holds: bool) -> None:  # noqa: FBT001
    (standing,) = fold([PLACED, *more])
    assert standing.state == state
    assert in_force([standing]) == ([Hold("h1", "acme", None, None, None, None, None)] if holds else [])


@pytest.mark.parametrize("alias", ["Ana", "ANA", " ana", "ana ", "\uff41na"])
def test_another_spelling_of_a_name_is_no_other_person(alias: str) -> None:
    (standing,) = fold([PLACED, did("confirm", alias)])
    assert standing.state == "placed"
    (standing,) = fold([PLACED, did("confirm", "bo"), did("release", "ana"), did("release.confirm", alias)])
    assert standing.state == "release proposed"


def test_a_scope_that_cannot_be_read_holds_more_and_never_less() -> None:
    (standing,) = fold([did("place", "ana", since="some day", until="2026-03-01T00:00:00", review="soon")])
    assert standing.hold == Hold("h1", None, None, None, None, None, datetime(2026, 3, 1, tzinfo=UTC))
    assert standing.is_overdue(date(2026, 1, 1))


def test_a_review_moves_the_next_one_and_nothing_else() -> None:
    (standing,) = fold([PLACED, did("review", "cy", review="2027-12-31")])
    assert (standing.state, standing.review, standing.due) == ("placed", date(2027, 1, 31), date(2027, 12, 31))
    assert (standing.reviewed_by, standing.reviewed_at) == ("cy", AT)
    assert not standing.is_overdue(date(2027, 12, 31))
    assert standing.is_overdue(date(2028, 1, 1))
    assert in_force([standing])
    (again,) = fold([PLACED, did("review", "cy", review="2027-12-31"), did("review", "bo", review="2027-06-30")])
    assert (again.due, again.reviewed_by) == (date(2027, 6, 30), "bo")


@pytest.mark.parametrize("day", ["", "soon", "2027-02-30", "20271231", "2027-W01-1", "\u0662027-01-01"])
def test_a_review_that_names_no_next_day_has_no_effect(day: str) -> None:
    assert fold([PLACED, did("review", "cy", review=day)]) == fold([PLACED])
    assert not standalone.is_day(day)


def test_what_is_released_is_not_reviewed() -> None:
    released = [PLACED, did("confirm", "bo"), did("release", "bo"), did("release.confirm", "ana")]
    assert fold([*released, did("review", "cy", review="2027-12-31")]) == fold(released)


def test_a_review_is_overdue_once_its_day_is_over() -> None:
    (standing,) = fold([PLACED])
    assert not standing.is_overdue(date(2027, 1, 31))
    assert standing.is_overdue(date(2027, 2, 1))
