"""Deadlines across daylight saving, the ends of months and years, weekends and holidays."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.findings.clocks import Deadline, due_at, in_words, left
from onshore_pipeline.findings.holiday_lists import HolidaysUnknown, holidays_named

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
