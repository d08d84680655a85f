"""Failpoints: named, counted, refused when misspelt, and never on without being seen."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from onshore_pipeline import failpoints
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.failpoints import POINTS, at_failpoint, nowhere
from running_stack import run_onshore

SOURCES = Path(failpoints.__file__).parent
REACH = """
from onshore_pipeline.failpoints import at_failpoint
at = at_failpoint("5.before:kill:3")
for number in range(5):
    at("5.after")
    at("5.before")
    print(number, flush=True)
"""


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    assert at_failpoint(None) is nowhere
    assert at_failpoint("") is nowhere


def test_a_failpoint_kills_its_process_the_time_it_was_told_to_and_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    printed = [line for line in done.stdout.splitlines() if line.isdecimal()]
    assert printed == ["0", "1"]
    assert "FAILPOINT ARMED" in done.stdout + done.stderr
    assert "FAILPOINT REACHED" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5.befor:kill", "did you mean 5.before"),
        ("5.before", "POINT:kill"),
        ("5.before:explode", "POINT:kill"),
        ("5.before:kill:0", "NTH"),
        ("5.before:kill:x", "NTH"),
    ],
)
def test_a_failpoint_that_is_none_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)):
        at_failpoint(text)


@pytest.mark.parametrize("command", ["worker", "sequencer", "up"])
def test_a_misspelt_failpoint_stops_the_command_before_it_does_anything(tmp_path: Path, command: str) -> None:
    done = run_onshore(tmp_path, command, ONSHORE_FAILPOINT="9.before:kill")
    assert done.returncode == 2
    assert "failpoint" in done.stderr
    assert not (tmp_path / ".onshore").exists()


def test_every_point_of_the_list_stands_in_the_code_and_every_one_in_the_code_on_the_list() -> None:
    said: set[str] = set()
    for file in SOURCES.rglob("*.py"):
        for point in re.findall(r"\b_?at\(f?\"([^\"]+)\"\)", file.read_text()):
            named = re.compile(re.sub(r"\{\w+\}", "[a-z_]+", point).replace(".", r"\."))
            found = {known for known in POINTS if named.fullmatch(known)}
            assert found, f"{file.name}: {point} is not on the list"
            said |= found
    assert said == set(POINTS)
