"""The page is written whatever happens to a benchmark, and leaves nothing out."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import psutil

import performance
from performance import STEPS, Done, Step, kept, run
from performance_page import page
from performance_sections import workers

if TYPE_CHECKING:
    from pathlib import Path


MACHINE: dict[str, Any] = {
    "date": "d",
    "commit": "c",
    "processor": "p",
    "cores": 2,
    "memory_gib": 1.0,
    "system": "s",
    "python": "3",
    "libraries": {},
    "load_before": 0.1,
}


def test_a_benchmark_that_fails_stands_in_the_page_with_its_reason() -> None:
    failed = run(Step("odd", "onshore bench growth --axis planets", 60), small=False)
    assert "planets" in failed.why_not
    text = page({"odd": failed}, took_s=1, small=False)
    assert f"| `{failed.step.command}`" in text or failed.step.command in text
    assert "planets is no axis" in text


def test_one_that_takes_too_long_is_ended_and_named() -> None:
    slow = run(Step("slow", "onshore bench decode", 0.2), small=False)
    assert slow.why_not == "was not done after 0 s"


def test_a_run_that_is_told_to_end_ends_what_it_started(tmp_path: Path) -> None:
    command = [sys.executable, performance.__file__, "--only", "query", "--page", str(tmp_path / "page.md")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as running:
        try:
            assert running.stderr is not None
            assert "bench query" in running.stderr.readline()
            [step] = _started_by(running.pid)
            running.send_signal(signal.SIGINT)
            assert running.wait(60) == 130
        finally:
            running.kill()
    assert not step.is_running()
    assert not (tmp_path / "page.md").exists()


def _started_by(pid: int) -> list[psutil.Process]:
    deadline = time.monotonic() + 30
    while not (found := psutil.Process(pid).children()):
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    return found


def test_what_was_measured_stands_against_its_budget() -> None:
    ingest = {
        "events_a_second": 61_000, "ratio": {"wall": 7.9, "cpu": 3.0}, "sealing_share_of_cpu": 0.29,
        "signing_share_of_cpu": 0.0021,
        "ratios": {"same_result": {"wall": 7.9, "cpu": 3.0}, "afternoon": {"wall": 3.5, "cpu": 2.5}},
        "baselines": {name: {"events_a_second": 7_000, "cpu_us_an_event_by_process": {"baseline": 36.0, "store": 4.0},
                             "peak_memory_mib": {}} for name in ("afternoon", "same_result")},
        "peak_memory_mib": {"worker": 900}, "rounds": {"onshore": []}, "bytes_an_event": 466,
        "attributes_an_event": 12, "cpu_us_an_event_by_process": {"worker": 12.0}, "cpu_us_an_event_by_stage": {},
        "machine": MACHINE,
    }  # fmt: skip
    text = page({"ingest": Done(Step("ingest", "onshore bench ingest", 1), ingest)}, took_s=60, small=False)
    assert "| 60k events/s | 100k events/s | 61,000 events/s | floor |" in text
    assert "| 8 times | 15 times | 7.9 times (CPU: 3.0) | **no** |" in text
    assert "|  |  | 3.5 times (CPU: 2.5) |  |" in text
    assert "| per-record, same result | 7,000 | 40.00 | 7.90 | 3.00 |" in text
    assert "| 45 % | 30 % | 29% | aim |" in text
    assert "| share of ingest CPU spent on signing heads | 1 % |  | 0.21% | floor |" in text
    assert "| 5 s | 2 s | not measured |  |" in text


def test_a_backtest_is_told_at_the_rate_that_was_measured() -> None:
    told = {"events": 10_000_000, "one text": {"wall_s": 6.5}, "machine": MACHINE}
    text = page({"backtest": Done(Step("backtest", "onshore bench backtest", 1), told)}, took_s=60, small=False)
    assert "| 30 s |  | 32.5 s at the rate of 6.5 s over 10,000,000 events | **no** |" in text


def test_what_is_asked_of_stages_stands_against_its_budget() -> None:
    told = {"cpu_us_an_event": 0.51, "wall_us_an_event": 0.5, "baseline": None, "ratio": None, "machine": MACHINE}
    mixed = {"addresses": 18_309, "cpu_us_an_event": {"first": 0.9, "new": 0.5, "again": 0.3}}
    done = {
        "judge": Done(Step("judge", "onshore bench judge", 1), told),
        "locate": Done(Step("locate", "onshore bench locate", 1), {**told, "mixed_addresses": mixed}),
    }
    text = page(done, took_s=60, small=False)
    assert "| judging by all controls, CPU an event | 0.5 µs |  | 0.51 µs | **no** |" in text
    assert "| 0.5 µs |  | 0.5 µs, 18,309 addresses never met before (met: 0.3 µs) | floor |" in text


def test_several_workers_stand_beside_one() -> None:
    done = {
        f"workers-{count}": Done(
            Step(f"workers-{count}", f"onshore bench ingest --workers {count}", 1),
            {"workers": count, "events_a_second": rate, "cpu_us_an_event_by_process": {"worker": 12.5}},
        )
        for count, rate in ((1, 10_000), (2, 19_000))
    }
    told = "\n".join(workers(done))
    assert "| `onshore bench ingest --workers 1` | 1 | 10,000 | 1.00 | worker 12.5 |" in told
    assert "| `onshore bench ingest --workers 2` | 2 | 19,000 | 1.90 | worker 12.5 |" in told
    assert workers({}) == []


def test_what_an_earlier_run_measured_is_not_measured_again(tmp_path: Path) -> None:
    step = next(each for each in STEPS if each.name == "judge")
    line: dict[str, Any] = {"name": "judge", "command": step.command, "took_s": 3.5, "result": {"machine": MACHINE}}
    other = {**line, "name": "locate"}  # its command has changed since
    lines = "".join(f"{json.dumps(each)}\n" for each in (line, other, {**line, "name": "gone"}))
    (tmp_path / "kept").write_text(f'{lines}{{"name": "se')  # the run ended while it wrote
    assert kept(tmp_path / "kept", {**MACHINE, "date": "later"}) == {"judge": Done(step, line["result"], took_s=3.5)}
    assert kept(tmp_path / "kept", {**MACHINE, "commit": "d"}) == {}
    assert kept(tmp_path / "nothing", MACHINE) == kept(None, MACHINE) == {}
