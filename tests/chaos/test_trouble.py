"""Trouble that is not a death: a store that does not answer, disks that are full, clocks that jump, a second worker."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx
import pytest

from broker_contents import local_contents
from chaos_load import SMALL, Play, load
from chaos_senders import Sender, compare
from chaos_stack import ChaosStack, chaos_stack
from failpoint_matrix import Matrix
from invariants import complaints
from onshore_pipeline import assembly
from onshore_pipeline.settings import Settings
from onshore_pipeline.stack import DataDir, salt_master
from running_stack import end, processes_about, run_onshore, start_stack, wait_until
from small_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from broker_contents import Contents
    from chaos_report import Report

pytestmark = pytest.mark.chaos
ASLEEP_S = 60.0
HOURS = (2, -3, 30, 0)
HOUR_S = 3600
PARTS = ("receiver", "worker", "sequencer")


@dataclass
class Scenario:
    """A stack, a sender that goes on through everything, and a play with its truth that is sent beside it."""

    stack: ChaosStack
    sender: Sender
    play: Play

    def worked_off(self, look: Callable[[], object] = lambda: None) -> str:
        """Everything is there once, nothing that can be read is dead-lettered, the truth comes out; gives counts."""
        self.play.send_rest()
        messages = self.stack.contents().count
        self.stack.settle(messages, within_s=120, look=look)
        contents = self.stack.check()
        assert len(contents.dead_letters) == self.play.dead_letters
        self.stack.check_truth(self.play.load.truth)
        return f"{messages:,} messages; {compare(self.stack.client, [self.sender])}; {self.play}"


@contextmanager
def sending(stack: ChaosStack, name: str) -> Iterator[Scenario]:
    """A sender sends for as long as the block lasts."""
    play = Play(stack.producer, load(3, events=SMALL))
    play.send()
    sender = Sender(name, stack.otlp, 1)
    sender.start()
    try:
        wait_for_more(sender)
        yield Scenario(stack, sender, play)
    finally:
        sender.stop()


def wait_for_more(sender: Sender, messages: int = 3, within_s: float = 60) -> None:
    before = len(sender.acknowledged)
    wait_until(lambda: len(sender.acknowledged) >= before + messages, "more messages are acknowledged", within_s)


def wait_until_refused(sender: Sender) -> None:
    before = sum(sender.unanswered.values())
    assert not sender.refused
    wait_until(lambda: sum(sender.unanswered.values()) > before + 2, "the sender is asked to come back later", 60)


def test_a_store_that_does_not_answer_for_a_minute_stops_nobody_from_sending(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "asleep") as scenario:
            sender = scenario.sender
            stack.signal("store", signal.SIGSTOP)
            wait_until(lambda: stack.is_stopped("store"), "the store sleeps")
            scenario.play.send()
            wait_for_more(sender)  # what the store had answered before is committed by now
            acknowledged, committed = len(sender.acknowledged), len(stack.contents().entries)
            threading.Event().wait(ASLEEP_S)
            assert stack.is_stopped("store")
            assert len(sender.acknowledged) > acknowledged + 20
            assert len(stack.contents().entries) == committed
            stack.signal("store", signal.SIGCONT)
            wait_for_more(sender)
        report.add(f"store asleep for {ASLEEP_S:g} s", scenario.worked_off())


def test_a_full_disk_under_the_log_refuses_senders_and_loses_nothing(tmp_path: Path, report: Report) -> None:
    with small_disk(tmp_path / "data" / "log", 400) as disk, chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "full") as scenario:
            for left_mib in (100, 0):
                filler = fill(disk, left_mib=left_mib)
                wait_until_refused(scenario.sender)
                filler.unlink()
                wait_for_more(scenario.sender)
        refused = sum(scenario.sender.unanswered.values())
        report.add(f"disk full under the local log, twice; {refused} refusals", scenario.worked_off())


def test_a_full_disk_under_the_store_stops_the_worker_and_dead_letters_nothing(tmp_path: Path, report: Report) -> None:
    with small_disk(tmp_path / "data" / "store", 400) as disk, chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "full") as scenario:
            sender = scenario.sender
            wait_until(lambda: stack.logged() > scenario.play.sent, "the sender's first messages are worked off")
            assert "given up" not in stack.said("worker")
            filler = fill(disk)
            scenario.play.send()
            wait_until(lambda: "given up" in stack.said("worker") or not stack.is_alive("worker"), "the worker stops")
            committed = len(stack.contents().entries)
            wait_for_more(sender, 20)
            assert len(stack.contents().entries) == committed
            filler.unlink()
            revive(stack)
            wait_for_more(sender)
        report.add("disk full under the store", scenario.worked_off(lambda: revive(stack)))


def revive(stack: ChaosStack) -> None:
    """As a supervisor does: a worker gives up, and the store ends where it wrote while others filled its disk."""
    for part in ("store", "worker", "sequencer"):
        if not stack.is_alive(part):
            stack.start(part)


def registered_beside(stack: ChaosStack, hours: int) -> bool:
    """Whether a worker wrote registrations with a clock that is so many hours off the store's."""
    off_s = f"dateDiff('second', now64(3), registered_at) - ({hours * HOUR_S})"
    return bool(stack.one(f"SELECT count() FROM attempts WHERE abs({off_s}) < {HOUR_S // 2}"))


def test_clocks_that_jump_change_nothing(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        clock = stack.shift_clocks()
        for part in PARTS:
            stack.start(part)
        with sending(stack, "clock") as scenario:
            for hours in HOURS:
                clock.write_text(str(hours * 3600))
                wait_for_more(scenario.sender)
                stack.kill("worker")
                stack.start("worker")
                wait_for_more(scenario.sender)
                wait_until(lambda: registered_beside(stack, hours), f"the worker's clock is {hours} h off")  # noqa: B023
        found = scenario.worked_off()
        # the local log's stamps never go back within a partition, so the furthest jump shows, and nothing behind it
        stamped_s = stack.one("SELECT dateDiff('second', now64(9), max(ingested_at)) FROM events_current")
        assert abs(stamped_s - max(HOURS) * 3600) < HOUR_S
        report.add("clocks that jump by hours, forwards and backwards", found)


def test_a_second_worker_on_the_local_log_leaves_and_takes_over_when_the_first_is_gone(
    tmp_path: Path, report: Report
) -> None:
    with chaos_stack(tmp_path) as stack:
        matrix = Matrix(stack, load(4, events=SMALL), checked=False)
        stack.start("worker")
        stack.start("sequencer")
        matrix.send()
        stack.settle(matrix.sent)
        second = stack.start("worker-2", wait=False)
        wait_until(lambda: second.poll() is not None, "the second worker leaves", 60)
        assert "another worker reads it" in stack.said("worker-2")
        stack.kill("worker")
        matrix.send()
        stack.start("worker-2")
        stack.settle(matrix.sent)
        stack.check()
        stack.kill("worker-2")
        report.add("a second worker on one local log, the first killed", matrix.finish())


def _each_has_an_entry(contents: Contents) -> bool:
    return len(contents.entries) == contents.count


def test_a_supervisor_that_is_killed_takes_its_parts_along_and_the_next_one_goes_on(
    tmp_path: Path, report: Report
) -> None:
    stack = start_stack(tmp_path, "--no-dashboard")
    settings = Settings(data_dir=stack.data_dir)
    play = Play(lambda: assembly.local_log(settings).producer(), load(3, events=SMALL))
    sender = Sender("up", stack.addresses["otlp_http"], 1)
    acknowledged: list[Sender] = []
    try:
        for turn in range(3):
            sender = Sender(f"up-{turn}", stack.addresses["otlp_http"], turn)
            acknowledged.append(sender)
            sender.start()
            wait_for_more(sender)
            assert stack.process.poll() is None
            stack.process.kill()
            stack.process.wait(10)
            sender.stop()
            wait_until(lambda: not processes_about(tmp_path / "data"), "its parts have left")
            play.send()
            stack.close()
            stack = start_stack(tmp_path, "--no-dashboard")
        folder = DataDir(stack.data_dir).messages
        wait_until(lambda: _each_has_an_entry(local_contents(folder)), "every message has an entry")
        contents = local_contents(folder)
        stack.wait_for("SELECT uniqExact(log_position) FROM evidence_log", contents.count)
        # Findings of windows and of coverage count other things than violations of single events.
        counted = "SELECT sum(events) FROM findings WHERE control_id IN (SELECT control_id FROM violations_current)"
        stack.wait_for(counted, stack.one("SELECT count() FROM violations_current"))
        client = stack.writer()
        try:
            found = complaints(client, contents, salt_master(settings))
            assert not found, "\n".join(found)
            play.load.truth.write(tmp_path / "truth.json")
            done = run_onshore(
                tmp_path, "check-truth", "truth.json", "--wait", "0", ONSHORE_DATA_DIR=str(stack.data_dir)
            )
            assert done.returncode == 0, done.stdout + done.stderr
            report.add("supervisor killed three times", f"{compare(client, acknowledged)}; {play}")
        finally:
            client.close()
    finally:
        sender.stop()
        end(stack.process)


def test_the_receiver_answers_while_nothing_behind_the_log_runs(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        stack.start("receiver")
        stack.kill("store")
        with sending(stack, "alone") as scenario:
            wait_for_more(scenario.sender, 20)
            assert httpx.get(f"{stack.otlp}/healthz", timeout=10).is_success
        assert not stack.contents().entries
        stack.start("store")
        for part in ("worker", "sequencer"):
            stack.start(part)
        report.add("only the receiver runs, the rest starts later", scenario.worked_off())
