"""A process in a share of a core gets no more of it; where there are no control groups that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.bench import core_share
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path

_SPIN = """
import sys, time
print("ready", flush=True)
sys.stdin.readline()
wall, cpu = time.perf_counter(), time.process_time()
while time.perf_counter() - wall < 1: pass
print((time.process_time() - cpu) / (time.perf_counter() - wall))
"""


def test_a_process_gets_its_share_and_no_more() -> None:
    try:
        with (
            core_share.core_share("test", 0.2) as share,
            subprocess.Popen([sys.executable, "-c", _SPIN], stdin=-1, stdout=-1, text=True) as process,
        ):
            assert process.stdout is not None
            process.stdout.readline()
            share.hold(process.pid)
            got = float(process.communicate("\n")[0])
    except OnshoreError as error:
        # Not every machine lets us: then that is what must be said, and nothing else.
        if "cannot be held to a share of a core" not in str(error):
            raise
        return
    assert 0 < got < 0.3


def test_where_the_kernel_has_none_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_share, "_FOLDERS", (tmp_path / "none",))
    with pytest.raises(OnshoreError, match="cannot be held to a share"), core_share.core_share("test", 0.2):
        pass


def test_where_none_can_be_made_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_share, "_FOLDERS", (tmp_path,))
    (tmp_path / f"onshore-bench-{os.getpid()}-test").mkdir()  # as good as a kernel that refuses
    with pytest.raises(OnshoreError, match="cannot be held to a share"), core_share.core_share("test", 0.2):
        pass
