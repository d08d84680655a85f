"""Numbers as people read them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_dashboard.formats import ago, duration, number, rate, seen, share, size


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_share_is_whole_or_nothing_only_when_it_is_exactly_that(part: int, rest: int) -> None:
    said = share(part, part + rest)
    assert (said == "100 %") == (rest == 0 and part > 0)
    assert (said == "0 %") == (part == 0 and rest > 0)


def test_one_violation_among_millions_stays_visible() -> None:
    assert share(9_999_999, 10_000_000) == "> 99.9 %"
    assert share(1, 10_000_000) == "< 0.1 %"


def test_without_a_denominator_there_is_no_share() -> None:
    assert share(0, 0) == "-"


@pytest.mark.parametrize(("count", "said"), [(0, "0"), (1234, "1,234"), (None, "-")])
def test_thousands_are_set_apart(count: int | None, said: str) -> None:
    assert number(count) == said


@pytest.mark.parametrize(("count", "said"), [(999, "999 B"), (1500, "1.5 kB"), (2 * 10**12, "2.0 TB"), (None, "-")])
def test_sizes_are_decimal(count: int | None, said: str) -> None:
    assert size(count) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [(5, "5 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (86400 * 2, "2 days"), (-3, "0 s")],
)
def test_a_duration_has_one_unit(length: int, said: str) -> None:
    assert duration(timedelta(seconds=length)) == said


def test_what_never_happened_is_said_to_be_so() -> None:
    assert ago(None, datetime(2026, 11, 21, tzinfo=UTC)) == "never"


@pytest.mark.parametrize(
    ("year", "said"),
    [(2026, "0 s ago"), (2200, "2200-11-21 00:00:00, a time in the future that its sender claims")],
)
def test_a_time_that_cannot_have_been_is_said_to_be_a_claim(year: int, said: str) -> None:
    now = datetime(2026, 11, 21, tzinfo=UTC)
    assert seen(now.replace(year=year), now, timedelta(days=1)) == said


@pytest.mark.parametrize(
    ("value", "said"), [(0.0, "0"), (0.01, "< 0.1"), (0.4, "0.4"), (12.3, "12"), (1234.4, "1,234")]
)
def test_a_rate_has_as_many_decimals_as_it_needs(value: float, said: str) -> None:
    assert rate(value) == said
