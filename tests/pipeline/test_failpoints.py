"""Failpoints: named, counted, refused when misspelt, and never on without being seen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import onshore_collectors
from onshore_pipeline import failpoints
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.failpoints import POINTS, at_failpoint, nowhere
from running_stack import run_onshore

SOURCES = (Path(failpoints.__file__).parent, Path(onshore_collectors.__file__).parent)
REACH = """
import sys
from pathlib import Path
from onshore_pipeline.failpoints import at_failpoint
at = at_failpoint("5.before:" + sys.argv[1] + ":" + sys.argv[2])
for number in range(5):
    at("5.after")
    at("5.before")
    print(number, flush=True)
    if number == 1:
        Path(sys.argv[2]).touch()
print("left", flush=True)
"""


def test_nothing_happens_where_nothing_is_asked_for() -> None:
    assert at_failpoint(None) is nowhere
    assert at_failpoint("") is nowhere


def test_a_failpoint_kills_its_process_once_its_file_is_there_and_says_so(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", REACH, "kill", str(tmp_path / "armed")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert [line for line in done.stdout.splitlines() if line.isdecimal()] == ["0", "1"]
    assert "FAILPOINT ARMED" in done.stdout + done.stderr
    assert "FAILPOINT REACHED" in done.stdout + done.stderr


def test_a_process_that_a_failpoint_stopped_goes_on_when_it_is_told_to_and_is_not_stopped_again(tmp_path: Path) -> None:
    argv = [sys.executable, "-c", REACH, "pause", str(tmp_path / "armed")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status)
            process.send_signal(signal.SIGCONT)
            said, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert said.splitlines()[-1] == "left"
    assert said.count("FAILPOINT REACHED") == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("5.befor:kill", "did you mean 5.before"),
        ("5.before", "POINT:kill"),
        ("5.before:explode", "POINT:kill"),
    ],
)
def test_a_failpoint_that_is_none_is_refused_by_name(text: str, why: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(why)):
        at_failpoint(text)


@pytest.mark.parametrize("command", ["worker", "sequencer", "up"])
def test_a_misspelt_failpoint_stops_the_command_before_it_does_anything(tmp_path: Path, command: str) -> None:
    done = run_onshore(tmp_path, command, ONSHORE_FAILPOINT="9.befor:kill")
    assert done.returncode == 2
    assert "failpoint" in done.stderr
    assert not (tmp_path / ".onshore").exists()


def test_every_point_of_the_list_stands_in_the_code_and_every_one_in_the_code_on_the_list() -> None:
    said: set[str] = set()
    for file in (path for sources in SOURCES for path in sources.rglob("*.py")):
        for point in re.findall(r"\b_?at\(f?\"([^\"]+)\"\)", file.read_text()):
            named = re.compile(re.sub(r"\{\w+\}", "[a-z_]+", point).replace(".", r"\."))
            found = {known for known in POINTS if named.fullmatch(known)}
            assert found, f"{file.name}: {point} is not on the list"
            said |= found
    assert said == set(POINTS)
