"""kill -9 at every point of the commit protocol, on the local log: all of it is there, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import checked_failpoints as suite
from chaos_stack import chaos_stack
from failpoint_matrix import SEQUENCING_POINTS, Matrix
from onshore_pipeline.failpoints import WORKER_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chaos_report import Report


@pytest.fixture(scope="module")
def chained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("failpoints")) as stack:
        yield Matrix(stack, suite.play(), checked=False)


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("checked")) as stack:
        yield Matrix(stack, suite.play())


@pytest.fixture
def where() -> str:
    return "local log"


@pytest.mark.quick
@pytest.mark.parametrize("point", WORKER_POINTS)
def test_workers_die_at_one_point_after_the_other(chained: Matrix, point: str) -> None:
    chained.kill_worker(point)


@pytest.mark.quick
@pytest.mark.parametrize("point", SEQUENCING_POINTS)
def test_sequencers_die_at_one_point_after_the_other(chained: Matrix, point: str) -> None:
    chained.kill_sequencer(point)


@pytest.mark.quick
def test_and_then_everything_is_there_once_and_as_planted(chained: Matrix, report: Report) -> None:
    report.add("every failpoint, local log, each successor killed too", chained.finish())


test_a_worker_that_dies_there_loses_and_doubles_nothing = suite.test_a_worker_that_dies_there_loses_and_doubles_nothing
test_a_sequencer_that_dies_there_loses_and_doubles_nothing = (
    suite.test_a_sequencer_that_dies_there_loses_and_doubles_nothing
)
test_and_after_each_of_them_everything_is_as_planted = suite.test_and_after_each_of_them_everything_is_as_planted
