"""Approvals that an export names are those of the register."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.jobs.export_judged import approver

NOW = datetime(2026, 11, 26, tzinfo=UTC)
REGISTER = {"a-1": ("A-1", "the board", NOW + timedelta(days=1)), "a-2": ("A-2", "the board", NOW)}


def test_who_gave_it_is_what_the_register_says() -> None:
    assert approver("A-1", REGISTER, NOW) == "the board"


def test_nobody_is_known_to_have_given_it_without_a_register() -> None:
    assert approver("A-1", None, NOW) is None
    assert approver(None, REGISTER, NOW) is None


@pytest.mark.parametrize(("name", "why"), [("A-2", "it ended on 2026-11-26"), ("A-3", "has none of this id")])
def test_one_that_ended_or_that_nobody_knows_is_refused(name: str, why: str) -> None:
    with pytest.raises(OnshoreError, match=why):
        approver(name, REGISTER, NOW)
