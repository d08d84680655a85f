"""A control over history: the store judges by the same text as the worker did, and another text beside it."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.commands.dead_letters import reader_of
from onshore_pipeline.controls.compiled import compile_control
from onshore_pipeline.controls.load import PACKS, load_controls
from onshore_pipeline.jobs.backtest import Backtest
from running_stack import RunningStack, run_onshore, running_stack

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

CONTROL = "AU-APP8-01"
TEXT = (PACKS / "au" / f"{CONTROL}.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("played"), "--no-dashboard") as stack:
        truth = str(stack.folder / "truth.json")
        assert _onshore(stack, "demo", "--events", "1500", "--truth", truth).returncode == 0
        assert _onshore(stack, "check-truth", truth).returncode == 0
        yield stack


@pytest.fixture(scope="module")
def period(played: RunningStack) -> tuple[datetime, datetime]:
    sql = "SELECT min(occurred_at) AS first, max(occurred_at) AS last FROM events_current"
    [row] = reader_of(played.data_dir).rows(sql)
    midnight = row["first"].astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight, row["last"].astimezone(UTC) + timedelta(days=1)


def _onshore(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_onshore(stack.folder, *arguments, "--data-dir", str(stack.data_dir), within_s=240)


def _backtest(
    stack: RunningStack, period: tuple[datetime, datetime], *more: str, control: str = CONTROL
) -> subprocess.CompletedProcess[str]:
    start, end = (f"{moment:%Y-%m-%dT%H:%M:%SZ}" for moment in period)
    return _onshore(stack, "controls", "backtest", control, "--from", start, "--to", end, *more)


def test_over_history_every_control_says_what_the_worker_sealed(
    played: RunningStack, period: tuple[datetime, datetime]
) -> None:
    store = reader_of(played.data_dir)
    for compiled in load_controls().executable:
        days = list(Backtest(store, [compiled], None).days(*period))
        assert {day.agreement for day in days} == {"equal"}, compiled.control.id
        assert sum(day.old["violated"] for day in days) > 0, compiled.control.id


def test_another_text_is_shown_beside_the_one_in_force_with_the_first_events_that_differ(
    played: RunningStack, period: tuple[datetime, datetime], tmp_path: Path
) -> None:
    file = tmp_path / f"{CONTROL}.yaml"
    file.write_text(TEXT.replace("transfer_basis = 'none'", "transfer_basis IN ('none', 'consent', 'contract')"))
    done = _backtest(played, period, "--against", str(file), "--first", "3", "--json")
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    old, new = (sum(day[side]["violated"] for day in told["days"]) for side in ("old", "new"))
    assert new > old > 0
    assert told["changed"] >= new - old
    assert told["read"]["rows"] == told["estimate"]["rows"] > 0
    assert len(told["first_differing"]) == 3
    for event in told["first_differing"]:
        assert event["old"] == "satisfied"
        assert event["new"] in {"violated", "undetermined"}
        assert event["transfer_basis"] in {"consent", "contract"}


def test_the_days_are_told_to_a_reader_too(played: RunningStack, period: tuple[datetime, datetime]) -> None:
    done = _backtest(played, period)
    assert done.returncode == 0
    assert "(as sealed)" in done.stdout
    assert done.stdout.splitlines()[0].startswith("about ")


def test_a_control_of_more_than_one_event_runs_over_history_too(
    played: RunningStack, period: tuple[datetime, datetime]
) -> None:
    done = _backtest(played, period, "--json", control="SOV-19-01")
    assert not done.stderr
    assert sum(day["old"]["violated"] for day in json.loads(done.stdout)["days"]) > 0


def test_days_of_windows_are_told_to_be_as_sealed_and_what_is_counted_is_named(
    played: RunningStack, period: tuple[datetime, datetime]
) -> None:
    done = _backtest(played, period, control="SOV-19-01")
    assert done.returncode == 0, done.stderr
    days = [line for line in done.stdout.splitlines() if line[:4].isdecimal()]
    assert days
    assert all("(as sealed)" in line for line in days if "0 violated, 0 undetermined, 0 satisfied" not in line)
    assert "windows, sequences or absences in" in done.stdout.splitlines()[-1]


def test_a_window_that_was_said_otherwise_is_no_longer_as_sealed(
    played: RunningStack, period: tuple[datetime, datetime]
) -> None:
    writer = played.writer()
    violated = "windowed_current WHERE control_id = 'SOV-19-01' AND verdict = 'violated' ORDER BY since LIMIT 1"
    [(since, unit)] = writer.query(f"SELECT since, unit_id FROM {violated}").result_rows
    which = f"unit_id = '{unit}'"
    writer.command("CREATE TABLE kept_units AS windowed_verdicts_built")
    writer.command(f"INSERT INTO kept_units SELECT * FROM windowed_verdicts_built WHERE {which}")
    for _ in range(5):  # the stack's own job may say what is right again, as of a newer run, before the comparison
        writer.command(
            "INSERT INTO windowed_verdicts_built"
            " SELECT * REPLACE ('satisfied' AS verdict, now64(9, 'UTC') AS stated_at,"
            " (SELECT max(generation) FROM rollup_runs) AS generation)"
            " FROM kept_units ORDER BY stated_at DESC LIMIT 1"
        )
        done = _backtest(played, period, control="SOV-19-01")
        if done.returncode:
            break
    writer.command(f"DELETE FROM windowed_verdicts_built WHERE {which}")
    writer.command("INSERT INTO windowed_verdicts_built SELECT * FROM kept_units")
    writer.command("DROP TABLE kept_units")
    writer.close()
    assert done.returncode == 1
    [wrong] = [line for line in done.stdout.splitlines() if "SEALED OTHERWISE: v1:" in line]
    assert wrong.startswith(f"{since:%Y-%m-%d}")


def test_a_text_for_single_events_is_not_compared_with_one_for_windows(
    played: RunningStack, period: tuple[datetime, datetime], tmp_path: Path
) -> None:
    file = tmp_path / "SOV-19-01.yaml"
    file.write_text(TEXT.replace(f"id: {CONTROL}\n", "id: SOV-19-01\n"))
    done = _backtest(played, period, "--against", str(file), control="SOV-19-01")
    assert done.returncode == 2
    assert "one text looks at single events and the other at more than one" in done.stderr
    assert "run the new text with an id of its own" in done.stderr
    assert not done.stdout
    windowed = (PACKS / "sovereignty" / "SOV-19-01.yaml").read_text(encoding="utf-8")
    file.write_text(windowed.replace("id: SOV-19-01\n", f"id: {CONTROL}\n"))
    assert _backtest(played, period, "--against", str(file)).returncode == 2


def test_a_text_that_says_something_else_under_the_same_version_is_found_out(
    played: RunningStack, period: tuple[datetime, datetime]
) -> None:
    controls = load_controls()
    control = controls.control(CONTROL)
    assert control is not None
    other = compile_control(dataclasses.replace(control, violated="destination_country = 'AU'"), controls.lists)
    days = list(Backtest(reader_of(played.data_dir), [other], None).days(*period))
    assert "differs" in {day.agreement for day in days}


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((CONTROL, "--from", "yesterday", "--to", "2026-11-02"), "--from yesterday: no time"),
        ((CONTROL, "--from", "2026-11-02", "--to", "2026-11-02"), "does not lie behind"),
        (("AU-APP8-1", "--from", "2026-11-01", "--to", "2026-11-02"), "no control has the id"),
        (("AU-NDB-30D", "--from", "2026-11-01", "--to", "2026-11-02"), "has no condition"),
        ((CONTROL, "--from", "2026-11-01", "--to", "2026-11-02", "--against", "nowhere.yaml"), "is no file"),
    ],
)
def test_what_cannot_be_run_is_one_readable_error(played: RunningStack, arguments: tuple[str, ...], why: str) -> None:
    done = _onshore(played, "controls", "backtest", *arguments)
    assert done.returncode == 2
    assert why in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
