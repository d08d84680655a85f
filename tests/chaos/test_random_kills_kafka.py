"""kill -9 of any part at any moment, Apache Kafka's broker too, while senders send."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING

import pytest

from apache_kafka import KafkaCluster, KafkaUnavailable, running_kafka
from chaos_stack import chaos_stack
from random_kills import RandomKills

if TYPE_CHECKING:
    from pathlib import Path

    from chaos_report import Report


pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
PARTS = ("worker", "worker-2", "sequencer", "sequencer-2", "receiver")
WEIGHTS = {"worker-2": 0.5, "sequencer": 0.5, "sequencer-2": 0.5, "broker": 0.5}


def on_apache_kafka(folder: Path, kills: int, within_s: float) -> str:
    seed = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))
    with running_kafka(folder / "kafka") as cluster, chaos_stack(folder / "stack", cluster.bootstrap) as stack:
        chaos = RandomKills(stack, seed, PARTS, more={"broker": lambda: restart(cluster)}, weights=WEIGHTS)
        try:
            chaos.run(kills, within_s)
            cluster.wait_until_ready()
            return f"seed {chaos.seed}: {chaos.finish()}"
        finally:
            chaos.stop()


def restart(cluster: KafkaCluster) -> None:
    """The broker dies and starts again, on the data that is there."""
    (broker,) = cluster.brokers
    broker.kill()
    broker.start()


@pytest.mark.quick
@pytest.mark.timeout(300)
def test_a_dozen_random_kills_on_apache_kafka(tmp_path: Path, report: Report) -> None:
    try:
        report.add("12 random kills, Apache Kafka", on_apache_kafka(tmp_path, 12, 240))
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))


@pytest.mark.chaos
@pytest.mark.timeout(1800)
def test_random_kills_by_the_dozens_on_apache_kafka(tmp_path: Path, report: Report) -> None:
    try:
        kills = int(os.environ.get("CHAOS_KILLS", "90"))  # two hundred with those on the local log
        report.add(f"{kills} random kills, Apache Kafka", on_apache_kafka(tmp_path, kills, 1500))
    except KafkaUnavailable as missing:
        pytest.skip(str(missing))
