"""A short run of the fuzzer, and everything that longer runs found."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from same_frames import TOPICS, assert_equal_where_accepted

HERE = Path(__file__).parent


def test_what_was_found_once_is_read_alike() -> None:
    for file in sorted((HERE / "found").glob("*")):
        data = file.read_bytes()
        assert_equal_where_accepted(list(TOPICS)[data[0] % len(TOPICS)], data[1:])


@pytest.mark.alone  # what takes ten seconds on a crowded machine would be called a slow input
def test_ten_seconds_of_fuzzing_find_nothing(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this Python or system")
    command = [sys.executable, str(HERE / "fuzz_wire.py"), "--seconds", "10"]
    command += ["--corpus", str(tmp_path / "corpus"), "--keep", str(tmp_path / "found")]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    assert "DONE" in run.stderr
    assert not list((tmp_path / "found").iterdir())
