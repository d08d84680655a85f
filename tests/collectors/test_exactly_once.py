"""Files arrive once, whoever is killed when: collector and receiver are processes, ended by -9."""

from __future__ import annotations

import json
import random
import shutil
import signal
import time
from typing import TYPE_CHECKING

import pytest

from cloudtrail_texts import log_file, text_of
from file_collecting import Collecting, collecting, killed
from onshore_pipeline.failpoints import COLLECTING_POINTS, RECEIVING_POINTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NUMBERS = range(3000)  # six requests


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Collecting]:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.json").write_bytes(log_file(*text_of(*NUMBERS[:2000])))
    (tmp_path / "logs" / "b.jsonl").write_text("\n".join(text_of(*NUMBERS[2000:])))
    with collecting(tmp_path) as both:
        yield both


@pytest.mark.parametrize("point", COLLECTING_POINTS)
@pytest.mark.parametrize("again", [1, 3])
def test_a_collector_that_is_killed_at_any_point_sends_nothing_twice(both: Collecting, point: str, again: int) -> None:
    both.start_receiver()
    logs = both.folder / "logs"
    for _ in range(again):
        dying = both.collect("cloudtrail", logs, "--failpoint", f"{point}:kill")
        dying.communicate(timeout=30)
        assert dying.returncode == -signal.SIGKILL
    report = both.finish("cloudtrail", logs)
    assert report["resent"] > 0
    assert both.bodies() == text_of(*NUMBERS)
    assert both.finish("cloudtrail", logs)["sent"] == 0


@pytest.mark.parametrize("point", RECEIVING_POINTS)
def test_a_receiver_that_is_killed_at_any_point_loses_and_doubles_nothing(both: Collecting, point: str) -> None:
    both.start_receiver("--failpoint", f"{point}:kill")
    running = both.collect("cloudtrail", both.folder / "logs")
    assert both.wait_for_receivers_end() == -signal.SIGKILL
    both.start_receiver()
    out, errors = running.communicate(timeout=60)
    assert running.returncode == 0, errors
    assert json.loads(out)["sent"] == len(NUMBERS)
    assert both.bodies() == text_of(*NUMBERS)


def test_random_kills_of_both_lose_and_double_nothing(both: Collecting) -> None:
    drawn = random.Random(7)
    both.start_receiver()
    logs, kills = both.folder / "logs", 0
    for _ in range(8):
        running = both.collect("cloudtrail", logs, "--rate", "2000")
        time.sleep(drawn.uniform(0.4, 1.4))  # the moment is what is drawn
        if drawn.random() < 0.5:
            both.kill_receiver()
            both.start_receiver()
        kills += killed(running)
    assert kills > 0
    both.finish("cloudtrail", logs)
    assert both.bodies() == text_of(*NUMBERS)


def test_positions_from_a_backup_are_refused_where_later_ones_were_sent(both: Collecting) -> None:
    both.start_receiver()
    logs, data = both.folder / "logs", both.folder / "data"
    both.finish("cloudtrail", logs / "a.json")
    shutil.copytree(data, both.folder / "backup")
    both.finish("cloudtrail", logs / "b.jsonl")
    shutil.rmtree(data)
    shutil.copytree(both.folder / "backup", data)
    refused = both.collect("cloudtrail", logs)
    _, errors = refused.communicate(timeout=30)
    assert refused.returncode == 2
    assert b"older than what was sent from here" in errors
    assert both.bodies() == text_of(*NUMBERS)
