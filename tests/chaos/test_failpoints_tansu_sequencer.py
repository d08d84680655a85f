"""kill -9 of sequencers at every point of the commit protocol, on Tansu: all of it is there, once.

Each waits for Tansu's group sessions to end, so that workers and sequencers have a deployment of their own each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import checked_failpoints as suite
from chaos_stack import chaos_stack
from failpoint_matrix import SEQUENCING_POINTS, Matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_report import Report

test_a_sequencer_that_dies_there_loses_and_doubles_nothing = (
    suite.test_a_sequencer_that_dies_there_loses_and_doubles_nothing
)


@pytest.fixture(scope="module")
def matrix(tansu_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("tansu"), tansu_bootstrap) as stack:
        yield Matrix(stack, suite.play(SEQUENCING_POINTS))


@pytest.mark.chaos
def test_and_after_each_of_them_everything_is_as_planted(matrix: Matrix, report: Report) -> None:
    suite.finished(matrix, "Tansu (the broker stays up)", report, SEQUENCING_POINTS, " of the sequencer")
