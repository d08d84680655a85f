"""A windows' job that dies anywhere leaves nothing wrong: the next run says what one that never died says."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.failpoints import WINDOW_POINTS
from onshore_pipeline.jobs.windowed import Windows, forget
from onshore_pipeline.sequencer import Sequencer

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY: Final = (datetime.now(UTC) - timedelta(days=5)).replace(hour=0, minute=0, second=0, microsecond=0)
CONTROLS: Final = load_controls()
# Judges until it is killed at a point, or until there is nothing more to do.
JUDGE: Final = """
import sys
from onshore_pipeline import assembly
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.jobs.windowed import Windows
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.settings import load_settings
folder, url, point, now = sys.argv[1:]
settings = load_settings({"data_dir": folder, "geoip_dir": folder + "/no-geoip"})
client = assembly.store_client(settings, url)
sequencer = Sequencer(assembly.entry_reader(settings), client)
windows = Windows(client, lambda: load_controls().windowed, clock=lambda: int(now), at=at_failpoint(point + ":kill"))
windows.judge(sequencer.position, sequencer.log_id)
"""


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("killed") / "data") as running:
        yield running


class Clock:
    """Moves on by as much as makes the next run look for what is over."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> int:
        self.now += timedelta(seconds=20)
        return int(self.now.timestamp() * 1e9)


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


def send(pipeline: Pipeline, number: int) -> None:
    """Exports of two people, one that does not say whose it is now and then, and a backup."""
    at_ns = int((DAY + timedelta(minutes=7 * number)).timestamp()) * 10**9
    size, action = 300_000_000_000, "data.export"
    told = [
        otlp.movement(actor_id=actor, data_bytes=size, action=action)
        for actor in (f"person {number % 2}", "kim", "lee")
    ]
    if number % 4 == 0:
        told[2].pop("onshore.actor.id")
    told.append(otlp.movement(action="backup.write", data_set="claims"))
    pipeline.send("otlp_logs", [otlp.logs(told, at_ns=at_ns)], tenant=f"tenant {number % 3}")
    pipeline.work()
    pipeline.sequence()


def judge(pipeline: Pipeline, clock: Clock) -> int:
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    windows = Windows(pipeline.client, lambda: CONTROLS.windowed, clock=clock)
    changed = windows.judge(sequencer.position, sequencer.log_id)
    sequencer.close()
    return changed


def everything(pipeline: Pipeline) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "units": pipeline.rows("SELECT * FROM windowed_verdicts ORDER BY unit_id, stated_at"),
        "findings": pipeline.rows(
            "SELECT finding_id, events, first_seen, last_seen, fingerprint FROM findings"
            " WHERE finding_id IN (SELECT finding_id FROM windowed_verdicts) ORDER BY finding_id"
        ),
    }


@pytest.mark.parametrize("point", WINDOW_POINTS)
def test_a_run_that_dies_there_is_done_again_by_the_next_one(pipeline: Pipeline, clock: Clock, point: str) -> None:
    number = 2 * WINDOW_POINTS.index(point)
    send(pipeline, number)
    judge(pipeline, clock)
    send(pipeline, number + 1)
    before = everything(pipeline)
    argv = [sys.executable, "-c", JUDGE, str(pipeline.settings.data_dir), pipeline.url, point, str(clock())]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    if WINDOW_POINTS.index(point) < WINDOW_POINTS.index("16.seen"):
        assert everything(pipeline) == before  # nobody sees half of it
    judge(pipeline, clock)
    assert everything(pipeline) != before
    now = clock()
    built = everything(pipeline)
    forget(pipeline.client)
    fresh = Windows(pipeline.client, lambda: CONTROLS.windowed, clock=lambda: now)
    sequencer = Sequencer(assembly.entry_reader(pipeline.settings), pipeline.client)
    assert fresh.judge(sequencer.position, sequencer.log_id) > 0
    sequencer.close()
    assert everything(pipeline) == built
