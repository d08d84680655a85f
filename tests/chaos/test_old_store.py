"""Yesterday's backup is put in the store's place, and the restore of what it lacks is killed at every point."""

from __future__ import annotations

import shutil
import signal
from typing import TYPE_CHECKING

import pytest

from chaos_load import load
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix
from onshore_pipeline.failpoints import RESTORE_POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from chaos_report import Report


@pytest.mark.chaos
@pytest.mark.timeout(900)
def test_a_backup_of_yesterday_is_made_whole_though_every_restore_is_killed(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        matrix = Matrix(stack, load(6, events=400), checked=False)
        for part in ("worker", "sequencer"):
            stack.start(part)
        matrix.send()
        matrix.send()
        stack.settle(matrix.sent)
        stack.stop("store")
        shutil.copytree(stack.data.store, tmp_path / "backup", symlinks=True)
        stack.start("store")
        matrix.send()
        matrix.send()
        stack.settle(matrix.sent, within_s=90)
        for part in ("worker", "sequencer", "store"):
            stack.stop(part)
        shutil.rmtree(stack.data.store)
        shutil.copytree(tmp_path / "backup", stack.data.store, symlinks=True)
        for part in ("store", "sequencer"):
            stack.start(part)
        stack.settle(matrix.sent, rollups=False)
        assert stack.onshore("restore", "--plan").returncode == 1
        killed = []
        for point in RESTORE_POINTS:
            done = stack.onshore("restore", ONSHORE_FAILPOINT=f"{point}:kill")
            if done.returncode == -signal.SIGKILL:
                killed.append(point)
        assert len(killed) >= len(RESTORE_POINTS) // 2
        done = stack.onshore("restore", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        stack.settle(matrix.sent)
        stack.check()
        report.add(f"yesterday's backup of the store, the restore killed at {len(killed)} points", matrix.finish())
