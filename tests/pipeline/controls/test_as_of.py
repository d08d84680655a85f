"""`onshore controls show --as-of`: the text that is in force on a day, by the files and the decisions beside them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.commands.control_as_of import text_as_of, texts_in_force
from onshore_pipeline.controls.activating import plan_activation, plan_retirement
from onshore_pipeline.controls.load import PACKS
from onshore_pipeline.errors import OnshoreError
from running_stack import run_onshore

if TYPE_CHECKING:
    from pathlib import Path

CONTROL = "AU-APP8-01"
SHIPPED = (PACKS / "au" / f"{CONTROL}.yaml").read_text(encoding="utf-8")
FIRST = 2
NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
AT = datetime(2026, 12, 1, 9, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Controls of a deployment: version 8 from the first of December, 9:00, until the control ends on the tenth."""
    folder = tmp_path / "controls"
    folder.mkdir()
    own = SHIPPED.replace(f"id: {CONTROL}\n", "id: OWN-01\n", 1).replace("clocks: [", "#clocks: [")
    (folder / "OWN-01.yaml").write_text(own, encoding="utf-8")
    text = tmp_path / "next.yaml"
    text.write_text(SHIPPED.replace(f"version: {FIRST}\n", "version: 8\n", 1), encoding="utf-8")
    plan_activation(text, folder, "ada", "guidance", AT, NOW).carry_out()
    plan_retirement(CONTROL, folder, "ada", "repealed", AT + timedelta(days=9), NOW).carry_out()
    return folder


@pytest.mark.parametrize(
    ("as_of", "version"),
    [
        ("2026-11-30", FIRST),
        ("2026-12-01T08:59:59", FIRST),
        ("2026-12-01", 8),
        ("2026-12-01T10:00+01:00", 8),
        ("2026-12-09", 8),
    ],
)
def test_a_day_means_its_end_and_a_time_itself(folder: Path, as_of: str, version: int) -> None:
    compiled, told = text_as_of(texts_in_force([PACKS, folder]), CONTROL, as_of)
    assert compiled.control.version == version
    assert told["version"] == str(version)
    changes = {FIRST: ("judges_until", "2026-12-01 09:00:00 UTC"), 8: ("judges_from", "2026-12-01 09:00:00 UTC")}
    assert changes[version] in told.items()


@pytest.mark.parametrize(
    ("as_of", "why"),
    [
        ("2026-12-10", "it was retired on 2026-12-10 09:00:00 UTC"),
        ("2013-01-01", "it begins on 20"),
        ("yesterday", "no time"),
    ],
)
def test_a_day_on_which_nothing_is_in_force_is_said_to_be_one(folder: Path, as_of: str, why: str) -> None:
    with pytest.raises(OnshoreError, match=why):
        text_as_of(texts_in_force([PACKS, folder]), CONTROL, as_of)


def test_the_command_prints_the_text_of_the_day(folder: Path, tmp_path: Path) -> None:
    done = run_onshore(tmp_path, "controls", "show", CONTROL, "--as-of", "2026-12-02", ONSHORE_CONTROLS_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert "version: 8\n" in done.stdout
    assert "# judges until: 2026-12-10 09:00:00 UTC\n" in done.stdout
    later = ("controls", "show", CONTROL, "--as-of", "2027-01-01", "--json")
    done = run_onshore(tmp_path, *later, ONSHORE_CONTROLS_DIR=str(folder))
    assert done.returncode == 2
    assert "no text of it is in force on 2027-01-01: it was retired" in done.stderr
