"""The tests of a matrix that is checked after each kill; a test file has them beside its own `matrix` and `where`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from chaos_load import load
from failpoint_matrix import SEQUENCING_POINTS
from onshore_pipeline.failpoints import WORKER_POINTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chaos_load import Load
    from chaos_report import Report
    from failpoint_matrix import Matrix

ALL_POINTS: Final = (*WORKER_POINTS, *SEQUENCING_POINTS)


def play(points: Sequence[str] = ALL_POINTS) -> Load:
    """A round for every point, and two for the end."""
    return load(len(points) + 2, events=600)


def finished(matrix: Matrix, where: str, report: Report, points: Sequence[str] = ALL_POINTS, of: str = "") -> None:
    """Each point killed once, and after all of it everything is as planted."""
    assert sorted(matrix.killed) == sorted(points)
    report.add(f"every failpoint{of}, {where}, checked after each", matrix.finish())


@pytest.mark.chaos
@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_that_dies_there_loses_and_doubles_nothing(matrix: Matrix, point: str) -> None:
    matrix.kill_worker(point)
    assert matrix.killed[-1] == point


@pytest.mark.chaos
@pytest.mark.parametrize("point", SEQUENCING_POINTS)
def test_a_sequencer_that_dies_there_loses_and_doubles_nothing(matrix: Matrix, point: str) -> None:
    matrix.kill_sequencer(point)
    assert matrix.killed[-1] == point


@pytest.mark.chaos
def test_and_after_each_of_them_everything_is_as_planted(matrix: Matrix, where: str, report: Report) -> None:
    finished(matrix, where, report)
