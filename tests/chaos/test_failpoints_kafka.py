"""kill -9 at every point of the commit protocol, on Apache Kafka: all of it is there, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import checked_failpoints as suite
from apache_kafka import delete_topics
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apache_kafka import KafkaCluster

test_a_worker_that_dies_there_loses_and_doubles_nothing = suite.test_a_worker_that_dies_there_loses_and_doubles_nothing
test_a_sequencer_that_dies_there_loses_and_doubles_nothing = (
    suite.test_a_sequencer_that_dies_there_loses_and_doubles_nothing
)
test_and_after_each_of_them_everything_is_as_planted = suite.test_and_after_each_of_them_everything_is_as_planted


@pytest.fixture(scope="module")
def matrix(kafka_cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    delete_topics(kafka_cluster.bootstrap)  # a log belongs to one store
    with chaos_stack(tmp_path_factory.mktemp("apache"), kafka_cluster.bootstrap) as stack:
        yield Matrix(stack, suite.play())


@pytest.fixture
def where() -> str:
    return "Apache Kafka"
