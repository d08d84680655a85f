"""Yesterday's backup is put in the store's place, and the restore of what it lacks is killed at every point."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from apache_kafka import delete_topics
from chaos_load import SMALL, Play, load
from chaos_stack import ChaosStack, chaos_stack
from onshore_pipeline.failpoints import RESTORE_POINTS
from onshore_pipeline.jobs.deleting import delete
from onshore_pipeline.jobs.sweep import FACT_TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from apache_kafka import KafkaCluster
    from chaos_report import Report

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(900)]
# Reached once rows were written again; what comes behind is reached by every restore.
_WRITING = RESTORE_POINTS[RESTORE_POINTS.index("9.hidden") : RESTORE_POINTS.index("9.shown") + 1]


def test_a_backup_of_yesterday_is_made_whole_though_every_restore_is_killed(tmp_path: Path, report: Report) -> None:
    found = made_whole(tmp_path)
    report.add("yesterday's backup of the store, local log, the restore killed at every point", found)


def test_a_backup_of_yesterday_is_made_whole_on_tansu(tmp_path: Path, fresh_tansu: str, report: Report) -> None:
    found = made_whole(tmp_path, fresh_tansu)
    report.add("yesterday's backup of the store, Tansu, the restore killed at every point", found)


def test_a_backup_of_yesterday_is_made_whole_on_apache_kafka(
    tmp_path: Path, kafka_cluster: KafkaCluster, report: Report
) -> None:
    delete_topics(kafka_cluster.bootstrap)
    found = made_whole(tmp_path, kafka_cluster.bootstrap)
    report.add("yesterday's backup of the store, Apache Kafka, the restore killed at every point", found)


def made_whole(folder: Path, bootstrap: str = "") -> str:
    with chaos_stack(folder, bootstrap) as stack:
        play = Play(stack.producer, load(5, events=SMALL))
        for part in ("worker", "sequencer"):
            stack.start(part)
        backup = yesterday(stack, play)
        for _ in range(2):
            play.send()
        stack.settle(play.sent)
        for part in ("worker", "sequencer", "store"):
            stack.stop(part)
        shutil.rmtree(stack.data.store)
        shutil.copytree(backup, stack.data.store, symlinks=True)
        for part in ("store", "sequencer"):
            stack.start(part)
        stack.settle(play.sent, rollups=False)
        lost = missing(stack)
        assert lost > 0
        assert stack.onshore("restore", "--plan").returncode == 1
        for point in RESTORE_POINTS:
            if point in _WRITING:
                forget_an_attempt(stack)
            stack.dies(point, "restore")
        done = stack.onshore("restore", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert missing(stack) == 0
        stack.start("worker")
        play.send_rest()
        stack.settle(play.sent)
        contents = stack.check()
        stack.check_truth(play.load.truth)
        return f"{lost} messages' rows lacked; {len(RESTORE_POINTS)} kills; {contents.count} messages; {play}"


def yesterday(stack: ChaosStack, play: Play) -> Path:
    """A copy of the store, taken while it stands still with two rounds worked off."""
    for _ in range(2):
        play.send()
    stack.settle(play.sent)
    stack.stop("store")
    backup = stack.folder / "backup"
    shutil.copytree(stack.data.store, backup, symlinks=True)
    stack.start("store")
    return backup


def missing(stack: ChaosStack) -> int:
    """Messages with events in their entry, and none in the store."""
    return int(
        stack.one(
            "SELECT uniqExact(topic_id, partition, offset) FROM evidence_log WHERE events > 0 AND"
            " (topic_id, partition, offset) NOT IN (SELECT topic_id, kafka_partition, kafka_offset FROM events)"
        )
    )


def forget_an_attempt(stack: ChaosStack) -> None:
    """The rows of one committed attempt are gone, so that there is something to write again."""
    attempt = stack.one("SELECT any(attempt_id) FROM evidence_log WHERE kind = 'message' AND events > 0")
    for table in FACT_TABLES:
        delete(stack.client, table, f"attempt_id = '{attempt}'")
