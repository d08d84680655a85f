"""The runner of `make chaos`: every test file is played, what was found is on one page, it ends when it is told to."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from chaos_lanes import ROOT, whole
from running_stack import processes_about, wait_until

CHAOS = ROOT / "tests" / "chaos"
PASSES = """
def test_{name}_holds(report):
    report.add("a scenario of {name}", "nothing is missing")
"""
FAILS = """
def test_it_does_not_hold(report):
    assert "there" == "gone"
"""
SLEEPS = """
import pathlib, threading
def test_it_takes_long(report, tmp_path):
    pathlib.Path(__file__).with_name("begun").touch()
    try:
        threading.Event().wait(60)
    finally:
        pathlib.Path(__file__).with_name("cleaned-up").touch()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of test files."""
    shutil.copy(CHAOS / "conftest.py", tmp_path)
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "tests" / "support" / "chaos_lanes.py")]
    where = ["--folder", str(folder), "--page", str(folder / "chaos.md")]
    return subprocess.Popen([*command, *where, *arguments], stderr=subprocess.PIPE, text=True)


def played(folder: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, page, and what was said meanwhile."""
    with start(folder, *arguments) as process:
        _, said = process.communicate(timeout=60)
    return process.returncode, (folder / "chaos.md").read_text(), said


def test_every_test_file_is_a_piece_of_the_whole() -> None:
    pieces = [Path(file).name for (file,) in whole(CHAOS)]
    assert sorted(pieces) == sorted(file.name for file in CHAOS.glob("test_*.py"))
    assert pieces[0] == "test_random_kills_kafka.py"


def test_what_every_lane_found_is_on_one_page(folder: Path) -> None:
    for name in ("a", "b", "c"):
        (folder / f"test_{name}.py").write_text(PASSES.format(name=name))
    code, page, said = played(folder, "--lanes", "2")
    assert code == 0, said
    assert [f"a scenario of {name}" in page for name in "abc"] == [True] * 3
    assert "3 passed, 0 failed, 0 skipped" in page
    assert "Last whole run" in page


def test_a_whole_run_replaces_the_table_and_keeps_what_was_written_by_hand(folder: Path) -> None:
    (folder / "test_a.py").write_text(PASSES.format(name="a"))
    old = "| Scenario | Found |\n|---|---|\n| long gone | yes | 1 | then | abc | `test_gone.py::test_it` |\n"
    (folder / "chaos.md").write_text(f"{old}\n## What it found so far\n\nOne thing.\n")
    _, page, _ = played(folder, str(folder / "test_a.py"))
    assert "long gone" in page
    assert "Last run, of a piece" in page
    _, page, _ = played(folder)
    assert "long gone" not in page
    assert page.endswith("## What it found so far\n\nOne thing.\n")


def test_one_failure_fails_the_run_and_stands_on_the_page(folder: Path) -> None:
    (folder / "test_a.py").write_text(PASSES.format(name="a"))
    (folder / "test_b.py").write_text(FAILS)
    code, page, said = played(folder)
    assert code == 1
    assert "**failed**: AssertionError: assert 'there' == 'gone'" in page
    assert "1 passed, 1 failed, 0 skipped" in page
    assert "'there' == 'gone'" in said


def test_what_cannot_be_played_is_no_success(folder: Path) -> None:
    (folder / "test_a.py").write_text("import nothing_of_this_name")
    code, _, said = played(folder)
    assert code == 2
    assert "nothing_of_this_name" in said


def test_told_to_end_it_lets_tests_clean_up_and_leaves_no_process(folder: Path) -> None:
    (folder / "test_a.py").write_text(SLEEPS)
    (folder / "test_b.py").write_text(PASSES.format(name="b"))
    with start(folder, "--lanes", "1") as process:
        wait_until((folder / "begun").exists, "the first piece plays", 60)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 2
    assert (folder / "cleaned-up").exists()
    assert not processes_about(folder)
