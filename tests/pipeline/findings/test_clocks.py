"""Deadlines across daylight saving, the ends of months and years, weekends and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.domain.control import Clock
from onshore_pipeline.findings.clocks import Deadline, due_at, in_words, left
from onshore_pipeline.findings.deadlines import NamedClock, deadlines
from onshore_pipeline.findings.holiday_lists import HolidaysUnknown, holidays_named
from onshore_pipeline.findings.life import Life

if TYPE_CHECKING:
    from pathlib import Path

ZONES = ("UTC", "Australia/Sydney", "Australia/Lord_Howe", "Asia/Tokyo", "America/New_York", "Europe/Berlin")
MOMENTS = st.datetimes(datetime(1995, 1, 1), datetime(2080, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
CHRISTMAS = {date(year, 12, day) for year in range(1990, 2090) for day in (25, 26)}


def due(began: str, within: str, zone: str = "UTC") -> str:
    told = due_at(datetime.fromisoformat(began), within, zone, CHRISTMAS.__contains__)
    return told.astimezone(ZoneInfo(zone)).isoformat()


def test_hours_pass_whatever_local_clocks_do() -> None:
    assert due("2026-10-03T12:00:00+10:00", "24h", "Australia/Sydney") == "2026-10-04T13:00:00+11:00"


@pytest.mark.parametrize("zone", ["Australia/Sidney", "../../etc/passwd", "Australia"])
@pytest.mark.parametrize("within", ["72h", "30d"])
def test_in_a_zone_that_is_none_no_deadline_can_be_told(zone: str, within: str) -> None:
    began = datetime(2026, 11, 1, tzinfo=UTC)
    clock = NamedClock("X-1", Clock("aware", within, zone, None), is_own=True)
    [told] = deadlines([clock], began, began, Life(aware_at=began))
    assert (told.runs_from, told.due) == (began, None)
    assert in_words(told, began).startswith(f"cannot be told: no time zone is named '{zone}'")


def test_days_end_at_the_same_time_of_day_in_the_zone() -> None:
    assert due("2026-10-03T12:00:00+10:00", "1d", "Australia/Sydney") == "2026-10-04T12:00:00+11:00"
    assert due("2026-04-04T12:00:00+11:00", "1d", "Australia/Sydney") == "2026-04-05T12:00:00+10:00"


def test_a_time_of_day_that_does_not_exist_is_when_the_clocks_went_forward() -> None:
    assert due("2026-10-03T02:30:00+10:00", "1d", "Australia/Sydney") == "2026-10-04T03:00:00+11:00"


def test_a_time_of_day_that_exists_twice_is_the_earlier() -> None:
    assert due("2026-04-04T02:30:00+11:00", "1d", "Australia/Sydney") == "2026-04-05T02:30:00+11:00"


def test_business_days_leave_out_weekends_and_holidays_also_over_the_end_of_the_year() -> None:
    assert due("2026-12-23T09:00:00+00:00", "3bd") == "2026-12-29T09:00:00+00:00"  # Thu 24, Mon 28, Tue 29
    assert due("2026-12-24T09:00:00+00:00", "5bd") == "2027-01-01T09:00:00+00:00"
    assert due("2026-11-28T09:00:00+00:00", "1bd") == "2026-11-30T09:00:00+00:00"  # from a Saturday


@pytest.mark.parametrize(
    ("began", "within", "expected"),
    [
        ("2026-01-31T10:00:00+00:00", "1mo", "2026-02-28T10:00:00+00:00"),
        ("2027-12-31T10:00:00+00:00", "2mo", "2028-02-29T10:00:00+00:00"),
        ("2026-11-15T10:00:00+00:00", "3mo", "2027-02-15T10:00:00+00:00"),
        ("2026-12-31T23:30:00+00:00", "12mo", "2027-12-31T23:30:00+00:00"),
    ],
)
def test_months_end_on_the_same_day_or_the_last_of_the_month(began: str, within: str, expected: str) -> None:
    assert due(began, within) == expected


@given(MOMENTS, st.integers(1, 400), st.sampled_from(["h", "d", "bd", "mo"]), st.sampled_from(ZONES))
def test_a_longer_deadline_is_never_earlier_and_none_is_before_it_began(
    began: datetime, count: int, unit: str, zone: str
) -> None:
    shorter, longer = (due_at(began, f"{each}{unit}", zone, CHRISTMAS.__contains__) for each in (count, count + 1))
    assert began < shorter < longer


@given(MOMENTS, st.integers(1, 400), st.sampled_from(ZONES))
def test_days_keep_the_time_of_day_or_end_where_the_clocks_jumped(began: datetime, count: int, zone: str) -> None:
    there = ZoneInfo(zone)
    local, told = began.astimezone(there), due_at(began, f"{count}d", zone, CHRISTMAS.__contains__).astimezone(there)
    assert told.date() == local.date() + timedelta(days=count)
    if told.time() != local.time():
        assert (told - timedelta(seconds=1)).astimezone(UTC).astimezone(there).utcoffset() != told.utcoffset() or (
            (told.astimezone(UTC) - timedelta(seconds=1)).astimezone(there).utcoffset() != told.utcoffset()
        )


@given(MOMENTS, st.integers(1, 60), st.sampled_from(ZONES))
def test_business_days_end_on_one_and_have_as_many_between(began: datetime, count: int, zone: str) -> None:
    there = ZoneInfo(zone)
    first = began.astimezone(there).date()
    last = due_at(began, f"{count}bd", zone, CHRISTMAS.__contains__).astimezone(there).date()
    days = [first + timedelta(days=each + 1) for each in range((last - first).days)]
    worked = [day for day in days if day.weekday() < 5 and day not in CHRISTMAS]
    assert (len(worked), worked[-1]) == (count, last)


@pytest.mark.parametrize("within", ["", "0d", "-1d", "3", "3w", "1e3h", "99999999d"])
def test_what_is_no_deadline_is_refused(within: str) -> None:
    with pytest.raises(ValueError, match="no deadline"):
        due_at(datetime(2026, 1, 1, tzinfo=UTC), within, "UTC", CHRISTMAS.__contains__)


def test_a_deadline_behind_the_last_year_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="behind the last year"):
        due_at(datetime(9999, 12, 1, tzinfo=UTC), "40d", "UTC", CHRISTMAS.__contains__)


def test_a_deadline_says_its_zone_and_what_is_left_of_it() -> None:
    now = datetime(2026, 11, 26, 8, tzinfo=UTC)
    told = Deadline("AU-X", "aware", "72h", "Australia/Sydney", now, now + timedelta(hours=27, minutes=30))
    assert in_words(told, now) == "2026-11-27 22:30 Australia/Sydney, 1 d 3 h left"
    assert left(timedelta(minutes=59, seconds=59)) == "59 min left"
    assert left(-timedelta(hours=4, minutes=10)) == "overdue by 4 h 10 min"


def test_a_list_of_holidays_that_ends_too_early_is_not_guessed_on(tmp_path: Path) -> None:
    (tmp_path / "SG.txt").write_text("# Singapore\n2026-12-25 Christmas\n")
    is_holiday = holidays_named(tmp_path, "SG")
    assert is_holiday(date(2026, 12, 25))
    assert not is_holiday(date(2026, 12, 24))
    with pytest.raises(HolidaysUnknown, match="no day of 2027"):
        is_holiday(date(2027, 1, 1))
    with pytest.raises(HolidaysUnknown, match=r"MY\.txt"):
        holidays_named(tmp_path, "MY")


def _counted(year: int, month: int, weekday: int, which: int) -> date:
    """The first, second ... such weekday of a month, or the last one for -1."""
    days = [day for day in (date(year, month, 1) + timedelta(days=each) for each in range(31)) if day.month == month]
    return [day for day in days if day.weekday() == weekday][which - (which > 0)]


def test_the_federal_holidays_that_ship_are_those_of_the_statute() -> None:
    days = set()
    for year in range(2023, 2034):
        counted = ((1, 0, 3), (2, 0, 3), (5, 0, -1), (9, 0, 1), (10, 0, 2), (11, 3, 4))
        fixed = [date(year, *each) for each in ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))]
        observed = [day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0)) for day in fixed]
        days |= {*observed, *(_counted(year, *each) for each in counted)}
    is_holiday = holidays_named(None, "US-FEDERAL")
    first = date(2023, 1, 1)
    asked = [first + timedelta(days=each) for each in range((date(2033, 1, 1) - first).days)]
    assert [day for day in asked if is_holiday(day)] == sorted(day for day in days if day.year < 2033)
    with pytest.raises(HolidaysUnknown, match="no day of 2033"):
        is_holiday(date(2033, 1, 3))


def test_a_list_of_the_deployment_takes_the_place_of_one_that_ships(tmp_path: Path) -> None:
    (tmp_path / "US-FEDERAL.txt").write_text("2026-01-02 a day of ours\n")
    assert holidays_named(tmp_path, "US-FEDERAL")(date(2026, 1, 2))
    assert not holidays_named(tmp_path, "US-FEDERAL")(date(2026, 7, 3))


@pytest.mark.parametrize(
    ("decided", "due_on"),
    [
        ("2026-11-20T15:00:00-05:00", "2026-11-27T15:00:00-05:00"),  # Thanksgiving Day lies between
        ("2026-11-26T15:00:00-05:00", "2026-12-02T15:00:00-05:00"),  # decided on a holiday: Friday is the first day
        ("2027-12-28T15:00:00-05:00", "2028-01-04T15:00:00-05:00"),  # New Year's Day is a Saturday: Friday is free
    ],
)
def test_a_material_incident_is_disclosed_within_four_business_days(decided: str, due_on: str) -> None:
    clock = next(each for each in load_controls().controls if each.id == "US-SEC-8K").clock
    assert clock is not None
    life = Life(assessed_at=datetime.fromisoformat(decided))
    now = datetime(2026, 1, 1, tzinfo=UTC)
    [told] = deadlines([NamedClock("US-SEC-8K", clock, is_own=False)], now, now, life)
    assert told.due == datetime.fromisoformat(due_on)


def test_business_days_of_a_place_whose_holidays_nobody_listed_cannot_be_told() -> None:
    clock = next(each for each in load_controls().controls if each.id == "AU-CPS234-10BD").clock
    assert clock is not None
    now = datetime(2026, 1, 1, tzinfo=UTC)
    [told] = deadlines([NamedClock("AU-CPS234-10BD", clock, is_own=False)], now, now, Life(aware_at=now))
    assert told.due is None
    assert told.why == ("cannot be told: the list of holidays AU is not at hand: ONSHORE_CONTEXT_DIR/holidays/AU.txt")


def test_a_list_of_holidays_that_was_changed_is_read_again(tmp_path: Path) -> None:
    (tmp_path / "SG.txt").write_text("2026-12-25 Christmas\n")
    assert not holidays_named(tmp_path, "SG")(date(2026, 12, 28))
    (tmp_path / "SG.txt").write_text("2026-12-25 Christmas\n2026-12-28 a day in lieu\n")
    assert holidays_named(tmp_path, "SG")(date(2026, 12, 28))
