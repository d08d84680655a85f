"""Catalogue and files say the same, control by control; the dashboard's page is held to it in tests/dashboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from control_words import FILES, Written, plain, read
from onshore_pipeline.controls.load import PACKS, load_controls

PUBLISHED = Path(__file__).parents[3] / "docs" / "controls"


def section(control: Written) -> str:
    """What the published catalogue says about one control, on one line."""
    name = "any-jurisdiction" if control.jurisdiction == "*" else control.jurisdiction
    page = (PUBLISHED / f"{name}.md").read_text(encoding="utf-8")
    _, _, behind = page.partition(f"\n## {control.id}\n")
    return plain(behind.partition("\n## ")[0])


def test_every_file_that_ships_is_one_of_the_controls_and_the_reverse() -> None:
    assert sorted(read(path).id for path in FILES) == sorted(each.id for each in load_controls().controls)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_catalogue_says_what_the_file_says(path: Path) -> None:
    control = read(path)
    told = section(control)
    assert f"Rests on: {control.citation} *" in told
    for condition in control.conditions:
        assert f"`{condition}`" in told
    assert not control.needs or f"Needs: {control.needs}" in told
    for name, verdict in control.examples:
        assert f"| {name} | {verdict} |" in told
    assert told.count("| Example | Verdict |") == bool(control.examples)


def test_a_control_that_nobody_verified_ships_disabled() -> None:
    unverified = [read(path) for path in FILES if read(path).confidence == "check"]
    assert unverified
    controls = load_controls()
    run = {each.control.id for each in controls.executable} | {each.control.id for each in controls.windowed}
    for control in unverified:
        assert control.id not in run
        status = controls.control(control.id)
        assert status is not None
        assert status.status == ("disabled" if control.conditions else "catalogue")
        assert "How sure: not verified" in section(control)


def test_the_packs_are_where_files_are_looked_for() -> None:
    assert len(FILES) > 100
    assert all(path.is_relative_to(PACKS) for path in FILES)
