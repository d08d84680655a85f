"""Messages that a broker takes and a client cannot read: on a real Apache Kafka, with real workers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import kafka as library
import pytest

import otlp_messages as otlp
from apache_kafka import running_kafka
from chaos_stack import chaos_stack
from onshore_pipeline.broker import Advance, Gap, Message, Polled
from onshore_pipeline.errors import PartitionDamaged
from running_stack import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from onshore_pipeline.kafka_security import KafkaSettings

MOST_MIB: Final = 160


class BadName(str):
    """A header's name whose bytes are no UTF-8."""

    __slots__ = ()

    def encode(self, *_: object) -> bytes:
        return b"key\xff"


def settings(bootstrap: str) -> KafkaSettings:
    from onshore_pipeline.kafka_security import KafkaSettings
    from onshore_pipeline.kafka_topics import ensure_topics

    own = uuid4().hex[:8]
    made = KafkaSettings(
        (bootstrap,),
        topics=("otlp_logs", "otlp_spans"),
        group_id=own,
        transactional_id_prefix=own,
        request_timeout_s=10.0,
        session_timeout_s=6.0,
        max_poll_interval_s=30.0,
    )
    ensure_topics(made)
    return made


@contextmanager
def sender(bootstrap: str, **options: Any) -> Iterator[Any]:
    with closing(library.KafkaProducer(bootstrap_servers=bootstrap, **options)) as producer:
        yield producer
        producer.flush(60)


def send_poison(bootstrap: str, topic: str = "otlp_logs", value: bytes = b"poison") -> None:
    with sender(bootstrap) as producer:
        producer.send(topic, value=value, headers=[(BadName("k"), b"1")], partition=0).get(10)


def poll(consumer: Any, expect: int, within_s: float = 20.0, max_bytes: int = 1 << 20) -> Polled:
    messages: list[Message] = []
    gaps: list[Gap] = []
    deadline = time.monotonic() + within_s
    while len(messages) < expect and time.monotonic() < deadline:
        polled = consumer.poll(max_messages=100, max_bytes=max_bytes, timeout_s=0.2)
        messages += polled.messages
        gaps += polled.gaps
    return Polled(tuple(messages), tuple(gaps))


def test_a_header_name_that_is_no_utf_8_is_a_message_like_the_others(fresh_kafka: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_messages import KafkaMessageReader

    kafka = settings(fresh_kafka)
    with sender(fresh_kafka) as producer:
        producer.send("otlp_logs", value=b"good 0").get(10)
        send_poison(fresh_kafka)
        producer.send("otlp_logs", value=b"good 2").get(10)
    with closing(KafkaConsumer(kafka)) as consumer:
        messages = poll(consumer, 3).messages
        assert [each.value for each in messages] == [b"good 0", b"poison", b"good 2"]
        assert messages[1].headers == (("key\\xff", b"1"),)
    with closing(KafkaMessageReader(kafka)) as reader:
        kept = next(each for each in reader.retained() if each.topic == "otlp_logs")
        assert reader.read(kept, 0, 3, max_bytes=1 << 20) == messages


def test_an_empty_poll_after_poison_does_not_hang_and_other_partitions_go_on(fresh_kafka: str) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer

    kafka = settings(fresh_kafka)
    with closing(KafkaConsumer(kafka)) as consumer:
        for _ in range(3):
            send_poison(fresh_kafka)
            send_poison(fresh_kafka, "otlp_spans")
            assert len(poll(consumer, 2).messages) == 2
            began = time.monotonic()
            assert consumer.poll(max_messages=10, max_bytes=1 << 20, timeout_s=0.2) == Polled()
            assert time.monotonic() - began < 5


def test_a_worker_commits_poison_and_leaves_when_it_is_told_to(fresh_kafka: str, tmp_path: Path) -> None:
    settings(fresh_kafka)
    with chaos_stack(tmp_path, fresh_kafka) as stack:
        for part in ("worker", "sequencer"):
            stack.start(part)
        good = otlp.logs([otlp.movement()])
        send_poison(fresh_kafka, value=b"\x0anothing that is OTLP")
        send_poison(fresh_kafka, value=good)
        with sender(fresh_kafka) as producer:
            producer.send("otlp_logs", value=good, partition=0).get(10)
        wait_until(lambda: stack.logged() == 3, "three messages are in the evidence log")
        wait_until(lambda: stack.one("SELECT count() FROM events_current") == 2, "two events can be seen")
        assert stack.one("SELECT count() FROM dead_letters_current") == 1
        worker = stack.parts["worker"]
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(20) == 0


WORKER_THAT_HANGS: Final = """
import signal, sys, time
from onshore_pipeline.commands import serve
serve._stopped_by_signal()
print("ready", flush=True)
while True:  # as a client's loop that never ends
    pass
"""


def test_sigterm_ends_a_part_that_hangs() -> None:
    command = [sys.executable, "-c", WORKER_THAT_HANGS]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as hanging:
        assert hanging.stdout is not None
        assert hanging.stdout.readline() == b"ready\n"
        hanging.send_signal(signal.SIGTERM)
        try:
            assert hanging.wait(25) == 1
        finally:
            hanging.kill()
        assert b"left without a clean end" in hanging.stdout.read()


MEASURED: Final = """
import sys, time
from onshore_pipeline.kafka_broker import KafkaConsumer
from onshore_pipeline.kafka_security import KafkaSettings
settings = KafkaSettings((sys.argv[1],), topics=("otlp_logs",), group_id="measured", request_timeout_s=10.0)
consumer = KafkaConsumer(settings)
offsets, largest, deadline = [], 0, time.monotonic() + 60
while len(offsets) < int(sys.argv[2]) and time.monotonic() < deadline:
    polled = consumer.poll(max_messages=400, max_bytes=12 << 20, timeout_s=0.2)
    offsets += [each.offset for each in polled.messages]
    largest = max(largest, sum(len(each.value) for each in polled.messages))
    del polled
assert offsets == list(range(int(sys.argv[2]))), offsets
with open("/proc/self/status") as status:  # getrusage would tell what the parent had before
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print(largest >> 20, peak >> 10)
consumer.close()
"""


@pytest.mark.parametrize("codec", ["gzip", "lz4", "zstd"])
def test_a_batch_that_unpacks_to_hundreds_of_mib_is_polled_in_bounded_memory_with_nothing_lost(
    fresh_kafka: str, codec: str
) -> None:
    settings(fresh_kafka)
    options = {"max_request_size": 1 << 30, "batch_size": 1 << 28, "linger_ms": 2000}
    with sender(fresh_kafka, compression_type=codec, **options) as producer:
        sent = [producer.send("otlp_logs", value=bytes(10 << 20), partition=0) for _ in range(30)]
        producer.flush(60)
        assert sent[-1].get(60).offset == 29
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, fresh_kafka, "30"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    largest, peak = map(int, done.stdout.split())
    assert largest <= 22
    assert peak < MOST_MIB, f"{peak} MiB"


def test_a_message_beyond_the_ceiling_becomes_a_dead_letter_and_what_is_behind_it_an_event(
    fresh_kafka: str, tmp_path: Path
) -> None:
    settings(fresh_kafka)
    with sender(fresh_kafka, compression_type="zstd", max_request_size=1 << 30, batch_size=1 << 28) as producer:
        producer.send("otlp_logs", value=bytes(100 << 20), partition=0).get(60)
        producer.send("otlp_logs", value=otlp.logs([otlp.movement()]), partition=0).get(10)
    with chaos_stack(tmp_path, fresh_kafka) as stack:
        for part in ("worker", "sequencer"):
            stack.start(part)
        wait_until(lambda: stack.logged() == 2, "both messages are in the evidence log", 60)
        wait_until(lambda: stack.one("SELECT count() FROM events_current") == 1, "the event can be seen")
        assert stack.one("SELECT stage FROM dead_letters_current") == "decode"
        assert "more than 67,108,864" in stack.one("SELECT reason FROM dead_letters_current")
        assert stack.one("SELECT records FROM evidence_log WHERE offset = 0") == 1
        letter = str(stack.one("SELECT toString(dead_letter_id) FROM dead_letters_current"))
        replayed = stack.onshore("dead-letters", "replay", letter, "--as", "me", "--reason", "try")
        assert replayed.returncode == 1, replayed.stdout + replayed.stderr
        assert stack.one("SELECT count() FROM events_current") == 1


def damaged_log(folder: Path) -> Path:
    """The file of the topic's only segment."""
    return next((folder / "broker-1" / "data" / "otlp_logs-0").glob("*.log"))


def damage(file: Path, value: bytes) -> None:
    """Change one byte of a value that was written."""
    data = bytearray(file.read_bytes())
    data[data.index(value)] ^= 0xFF
    file.write_bytes(data)


def test_a_batch_that_the_broker_damaged_stops_the_worker_by_name_and_going_on_behind_it_is_a_finding(
    tmp_path: Path,
) -> None:
    from onshore_pipeline.kafka_broker import KafkaConsumer
    from onshore_pipeline.kafka_topics import admin_client

    with running_kafka(tmp_path / "kafka") as cluster:
        kafka = settings(cluster.bootstrap)
        with sender(cluster.bootstrap) as producer:
            for value in (b"whole 0", b"damaged 1", b"whole 2"):
                producer.send("otlp_logs", value=value, partition=0).get(10)
        cluster.brokers[0].stop()
        damage(damaged_log(tmp_path / "kafka"), b"damaged 1")
        cluster.start()
        with closing(KafkaConsumer(kafka)) as consumer:
            first = poll(consumer, 1)
            assert [each.value for each in first.messages] == [b"whole 0"]
            with pytest.raises(PartitionDamaged, match=r"otlp_logs\[0\] cannot be read on from offset 1.*crc"):
                poll(consumer, 1)
            message = first.messages[0]
            advance = Advance("otlp_logs", message.topic_id, 0, 0, 1)
            entry = b'{"kind":"message","offset":0,"partition":0,"topic_id":"%s"}' % str(message.topic_id).encode()
            consumer.commit([entry], [advance])
        with admin_client(kafka) as admin:
            admin.delete_records({library.TopicPartition("otlp_logs", 0): 2})
        with closing(KafkaConsumer(kafka)) as consumer:
            rest = poll(consumer, 1)
        assert [each.value for each in rest.messages] == [b"whole 2"]
        assert rest.gaps == (Gap("otlp_logs", message.topic_id, 0, 1, 2, empty=0),)


def test_a_worker_that_met_damage_commits_what_is_in_front_and_stays_down(tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as cluster:
        settings(cluster.bootstrap)
        good, bad = otlp.logs([otlp.movement()]), otlp.logs([otlp.movement(data_set="to-be-damaged")])
        with sender(cluster.bootstrap) as producer:
            for value in (good, good, bad):
                producer.send("otlp_logs", value=value, partition=0).get(10)
        cluster.brokers[0].stop()
        damage(damaged_log(tmp_path / "kafka"), b"to-be-damaged")
        cluster.start()
        with chaos_stack(tmp_path / "stack", cluster.bootstrap) as stack:
            stack.start("sequencer")
            worker = stack.start("worker", wait=False)
            assert worker.wait(60) == 3
            assert "otlp_logs[0] cannot be read on from offset 2" in stack.said("worker")
            wait_until(lambda: stack.logged() == 2, "what is in front is committed")
            assert "otlp_logs[0] cannot be read on" in stack.onshore("status").stdout
