"""kill -9 at every point of the commit protocol, on Tansu: all of it is there, once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from chaos_load import load
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix
from onshore_pipeline.failpoints import SEQUENCER_POINTS, WORKER_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_report import Report

ALL: Final = WORKER_POINTS + SEQUENCER_POINTS
pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def matrix(tansu_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("tansu"), tansu_bootstrap) as stack:
        yield Matrix(stack, load(len(ALL) + 2, events=600))


@pytest.mark.parametrize("point", WORKER_POINTS)
def test_a_worker_that_dies_there_loses_and_doubles_nothing(matrix: Matrix, point: str) -> None:
    matrix.kill_worker(point)


@pytest.mark.parametrize("point", SEQUENCER_POINTS)
def test_a_sequencer_that_dies_there_loses_and_doubles_nothing(matrix: Matrix, point: str) -> None:
    matrix.kill_sequencer(point)


def test_and_after_each_of_them_everything_is_as_planted(matrix: Matrix, report: Report) -> None:
    report.add("every failpoint, Tansu (the broker stays up), checked after each", matrix.finish())
