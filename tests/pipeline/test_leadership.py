"""One sequencer leads, another stands by and takes over."""

from __future__ import annotations

import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.kafka_topics import ensure_topics
from onshore_pipeline.leadership import lead_by_group, lead_by_lock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_S = 40

BY_LOCK = """
import sys, threading
from pathlib import Path
from onshore_pipeline.leadership import lead_by_lock
with lead_by_lock(Path(sys.argv[1]), threading.Event()):
    print("leads", flush=True)
    threading.Event().wait()
"""
BY_GROUP = """
import sys, threading
from onshore_pipeline.kafka_security import KafkaSettings
from onshore_pipeline.leadership import lead_by_group
settings = KafkaSettings(bootstrap_servers=(sys.argv[1],), group_id=sys.argv[2], session_timeout_s=6.0)
with lead_by_group(settings, threading.Event()):
    print("leads", flush=True)
    threading.Event().wait()
"""


@contextmanager
def leader(code: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that leads."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "leads\n"
            yield process
        finally:
            process.kill()


def test_on_one_machine_a_standby_takes_over_when_the_leader_is_killed(tmp_path: Path) -> None:
    lock = tmp_path / "sequencer.lock"
    leads, stop = threading.Event(), threading.Event()

    def stand_by() -> None:
        with lead_by_lock(lock, stop):
            leads.set()

    with leader(BY_LOCK, str(lock)) as other:
        standby = threading.Thread(target=stand_by)
        standby.start()
        assert not leads.wait(1)
        other.kill()
        assert leads.wait(PATIENCE_S)
        standby.join()


def test_a_standby_that_is_stopped_leaves(tmp_path: Path) -> None:
    lock, stop = tmp_path / "sequencer.lock", threading.Event()
    with leader(BY_LOCK, str(lock)):
        threading.Timer(0.3, stop.set).start()
        with lead_by_lock(lock, stop) as over:
            assert over.is_set()


def test_on_kafka_a_standby_takes_over_when_the_leader_is_killed(fresh_kafka: str) -> None:
    settings = KafkaSettings(bootstrap_servers=(fresh_kafka,), group_id="leadership", session_timeout_s=6.0)
    ensure_topics(settings)
    leads, stop = threading.Event(), threading.Event()
    ended = threading.Event()

    def stand_by() -> None:
        with lead_by_group(settings, stop) as over:
            if not over.is_set():
                leads.set()
            over.wait()
            ended.set()

    with leader(BY_GROUP, fresh_kafka, "leadership") as other:
        standby = threading.Thread(target=stand_by)
        standby.start()
        assert not leads.wait(4)
        other.kill()
        assert leads.wait(PATIENCE_S)
        assert not ended.is_set()
        stop.set()
        standby.join(PATIENCE_S)
        assert ended.is_set()
