"""kill -9 at every point of the commit protocol, on Tansu: all of it is there, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import checked_failpoints as suite
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

test_a_worker_that_dies_there_loses_and_doubles_nothing = suite.test_a_worker_that_dies_there_loses_and_doubles_nothing
test_a_sequencer_that_dies_there_loses_and_doubles_nothing = (
    suite.test_a_sequencer_that_dies_there_loses_and_doubles_nothing
)
test_and_after_each_of_them_everything_is_as_planted = suite.test_and_after_each_of_them_everything_is_as_planted


@pytest.fixture(scope="module")
def matrix(tansu_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("tansu"), tansu_bootstrap) as stack:
        yield Matrix(stack, suite.play())


@pytest.fixture
def where() -> str:
    return "Tansu (the broker stays up)"
