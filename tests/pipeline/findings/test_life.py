"""What people did about a finding, folded in the order of the log."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.findings import life
from onshore_pipeline.findings.life import Deed, Incident, Life, Start, live

START = datetime(2026, 3, 1, 8, tzinfo=UTC)
_NUMBERS = count()


def deed(
    action: str, at_min: int = 0, *, who: str = "rina", tenant: str = "acme", reason: str = "r", **said: str
) -> Deed:
    names = {"to": life.OWNER, "level": life.GIVEN_SEVERITY, "at": life.AT}
    attributes = {names[name]: text for name, text in said.items()}
    number = str(next(_NUMBERS))
    return Deed(number, number, tenant, action, who, reason, attributes, START + timedelta(minutes=at_min))


def lived(*deeds: Deed, events_min: tuple[int, ...] = ()) -> Life:
    times = [START + timedelta(minutes=each) for each in sorted(events_min)]

    def behind(closed: datetime) -> Incident | None:
        return next((Incident((Start(1, each, each),)) for each in times if each > closed), None)

    return live("acme", deeds, behind)


def test_a_finding_goes_from_open_to_resolved() -> None:
    done = [deed(name, to="omar") if name == life.ASSIGN else deed(name) for name in (
        life.ACKNOWLEDGE, life.ASSIGN, life.START, life.RESOLVE
    )]  # fmt: skip
    found = lived(*done)
    assert [step.state for step in found.steps] == ["acknowledged", "assigned", "in progress", "resolved"]
    assert (found.state, found.owner) == ("resolved", "omar")


def test_of_two_who_acknowledge_at_once_the_later_in_the_log_is_told_that_it_had_no_effect() -> None:
    first, second = deed(life.ACKNOWLEDGE, who="rina"), deed(life.ACKNOWLEDGE, who="omar")
    found = lived(first, second)
    assert [step.refused for step in found.steps] == ["", "the finding was acknowledged already"]


def test_of_two_who_assign_at_once_the_later_in_the_log_wins() -> None:
    assert lived(deed(life.ASSIGN, to="rina"), deed(life.ASSIGN, to="omar")).owner == "omar"


def test_what_is_closed_takes_comments_and_nothing_else_but_reopening() -> None:
    for action in life.DEEDS:
        found = lived(deed(life.RESOLVE), deed(action, to="omar", level="low", at="2026-03-01T07:00:00+00:00"))
        expected = {life.COMMENT: "resolved", life.REOPEN: "open"}.get(action, "resolved")
        assert found.state == expected, action
        assert bool(found.steps[-1].refused) == (action not in {life.COMMENT, life.REOPEN}), action


@pytest.mark.parametrize("closing", [life.RESOLVE, life.FALSE_POSITIVE])
def test_an_event_later_than_the_closing_opens_it_again_and_an_earlier_one_that_comes_late_does_not(
    closing: str,
) -> None:
    assert lived(deed(closing, 10), events_min=(3, 10)).state in life.CLOSED
    found = lived(deed(closing, 10), events_min=(3, 11, 12))
    assert found.began is not None
    assert (found.state, found.began.known) == ("open", START + timedelta(minutes=11))
    assert found.steps[-1].action == life.RECURRENCE


def test_who_acts_after_a_recurrence_acts_on_an_open_finding() -> None:
    found = lived(deed(life.RESOLVE, 10), deed(life.ACKNOWLEDGE, 20), events_min=(15,))
    assert [step.state for step in found.steps] == ["resolved", "open", "acknowledged"]


def test_who_acted_before_the_recurrence_met_a_closed_one() -> None:
    found = lived(deed(life.RESOLVE, 10), deed(life.ACKNOWLEDGE, 14), events_min=(15,))
    assert found.steps[1].refused == "the finding was resolved"
    assert found.state == "open"


def test_a_recurrence_starts_clocks_anew_and_a_person_who_reopens_does_not() -> None:
    aware = deed(life.AWARE, 5, at="2026-03-01T08:01:00+00:00")
    assert lived(aware, deed(life.RESOLVE, 10), events_min=(15,)).aware_at is None
    assert lived(aware, deed(life.RESOLVE, 10), deed(life.REOPEN, 20)).aware_at == START + timedelta(minutes=1)


def test_awareness_is_the_earliest_time_that_is_said_and_never_one_that_has_not_come() -> None:
    said = [
        deed(life.AWARE, 5, at="2026-03-01T08:04:00+00:00"),
        deed(life.AWARE, 6, at="2026-03-01T18:02:00+10:00"),
        deed(life.AWARE, 7, at="2026-03-01T08:07:00+00:00"),
        deed(life.AWARE, 8, at="2026-03-01T08:09:00+00:00"),
        deed(life.AWARE, 9, at="2026-03-01T07:00:00"),
    ]
    found = lived(*said)
    assert found.aware_at == START + timedelta(minutes=2)
    assert [bool(step.refused) for step in found.steps] == [False, False, False, True, True]


def test_another_tenants_deed_has_no_effect() -> None:
    found = lived(deed(life.ACKNOWLEDGE, tenant="globex"))
    assert (found.state, "tenant globex" in found.steps[0].refused) == ("open", True)


def test_a_severity_needs_a_reason_and_closing_does() -> None:
    assert lived(deed(life.SEVERITY, level="low")).severity == "low"
    assert lived(deed(life.SEVERITY, level="low", reason=" ")).severity is None
    assert lived(deed(life.SEVERITY, level="dreadful")).severity is None
    assert lived(deed(life.RESOLVE, reason="")).state == "open"


def test_a_deed_that_was_sent_twice_is_one() -> None:
    once = deed(life.COMMENT)
    assert len(lived(once, once).steps) == 1


_ANY_DEED = st.builds(
    lambda action, minute, level: deed(action, minute, to="omar", level=level, at="2026-03-01T07:00:00+00:00"),
    st.sampled_from([*life.DEEDS, "finding.nonsense", "waiver.approve"]),
    st.integers(0, 100),
    st.sampled_from(["low", "critical"]),
)


@given(st.lists(_ANY_DEED, max_size=12), st.lists(st.integers(0, 120), max_size=4))
def test_every_deed_is_kept_and_only_those_without_a_refusal_change_anything(
    deeds: list[Deed], events: list[int]
) -> None:
    ordered = sorted(deeds, key=lambda each: each.at)
    found = lived(*ordered, events_min=tuple(events))
    kept = [step for step in found.steps if step.action != life.RECURRENCE]
    assert [step.action_id for step in kept] == [each.action_id for each in ordered]
    effective = {step.action_id for step in kept if not step.refused}
    again = lived(*(each for each in ordered if each.action_id in effective), events_min=tuple(events))
    assert (again.state, again.owner, again.severity, again.aware_at) == (
        found.state, found.owner, found.severity, found.aware_at,
    )  # fmt: skip
