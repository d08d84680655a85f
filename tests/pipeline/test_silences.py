"""A silence is every gap longer than the limit, whatever minutes were heard: held against a minute-by-minute count."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.context.expected_sources import ExpectedSource
from onshore_pipeline.jobs.silences import judge_silence, minutes_of

START: Final = datetime(2026, 11, 1, tzinfo=UTC)
FIRST_HOUR: Final = int(START.timestamp()) // 3600
HOURS: Final = 4


def source(limit: int, since: int, until: int | None = None) -> ExpectedSource:
    return ExpectedSource(
        "s", None, {"tenant": re.compile("t")}, {}, timedelta(minutes=limit), timedelta(minutes=5), timedelta(0),
        START + timedelta(minutes=since), None if until is None else START + timedelta(minutes=until), "o", "w",
    )  # fmt: skip


def test_the_bits_of_hours_become_minutes() -> None:
    hours = np.array([FIRST_HOUR, FIRST_HOUR, FIRST_HOUR + 2, FIRST_HOUR - 1], np.int64)
    masks = np.array([1, 1 << 59, 0b110, 1], np.uint64)
    assert np.flatnonzero(minutes_of(hours, masks, FIRST_HOUR, HOURS)).tolist() == [0, 59, 121, 122]


@given(
    heard=st.sets(st.integers(0, HOURS * 60 - 1)),
    limit=st.integers(1, 90),
    since=st.integers(0, 100),
    judged=st.integers(0, HOURS * 60),
)
def test_silences_are_what_counting_every_minute_gives(heard: set[int], limit: int, since: int, judged: int) -> None:
    minutes = np.zeros(HOURS * 60, np.bool_)
    minutes[list(heard)] = True
    told = judge_silence(source(limit, since), minutes, FIRST_HOUR, START + timedelta(minutes=judged + 5))
    silent: set[int] = set()
    run: list[int] = []
    for minute in range(since, judged):
        run = [] if minute in heard else [*run, minute]
        if len(run) > limit:
            silent |= set(run)
    if judged - since <= limit:
        assert told is None
        return
    assert told is not None
    assert told.expected_s == (judged - since) * 60
    assert told.expected_s - told.seen_s == len(silent) * 60
    assert all(each.until for each in told.silences[:-1])
    if told.silences and told.silences[-1].until is None:
        assert not any(minute >= judged for minute in heard)
