"""A control over history when its text changed meanwhile: each text judges the events of its own time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from embedded_pipeline import Pipeline, running_pipeline
from house import House, counted, new_house, text
from onshore_pipeline.commands.backtest import _print as told
from onshore_pipeline.commands.backtest import _texts as texts_of
from onshore_pipeline.controls.activations import FILE_NAME, Activation, written
from onshore_pipeline.controls.load import PACKS, check_controls
from onshore_pipeline.jobs.backtest import Backtest
from onshore_pipeline.jobs.backtest_windowed import WindowedBacktest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("backtest") / "data") as running:
        yield running


@pytest.fixture
def house(pipeline: Pipeline, tmp_path: Path) -> House:
    return new_house(pipeline, tmp_path)


def test_over_history_each_text_judges_its_own_time_and_another_is_shown_beside_them(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes = (datetime.now(UTC) - timedelta(days=1)).replace(hour=12, minute=0, second=0, microsecond=0)
    house.activate(2, changes, text(2).replace("('AU', 'NZ')", "('AU', 'NZ', 'US')"))
    before, behind = changes - timedelta(seconds=1), changes + timedelta(seconds=1)
    for at, country in ((before, "US"), (behind, "US"), (behind, "FR")):
        house.violate("default", at, destination_country=country)
    monkeypatch.setenv("ONSHORE_CONTROLS_DIR", str(house.controls))
    another = tmp_path / "v3.yaml"
    another.write_text(text(3))
    old, new = texts_of("ACME-01", another, house.pipeline.settings.data_dir)
    day = changes.replace(hour=0)
    [said] = Backtest(house.reader(), old, new).days(day, day + timedelta(days=1))
    assert {version: counts["violated"] for version, counts in said.stored.items()} == {1: 1, 2: 1}
    assert (said.agreement, said.old["violated"], said.new and said.new["violated"]) == ("equal", 2, 3)
    [differs] = Backtest(house.reader(), old, new).differing(day, day + timedelta(days=1), 10)
    assert (differs["old"], differs["new"], said.changed) == ("satisfied", "violated", 1)


def test_of_a_period_that_cuts_hours_the_whole_ones_are_held_against_what_was_sealed(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    day = (datetime.now(UTC) - timedelta(days=9)).replace(hour=0, minute=0, second=0, microsecond=0)
    eight = day + timedelta(hours=8)
    for minutes in (50, 80, 130, 170, 175):  # one before nine, one before ten, three behind it
        house.violate("default", eight + timedelta(minutes=minutes))
    [compiled], _, _ = check_controls(house.controls / "v1.yaml")
    test = Backtest(house.reader(), [compiled], None)
    half, later = eight + timedelta(minutes=30), eight + timedelta(minutes=150)
    both, before, behind, neither = (
        next(test.days(*each))
        for each in (
            (half, later),
            (half, eight + timedelta(hours=3)),
            (eight, later),
            (half, half + timedelta(minutes=25)),
        )
    )
    assert [each.old["violated"] for each in (both, before, behind, neither)] == [3, 5, 3, 1]
    assert [each.stored.get(1, {}).get("violated", 0) for each in (both, before, behind, neither)] == [1, 4, 2, 0]
    assert [each.agreement for each in (both, before, behind, neither)] == ["equal", "equal", "equal", "none"]
    told([both, neither, next(test.days(half, day + timedelta(days=2)))], [], 0.0, test.counts)
    lines = capsys.readouterr().out.splitlines()
    assert "(as sealed from 09:00 to 10:00, whole hours)" in lines[0]
    assert "(no whole hour to compare with what was sealed)" in lines[1]
    assert "(as sealed from 09:00 to 24:00, whole hours)" in lines[2]


def test_another_text_is_read_with_the_lists_of_the_deployment_and_those_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, drafts = tmp_path / "controls", tmp_path / "drafts"
    for folder, name, member in (
        (own, "nordic", "NO"),
        (own, "eea", "CH"),
        (drafts, "eea", "DE"),
        (drafts, "new", "FJ"),
    ):
        (folder / "lists").mkdir(parents=True, exist_ok=True)
        (folder / "lists" / f"{name}.csv").write_text(f"member,valid_from,valid_to,source\n{member},,,\n")
    (own / "v1.yaml").write_text(text(1))
    (drafts / "v2.yaml").write_text(text(2).replace("('AU', 'NZ')", "('AU', 'NZ', @nordic, @eea, @new)"))
    monkeypatch.setenv("ONSHORE_CONTROLS_DIR", str(own))
    _, new = texts_of("ACME-01", drafts / "v2.yaml", tmp_path)
    assert new is not None
    assert "destination_country IN ('AU', 'NZ', 'NO', 'CH', 'FJ')" in new.clickhouse.violated


def test_over_history_each_text_judges_the_windows_that_begin_in_its_time(house: House) -> None:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    changes = today - timedelta(days=4)
    house.control_id = "ACME-02"
    (house.controls / "w1.yaml").write_text(counted())
    decided = [Activation("ACME-02", 2, sha256(counted(2, 300).encode()).hexdigest(), changes, today, "rina", "why")]
    (house.controls / "w2.yaml").write_text(counted(2, 300))
    (house.controls / FILE_NAME).write_text(written(decided))
    for day in (changes - timedelta(days=1), changes):
        house.violate("default", day, action="data.export", data_bytes=200)
    house.pipeline.judge_windows()
    known, _, _ = check_controls(PACKS, house.controls)
    old = [each.windowed for each in known if each.control.id == "ACME-02" and each.windowed is not None]
    days = list(WindowedBacktest(house.reader(), old, None).days(changes - timedelta(days=1), today))
    assert [day.old["violated"] for day in days] == [1, 0, 0, 0, 0]
    assert {day.agreement for day in days} == {"equal"}
