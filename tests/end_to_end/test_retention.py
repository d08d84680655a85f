"""`onshore holds` and `onshore retention` beside a running stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from running_stack import run_onshore

if TYPE_CHECKING:
    import subprocess

    from running_stack import RunningStack


def onshore(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_onshore(stack.folder, *arguments, "--data-dir", str(stack.data_dir))


def test_a_hold_is_placed_by_one_person_and_released_by_two_and_all_of_it_is_sealed(
    stack: RunningStack, mark: str
) -> None:
    today = datetime.now(UTC).date()
    review, following = (f"{today + timedelta(days=days)}" for days in (90, 180))
    place = ("holds", "place", "--tenant", mark, "--reason", "a case", "--review", review)
    assert onshore(stack, *place, "--as", "ana", "--domain", "nonsense").returncode == 2
    placed = onshore(stack, *place, "--as", "ana")
    assert placed.returncode == 0, placed.stderr
    hold = placed.stdout.split()[1]
    alone = onshore(stack, "holds", "confirm", hold, "--as", "ana")
    assert (alone.returncode, "it takes two people" in alone.stderr) == (2, True)
    reviewed = onshore(stack, "holds", "review", hold, "--as", "cy", "--reason", "goes on", "--next", following)
    assert reviewed.stdout.strip().endswith(f"hold {hold} goes on; next review {following}"), reviewed.stderr
    for arguments, state in (
        (("confirm", hold, "--as", "bo"), "confirmed"),
        (("release", hold, "--as", "bo", "--reason", "the case is over"), "release proposed"),
        (("confirm", hold, "--as", "ana"), "released"),
    ):
        done = onshore(stack, "holds", *arguments)
        assert done.stdout.strip().endswith(f"hold {hold} is {state}"), done.stderr
    (row,) = (each for each in json.loads(onshore(stack, "holds", "list", "--json").stdout) if each["tenant"] == mark)
    assert (row["state"], row["placed_by"], row["confirmed_by"]) == ("released", "ana", "bo")
    assert (row["review"], row["due"], row["reviewed_by"]) == (review, following, "cy")
    too_late = onshore(stack, "holds", "review", hold, "--as", "cy", "--reason", "x", "--next", following)
    assert (too_late.returncode, "is released" in too_late.stderr) == (2, True)
    sealed = "SELECT count() FROM events_current WHERE action LIKE 'hold.%' AND tenant = {mark:String}"
    stack.wait_for(sealed, 5, mark=mark)


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_a_hold_that_nobody_would_look_at_in_time_is_refused(stack: RunningStack, mark: str, days: int) -> None:
    # A day more or less where midnight passes meanwhile changes nothing: 367 is then 366, and yesterday the day before.
    day = f"{datetime.now(UTC).date() + timedelta(days=days + (days > 0))}"
    done = onshore(stack, "holds", "place", "--tenant", mark, "--reason", "a case", "--review", day, "--as", "ana")
    assert (done.returncode, "a year at most" in done.stderr) == (2, True)


def test_nothing_is_due_without_a_register(stack: RunningStack) -> None:
    plan = onshore(stack, "retention", "plan")
    assert plan.returncode == 0, plan.stderr
    assert "No retention.yaml in the folder of registries: everything is kept." in plan.stdout
    assert onshore(stack, "retention", "run", "--as", "ana").stdout == "Nothing was due.\n"
    assert onshore(stack, "retention", "list").stdout == "Nothing was ever deleted.\n"
