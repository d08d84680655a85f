"""`make bench`: run every benchmark, one after the other, and write docs/performance.md from what they print.

A benchmark that cannot run, fails or takes too long stands in the page with its reason; the others go on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onshore_pipeline.bench.machine import machine
from performance_page import page

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHECKOUT = Path(__file__).parents[2]
# The whole of it; what does not fit any more stands in the page as not run.
WITHIN_S = 60 * 60.0
PAGE = CHECKOUT / "docs" / "performance.md"
_TOLD_TO_END = (signal.SIGTERM, signal.SIGINT)
_SAME = ("processor", "cores", "memory_gib", "system", "python", "libraries", "commit")


@dataclass
class Step:
    """One benchmark.

    Attributes:
        name: of its result on the page.
        command: as a reader of the page would type it.
        within_s: it is ended after that.
        kafka: it needs an Apache Kafka with nothing in it.
        small: options that make it short, for a look at whether all of it works.
    """

    name: str
    command: str
    within_s: float
    kafka: bool = False
    small: str = ""


@dataclass
class Done:
    """What came of a step: what it printed, or why not, and how long it took."""

    step: Step
    result: dict[str, Any] = field(default_factory=dict)
    why_not: str = ""
    took_s: float = 0.0


STEPS = (
    Step("ingest", "onshore bench ingest", 400, small="--events 5000 --rounds 1"),
    *(
        Step(name, f"onshore bench {name} --rounds 5", 120, small="--events 2000 --rounds 1")
        for name in ("decode", "locate", "judge", "seal", "insert")
    ),
    *(
        Step(
            f"kafka-{count}",
            f"onshore bench ingest --events 300000 --rounds 1 --alone --workers {count} --partitions {count}",
            200,
            kafka=True,
            small="--events 40000",
        )
        for count in (1, 2)
    ),
    *(
        Step(
            f"workers-{count}",
            "onshore bench ingest --events 200000 --rounds 1 --alone --partitions 6 --worker-share 0.2"
            f" --workers {count}",
            480,
            kafka=True,
            small="--events 20000",
        )
        for count in (1, 2, 3)
    ),
    Step("rotel", "python tests/benchmarks/rotel_peer.py", 120, small="--events 2000"),
    Step("query", "onshore bench query", 420, small="--events 20000"),
    Step("end-to-end", "onshore bench end-to-end", 600, small="--events 5"),
    *(
        Step(f"growth {axis}", f"onshore bench growth --axis {axis}", 300, small="--events 2000 --backlog 2000")
        for axis in ("controls", "attributes", "tenants", "addresses")
    ),
    Step("bundle", "onshore bench bundle --events 1000000 --rounds 1", 600, small="--events 2000"),
    Step("audit", "onshore bench audit --events 3000000 --rounds 1", 480, small="--events 2000 --rounds 1"),
    Step("backtest", "onshore bench backtest --rounds 1", 480, small="--events 2000"),
    Step("windows", "onshore bench windows", 600, small="--events 2000 --rounds 1"),
    Step(
        "growth backlog",
        "onshore bench growth --axis backlog --backlog 10000000",
        600,
        small="--events 2000 --backlog 2000",
    ),
)


def run(step: Step, *, small: bool, left_s: float = WITHIN_S) -> Done:
    """Run one step for as long as it may; never raises for what the step does."""
    if left_s <= 0:
        return Done(step, why_not=f"no time was left of {WITHIN_S / 60:.0f} minutes")
    print(f"{time.strftime('%H:%M:%S')}  {step.command}", file=sys.stderr, flush=True)  # noqa: T201 - progress
    try:
        with contextlib.ExitStack() as stack:
            environment = stack.enter_context(_kafka()) if step.kafka else {}
            return _run(step, environment, min(step.within_s, left_s), small=small)
    except Exception as error:  # noqa: BLE001 - the page says it
        return Done(step, why_not=f"{type(error).__name__}: {error}".splitlines()[0][:300])


def _run(step: Step, environment: Mapping[str, str], within_s: float, *, small: bool) -> Done:
    name, *arguments = [*step.command.split(), *(step.small.split() if small else [])]
    start = {"onshore": [sys.executable, "-m", "onshore_pipeline"], "python": [sys.executable]}[name]
    with contextlib.ExitStack() as stack:
        with _held_back():
            process = subprocess.Popen(
                [*start, *arguments],
                cwd=CHECKOUT,
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            stack.callback(_end, process)
        try:
            printed, said = process.communicate(timeout=within_s)
        except subprocess.TimeoutExpired:
            return Done(step, why_not=f"was not done after {within_s:.0f} s")
    if process.returncode:
        return Done(step, why_not=(said.strip().splitlines() or ["no message"])[-1][:300])
    return Done(step, json.loads(printed))


@contextlib.contextmanager
def _held_back() -> Iterator[None]:
    """Come to a signal afterwards: between a process's start and our knowing of it nobody would end it."""
    came: list[int] = []
    before = {told: signal.signal(told, lambda number, _: came.append(number)) for told in _TOLD_TO_END}
    try:
        yield
    finally:
        for told, handler in before.items():
            signal.signal(told, handler)
        if came:
            raise KeyboardInterrupt


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is not None:
        return
    process.terminate()  # it ends what it started
    try:
        process.communicate(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def _kafka() -> Iterator[dict[str, str]]:
    """An Apache Kafka with nothing in it, as settings that name it."""
    sys.path.append(str(CHECKOUT / "tests" / "support"))
    from apache_kafka import running_kafka

    with tempfile.TemporaryDirectory(prefix="onshore-bench-kafka-") as folder, running_kafka(Path(folder)) as cluster:
        yield {"ONSHORE_KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap}


def kept(path: Path | None, now: Mapping[str, Any]) -> dict[str, Done]:
    """What an earlier run measured of the steps there are, from the file that it wrote line by line.

    Of another commit, machine or library than `now` has nothing counts: a page is about one of each.
    """
    if path is None or not path.exists():
        return {}
    # A line without its end was being written when the run ended.
    told = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if line[-1] == "\n"]
    steps = {step.name: step for step in STEPS}
    return {
        each["name"]: Done(steps[each["name"]], each["result"], took_s=each["took_s"])
        for each in told
        if each["name"] in steps
        and each["command"] == steps[each["name"]].command
        and all(each["result"]["machine"][name] == now[name] for name in _SAME)
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a few events each, to see that all of it works")
    parser.add_argument("--only", nargs="*", default=[], help="names of steps")
    parser.add_argument("--page", type=Path, default=PAGE, help="where to write")
    parser.add_argument("--keep", type=Path, help="a file for what is measured; what it has is not run again")
    given = parser.parse_args()
    # A shell that starts it in the background has it ignore SIGINT, and all that it starts.
    for told in _TOLD_TO_END:
        signal.signal(told, signal.default_int_handler)
    before = {} if given.small else kept(given.keep, machine())
    done = {}
    for step in STEPS:
        if step.name in before:
            done[step.name] = before[step.name]
        elif not given.only or step.name in given.only:
            left_s = WITHIN_S - sum(each.took_s for each in done.values())
            done[step.name] = _timed(step, small=given.small, left_s=left_s)
            if given.keep and done[step.name].result:
                _keep(given.keep, done[step.name])
    took_s = sum(each.took_s for each in done.values())
    given.page.write_text(page(done, took_s=took_s, small=given.small), encoding="utf-8")
    print(f"{given.page}: {len(done)} benchmarks", file=sys.stderr)  # noqa: T201
    raise SystemExit(1 if any(each.why_not for each in done.values()) else 0)


def _timed(step: Step, *, small: bool, left_s: float) -> Done:
    began = time.monotonic()
    done = run(step, small=small, left_s=left_s)
    done.took_s = time.monotonic() - began
    return done


def _keep(path: Path, done: Done) -> None:
    line = {"name": done.step.name, "command": done.step.command, "took_s": done.took_s, "result": done.result}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
