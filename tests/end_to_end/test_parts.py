"""Parts that die come back, the stack stops as asked, and nobody is left behind."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import httpx
import psutil
import pytest

from otlp_messages import logs, movement
from running_stack import (
    RunningStack,
    data_dir_in,
    end,
    environment,
    measured,
    processes_about,
    running_stack,
    up,
    wait_until,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def takes_events(stack: RunningStack, uid: str) -> None:
    """Send an event, again until somebody takes it, and see it arrive."""

    def taken() -> bool:
        try:
            return stack.post("/v1/logs", logs([movement() | {"log.record.uid": uid}])).is_success
        except httpx.TransportError:
            return False

    wait_until(taken, "the receiver takes an event")
    stack.wait_for_events(uid, 1)


def answers(address: str) -> bool:
    try:
        return httpx.get(address).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def mortal_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    with running_stack(tmp_path_factory.mktemp("mortal")) as stack:
        yield stack


@pytest.mark.parametrize("name", ["worker", "receiver", "sequencer", "dashboard", "store"])
def test_a_part_that_is_killed_is_started_again_and_the_terminal_says_so(mortal_stack: RunningStack, name: str) -> None:
    killed = mortal_stack.parts[name]
    killed.kill()
    mortal_stack.wait_for_words(f"{name} stopped (SIGKILL)")
    mortal_stack.wait_for_words(f"\n{name} restarted\n")
    assert mortal_stack.parts[name].pid != killed.pid
    assert len(mortal_stack.parts) == 5
    takes_events(mortal_stack, f"after-{name}")
    wait_until(lambda: answers(mortal_stack.addresses["dashboard"]), "the dashboard answers")


def test_sigint_stops_everything_in_time(mortal_stack: RunningStack) -> None:
    took = mortal_stack.stop(signal.SIGINT)
    measured(f"SIGINT → nothing left: {took:.1f} s")
    assert took < 10
    assert mortal_stack.process.returncode == 0
    assert not (mortal_stack.data_dir / "stack.json").exists()
    assert not (mortal_stack.folder / "ready.json").exists()
    assert mortal_stack.said.endswith("stopped\n")


def test_a_killed_supervisor_leaves_nobody_and_the_next_one_starts_at_once(tmp_path: Path) -> None:
    with running_stack(tmp_path, "--no-dashboard") as stack:
        takes_events(stack, "before")
        parts = stack.everything()[1:]
        stack.process.kill()
        stack.process.wait()
        with running_stack(tmp_path, "--no-dashboard") as after:
            _, alive = psutil.wait_procs(parts, 0)
            assert not alive
            takes_events(after, "after")
            after.wait_for_events("before", 1)
            took = after.stop(signal.SIGTERM)
            measured(f"SIGTERM → nothing left: {took:.1f} s")
            assert took < 10


def test_killing_the_supervisor_while_it_starts_leaves_nobody(tmp_path: Path) -> None:

    process = subprocess.Popen(
        up(data_dir_in(tmp_path)), cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: len(psutil.Process(process.pid).children()) > 1, "several parts have been started")
        process.kill()
        process.wait()
        wait_until(lambda: not processes_about(data_dir_in(tmp_path)), "nobody is left", 10)
    finally:
        end(process)
