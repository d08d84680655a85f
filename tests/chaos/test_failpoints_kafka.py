"""kill -9 at the points of the commit protocol, on Kafka: on Tansu, and on Apache Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from chaos_load import load
from chaos_stack import chaos_stack
from failpoint_matrix import Matrix
from onshore_pipeline.failpoints import SEQUENCER_POINTS, WORKER_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from apache_kafka import KafkaCluster
    from chaos_report import Report

ALL: Final = WORKER_POINTS + SEQUENCER_POINTS
pytestmark = pytest.mark.chaos


@pytest.fixture(scope="module")
def apache(kafka_cluster: KafkaCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("apache"), kafka_cluster.bootstrap) as stack:
        yield Matrix(stack, load(len(ALL) + 2, events=600), checked=False)


@pytest.fixture(scope="module")
def tansu(tansu_bootstrap: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Matrix]:
    with chaos_stack(tmp_path_factory.mktemp("tansu"), tansu_bootstrap) as stack:
        yield Matrix(stack, load(len(ALL) + 2, events=600), checked=False)


def _kill(matrix: Matrix, point: str) -> None:
    if point in WORKER_POINTS:
        matrix.kill_worker(point)
    else:
        matrix.kill_sequencer(point)


@pytest.mark.parametrize("point", ALL)
def test_parts_die_at_one_point_after_the_other_on_apache_kafka(apache: Matrix, point: str) -> None:
    _kill(apache, point)


def test_and_then_everything_is_there_once_on_apache_kafka(apache: Matrix, report: Report) -> None:
    report.add("failpoints, Apache Kafka", apache.finish())


@pytest.mark.parametrize("point", ALL)
def test_parts_die_at_one_point_after_the_other_on_tansu(tansu: Matrix, point: str) -> None:
    _kill(tansu, point)


def test_and_then_everything_is_there_once_on_tansu(tansu: Matrix, report: Report) -> None:
    report.add("failpoints, Tansu (the broker stays up)", tansu.finish())
