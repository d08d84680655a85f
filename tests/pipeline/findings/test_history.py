"""A waiver that held, and how it ended, are steps of a finding's history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from onshore_pipeline.commands import finding_texts
from onshore_pipeline.findings import life
from onshore_pipeline.findings.history import WAIVED, WAIVER_EXPIRED, WAIVER_REVOKED, history
from onshore_pipeline.findings.life import Life, Step
from onshore_pipeline.findings.standing import Standing
from onshore_pipeline.findings.waivers import Waiver

START = datetime(2026, 11, 1, 8, tzinfo=UTC)


def days(count: float) -> datetime:
    return START + timedelta(days=count)


def waiver(
    name: str = "w-1", *, approved: float | None = 2, expires: float = 10, revoked: float | None = None
) -> Waiver:
    return Waiver(
        name, "acme", "ACME-01", {}, "the supplier moves", days(expires), "{}", "rina", days(1),
        approved_by="omar" if approved is not None else "",
        approved_at=days(approved) if approved is not None else None,
        revoked_by="eve" if revoked is not None else "",
        revoked_at=days(revoked) if revoked is not None else None,
    )  # fmt: skip


def standing(*waivers: Waiver, steps: tuple[Step, ...] = ()) -> Standing:
    lived = Life(state=steps[-1].state if steps else "open", steps=steps)
    return Standing(
        finding_id="f", tenant="acme", domain="data_movement", control_id="ACME-01", control_version=1,
        kind="violation", severity="high", control_severity="high", fingerprint={}, first_seen=START, last_seen=START,
        looks_at="event", events=1, bytes=1, state=lived.state, life=lived, deadlines=(), waiver=None, waivers=waivers,
        restated_on=None,
    )  # fmt: skip


def told(found: Standing, at_day: float) -> list[tuple[str, str]]:
    return [(step.action, step.state) for step in history(found, days(at_day))]


def test_a_waiver_holds_from_its_approval_and_its_end_opens_what_it_covered_again() -> None:
    assert told(standing(waiver()), 9) == [(WAIVED, "waived")]
    assert told(standing(waiver()), 10) == [(WAIVED, "waived"), (WAIVER_EXPIRED, "open")]
    assert told(standing(waiver(revoked=5)), 20) == [(WAIVED, "waived"), (WAIVER_REVOKED, "open")]
    assert told(standing(waiver(approved=None)), 20) == []


def test_a_waiver_that_ends_leaves_a_finding_as_people_left_it() -> None:
    steps = (Step(life.ACKNOWLEDGE, days(1), "acknowledged", "rina"), Step(life.ASSIGN, days(4), "assigned", "rina"))
    assert told(standing(waiver(), steps=steps), 11) == [
        (life.ACKNOWLEDGE, "acknowledged"), (WAIVED, "waived"), (life.ASSIGN, "assigned"), (WAIVER_EXPIRED, "assigned"),
    ]  # fmt: skip
    closed = (Step(life.RESOLVE, days(4), "resolved", "rina"),)
    assert told(standing(waiver(), steps=closed), 11)[-1] == (WAIVER_EXPIRED, "resolved")


def test_what_another_waiver_still_covers_stays_waived() -> None:
    both = standing(waiver(), waiver("w-2", approved=3, expires=20))
    assert told(both, 11) == [(WAIVED, "waived"), (WAIVED, "waived"), (WAIVER_EXPIRED, "waived")]


def test_the_history_names_who_agreed_and_until_when() -> None:
    shown = finding_texts.details(standing(waiver(revoked=5)), days(20))[-2:]
    until = "2026-11-11 08:00 UTC, proposed by rina, by omar"
    assert shown == [
        f"2026-11-03 08:00:00 UTC  waiver in force w-1 until {until} -> waived: the supplier moves",
        "2026-11-06 08:00:00 UTC  waiver revoked w-1 by eve -> open",
    ]


def test_times_are_told_in_utc_whatever_zone_they_were_said_in() -> None:
    aware = datetime.fromisoformat("2026-11-27T09:00:00+11:00")
    found = replace(standing(), life=Life(aware_at=aware))
    [line] = [each for each in finding_texts.details(found, START) if each.startswith("aware since")]
    assert line.endswith("2026-11-26 22:00:00 UTC")
