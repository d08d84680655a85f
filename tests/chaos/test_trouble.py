"""Trouble that is not a death: a store that does not answer, disks that are full, clocks that jump, a second worker."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest

from broker_contents import local_contents
from chaos_load import load
from chaos_senders import Sender, compare
from chaos_stack import ChaosStack, chaos_stack
from failpoint_matrix import Matrix
from invariants import complaints
from onshore_pipeline.settings import Settings
from onshore_pipeline.stack import DataDir, salt_master
from running_stack import end, processes_about, start_stack, wait_until
from small_disk import fill, small_disk

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chaos_report import Report

pytestmark = pytest.mark.chaos
ASLEEP_S = 60.0
PARTS = ("receiver", "worker", "sequencer")


@contextmanager
def sending(stack: ChaosStack, name: str) -> Iterator[Sender]:
    sender = Sender(name, stack.otlp, 1)
    sender.start()
    try:
        wait_for_more(sender)
        yield sender
    finally:
        sender.stop()


def wait_for_more(sender: Sender, messages: int = 3, within_s: float = 60) -> None:
    before = len(sender.acknowledged)
    wait_until(lambda: len(sender.acknowledged) >= before + messages, "more messages are acknowledged", within_s)


def wait_until_refused(sender: Sender) -> None:
    before = sum(sender.unanswered.values())
    assert not sender.refused
    wait_until(lambda: sum(sender.unanswered.values()) > before + 2, "the sender is asked to come back later", 60)


def worked_off(stack: ChaosStack, sender: Sender) -> str:
    messages = stack.contents().count
    stack.settle(messages, within_s=120)
    contents = stack.check()
    assert not contents.dead_letters
    return f"{messages} messages; {compare(stack.client, [sender])}"


def test_a_store_that_does_not_answer_for_a_minute_stops_nobody_from_sending(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "asleep") as sender:
            stack.signal("store", signal.SIGSTOP)
            acknowledged = len(sender.acknowledged)
            threading.Event().wait(ASLEEP_S)
            assert len(sender.acknowledged) > acknowledged + 20
            stack.signal("store", signal.SIGCONT)
            wait_for_more(sender)
        report.add(f"store asleep for {ASLEEP_S:g} s", worked_off(stack, sender))


def test_a_full_disk_under_the_log_refuses_senders_and_loses_nothing(tmp_path: Path, report: Report) -> None:
    with small_disk(tmp_path / "data" / "log", 400) as disk, chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "full") as sender:
            for left_mib in (100, 0):
                filler = fill(disk, left_mib=left_mib)
                wait_until_refused(sender)
                filler.unlink()
                wait_for_more(sender)
        report.add("disk full under the local log, twice", worked_off(stack, sender))


def test_a_full_disk_under_the_store_stops_the_worker_and_dead_letters_nothing(tmp_path: Path, report: Report) -> None:
    with small_disk(tmp_path / "data" / "store", 400) as disk, chaos_stack(tmp_path) as stack:
        for part in PARTS:
            stack.start(part)
        with sending(stack, "full") as sender:
            filler = fill(disk)
            wait_until(lambda: "given up" in stack.said("worker") or not stack.is_alive("worker"), "the worker stops")
            wait_for_more(sender, 20)
            filler.unlink()
            if not stack.is_alive("worker"):
                stack.start("worker")
            if not stack.is_alive("sequencer"):
                stack.start("sequencer")
            wait_for_more(sender)
        report.add("disk full under the store", worked_off(stack, sender))


def test_clocks_that_jump_change_nothing(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        clock = stack.shift_clocks()
        for part in PARTS:
            stack.start(part)
        with sending(stack, "clock") as sender:
            for hours in (2, -3, 30, 0):
                clock.write_text(str(hours * 3600))
                wait_for_more(sender)
                stack.kill("worker")
                stack.start("worker")
                wait_for_more(sender)
        report.add("clocks that jump by hours, forwards and backwards", worked_off(stack, sender))


def test_a_second_worker_on_the_local_log_leaves_and_takes_over_when_the_first_is_gone(
    tmp_path: Path, report: Report
) -> None:
    with chaos_stack(tmp_path) as stack:
        matrix = Matrix(stack, load(4, events=240), checked=False)
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


def test_a_supervisor_that_is_killed_takes_its_parts_along_and_the_next_one_goes_on(
    tmp_path: Path, report: Report
) -> None:
    stack = start_stack(tmp_path, "--no-dashboard")
    sender = Sender("up", stack.addresses["otlp_http"], 1)
    acknowledged: list[Sender] = []
    try:
        for turn in range(3):
            sender = Sender(f"up-{turn}", stack.addresses["otlp_http"], turn)
            acknowledged.append(sender)
            sender.start()
            wait_for_more(sender)
            stack.process.kill()
            stack.process.wait(10)
            sender.stop()
            wait_until(lambda: not processes_about(tmp_path / "data"), "its parts have left")
            stack.close()
            stack = start_stack(tmp_path, "--no-dashboard")
        contents = local_contents(DataDir(stack.data_dir).messages)
        stack.wait_for("SELECT uniqExact(log_position) FROM evidence_log", contents.count)
        stack.wait_for("SELECT sum(events) FROM findings", stack.one("SELECT count() FROM violations_current"))
        client = stack.writer()
        try:
            found = complaints(client, contents, salt_master(Settings(data_dir=stack.data_dir)))
            assert not found, "\n".join(found)
            report.add("supervisor killed three times", compare(client, acknowledged))
        finally:
            client.close()
    finally:
        sender.stop()
        end(stack.process)


def test_the_receiver_answers_while_nothing_behind_the_log_runs(tmp_path: Path, report: Report) -> None:
    with chaos_stack(tmp_path) as stack:
        stack.start("receiver")
        stack.kill("store")
        with sending(stack, "alone") as sender:
            wait_for_more(sender, 20)
            assert httpx.get(f"{stack.otlp}/healthz", timeout=10).is_success
        stack.start("store")
        for part in ("worker", "sequencer"):
            stack.start(part)
        report.add("only the receiver runs, the rest starts later", worked_off(stack, sender))
