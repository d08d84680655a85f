"""Two workers with one name on Apache Kafka: the later one works on, the earlier one says so and stops."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import time
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.broker import Advance, Outgoing, Polled
from onshore_pipeline.errors import STAYS_DOWN, NameTaken
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from running_stack import command, environment

if TYPE_CHECKING:
    from pathlib import Path


def _poll(consumer: KafkaConsumer, expect: int) -> Polled:
    """Poll until so many messages came; a member needs some polls until it has its partitions."""
    found = Polled()
    for _ in range(60):
        if len(found.messages) >= expect:
            break
        polled = consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.5)
        found = Polled(found.messages + polled.messages, found.gaps + polled.gaps)
    assert len(found.messages) == expect
    return found


def _commit(consumer: KafkaConsumer, polled: Polled) -> None:
    for each in polled.messages:
        told = {"kind": "message", "topic_id": str(each.topic_id), "partition": each.partition, "offset": each.offset}
        advance = Advance(each.topic, each.topic_id, each.partition, each.offset, each.offset + 1)
        consumer.commit([json.dumps(told).encode()], [advance])


@pytest.mark.timeout(180)
def test_the_earlier_worker_of_a_name_ends_with_one_line_and_the_later_one_goes_on(
    fresh_kafka: str, tmp_path: Path
) -> None:
    with running_pipeline(tmp_path) as pipeline:
        group = uuid4().hex[:8]
        own: dict[str, Any] = {"kafka_bootstrap_servers": fresh_kafka, "kafka_group": group}
        settings = load_settings({"data_dir": tmp_path, **own})
        folder = hashlib.sha256(str(tmp_path.resolve()).encode()).hexdigest()[:8]
        name = f"{socket.gethostname()}-{folder}-0"
        with closing(assembly.producer(settings)) as producer:
            producer.send("otlp_logs", [Outgoing(otlp.logs([otlp.movement()]))])
            asked = command("worker", "--data-dir", str(tmp_path), "--store-url", pipeline.url)
            flags = {f"ONSHORE_{key.upper()}": str(value) for key, value in own.items()}
            earlier = subprocess.Popen(asked, env=environment(**flags), stderr=subprocess.PIPE, text=True)
            try:
                with closing(assembly.entry_reader(settings)) as log:  # it is a member, and at work
                    assert any(log.read(after={}, max_entries=1, timeout_s=5.0) for _ in range(12))
                kafka = replace(assembly.kafka(settings, name), look_for_topics_s=0.2)
                with closing(KafkaConsumer(kafka)) as later:
                    until = time.monotonic() + 90
                    while earlier.poll() is None and time.monotonic() < until:  # joins, and stays a member
                        assert later.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.5) == Polled()
                    _, said = earlier.communicate(timeout=10)
                    assert earlier.returncode == STAYS_DOWN
                    (line,) = [each for each in said.splitlines() if each.startswith("onshore: ")]
                    assert name in line
                    assert "ONSHORE_DATA_DIR" in line
                    producer.send("otlp_logs", [Outgoing(b"second")])
                    _commit(later, _poll(later, 1))
            finally:
                earlier.kill()
                earlier.wait()
        status = json.loads(DataDir(tmp_path).worker_status.read_text())
        assert (status["state"], name in status["stopped_because"]) == ("stopped", True)


def test_one_that_is_refused_learns_it_before_it_could_fence_the_other(fresh_kafka: str, tmp_path: Path) -> None:
    settings = load_settings(
        {"data_dir": tmp_path, "kafka_bootstrap_servers": fresh_kafka, "kafka_group": uuid4().hex[:8]}
    )
    kafka = replace(assembly.kafka(settings, "same-name"), look_for_topics_s=30.0)
    with (
        closing(assembly.producer(settings)) as producer,
        closing(KafkaConsumer(kafka)) as earlier,
        closing(KafkaConsumer(kafka)) as later,
    ):
        producer.send("otlp_logs", [Outgoing(b"first")])
        _commit(earlier, _poll(earlier, 1))
        producer.send("otlp_logs", [Outgoing(b"second")])
        polled = _poll(later, 1)
        earlier.rewind()  # what a worker does when a commit was refused
        with pytest.raises(NameTaken, match="same-name"):
            earlier.poll(max_messages=1, max_bytes=1, timeout_s=0.1)
        _commit(later, polled)
