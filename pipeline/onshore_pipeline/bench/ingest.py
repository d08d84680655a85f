"""`onshore bench ingest`: broker → queryable, located, judged by all controls, sealed, at full width.

Real processes on this machine, in rounds: messages are appended while nobody reads, then the workers start and the
clock runs until the last event is visible; then two per-record programs do the same, each on a store of its own. With
ONSHORE_KAFKA_BOOTSTRAP_SERVERS set all read that Kafka, else a local log each.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from onshore_pipeline.bench.baseline import Baseline
from onshore_pipeline.bench.core_share import core_share
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import an_event, middle
from onshore_pipeline.bench.parts import LOOK_EVERY_S, Parts, open_store
from onshore_pipeline.bench.signing import signing_us
from onshore_pipeline.bench.stages import profile
from onshore_pipeline.bench.traffic import Traffic, distinct_addresses, endless, log_messages
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role, load_or_create
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.log_ties import claim_log
from onshore_pipeline.producers import open_producer
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from onshore_pipeline.kafka_security import KafkaSettings
    from onshore_pipeline.settings import Settings

_TOPIC: Final = "otlp_logs"
_AT_ONCE: Final = 20
_FIRST_LOOKS_EVERY_S: Final = 0.5
_LONGEST_BLINK_S: Final = 2.0
MOST_DISTINCT: Final = 200_000
_SEALING: Final = ("seal", "entries")
_ENTRIES: Final = "SELECT sum(events) FROM evidence_log FINAL"
_VISIBLE: Final = {Baseline.AFTERNOON: "SELECT count() FROM baseline_events", Baseline.SAME_RESULT: _ENTRIES}
_FEWER: Final = {Baseline.AFTERNOON: 5, Baseline.SAME_RESULT: 10}


@dataclass(frozen=True, slots=True)
class Plan:
    """What to send through what.

    Attributes:
        events: a round.
        baselines: files of the per-record programs; none = measure ours alone.
        baseline_events: a round of theirs; 0 = a fifth of `events` for the afternoon's program, a tenth for the one
            with the same result, so that all run about equally long and what each does once at its start weighs the
            same.
        rounds: one of each program a round; medians are told.
        workers: on Kafka; the local log has one reader.
        partitions: of the event topic, on Kafka.
        worker_share: the cores that each worker gets once it is ready; 0 = all it can take.
        traffic: what the messages are like; beyond 200,000 events they repeat, later each time.
        tenants: messages are theirs in turn.
        controls_dir: controls on top of those that ship.
        timeout_s: for one program's part of a round.
    """

    events: int = 1_000_000
    baselines: Mapping[Baseline, Path] = field(default_factory=dict)
    baseline_events: int = 0
    rounds: int = 3
    workers: int = 1
    partitions: int = 1
    worker_share: float = 0.0
    traffic: Traffic = field(default_factory=Traffic)
    tenants: int = 1
    controls_dir: Path | None = None
    timeout_s: float = 600.0

    @property
    def messages(self) -> int:
        """Messages a round."""
        return max(1, self.events // self.traffic.records)


class _Contender(Protocol):
    """One of the programs."""

    def round(self, messages: Iterator[bytes], count: int) -> dict[str, Any]:
        """Append the next `count` messages; then let the program run until all are visible."""
        ...


def bench_ingest(plan: Plan) -> dict[str, Any]:
    """Measure, round by round.

    Returns:
        Events a second of the whole path, µs of CPU an event by process over that time, peak memory of each process;
        µs of CPU an event by stage of the computation, measured apart in this process, and of signing heads over all
        of it; the same of the per-record programs by name, and the ratios. `baseline` and `ratio` are those of the
        program with the same result.
    """
    about = machine()
    records = plan.traffic.records
    messages = list(log_messages(min(plan.messages, MOST_DISTINCT // records), plan.traffic))
    with contextlib.ExitStack() as stack:
        ours = OursAlone(stack, plan)
        stages = profile(messages, ours.settings, plan.rounds)
        contenders: dict[str, tuple[_Contender, int]] = {"onshore": (ours, plan.messages)}
        for baseline, file in plan.baselines.items():
            fewer = (plan.baseline_events or plan.events // _FEWER[baseline]) // records
            contenders[baseline] = (_Baseline(stack, plan, file, _VISIBLE[baseline]), max(1, fewer))
        rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in contenders}
        sent = {name: endless(messages) for name in contenders}
        for _ in range(plan.rounds):
            for name, (contender, count) in contenders.items():
                rounds[name].append(contender.round(sent[name], count))
        signing = signing_us(ours.client, ours.parts, plan.rounds * plan.messages * records)
    ours_told = middle(rounds["onshore"])
    theirs = {name: middle(rounds[name]) for name in plan.baselines}
    ratios = {name: _ratio(ours_told, told) for name, told in theirs.items()}
    total = sum(ours_told["cpu_us_an_event_by_process"].values())
    return {
        "bench": "ingest",
        "broker": "Kafka" if ours.kafka else "local log",
        "workers": plan.workers,
        "worker_share": plan.worker_share or None,
        "bytes_an_event": round(sum(map(len, messages)) / (len(messages) * records)),
        "attributes_an_event": plan.traffic.attributes,
        "distinct_events": len(messages) * records,
        "distinct_addresses": distinct_addresses(messages),
        **ours_told,
        "cpu_us_an_event": round(total, 2),
        "cpu_us_an_event_by_stage": stages,
        "sealing_share_of_cpu": round(sum(stages.get(name, 0.0) for name in _SEALING) / total, 3),
        "signing_us_an_event": signing,
        "signing_share_of_cpu": round(signing / total, 5),
        "baseline": theirs.get(Baseline.SAME_RESULT),
        "ratio": ratios.get(Baseline.SAME_RESULT),
        "baselines": theirs,
        "ratios": ratios,
        "rounds": rounds,
        "machine": about,
    }


def _until_next_look_s(seen: int, events: int, elapsed_s: float) -> float:
    """Half of what is still to come at the speed so far: a look costs the store 5 ms of CPU, and they count as ours."""
    left_s = elapsed_s * (events - seen) / seen if seen else _FIRST_LOOKS_EVERY_S
    return min(max(left_s / 2, LOOK_EVERY_S), _LONGEST_BLINK_S)


def _ratio(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    cpu = [sum(told["cpu_us_an_event_by_process"].values()) for told in (theirs, ours)]
    return {
        "wall": round(ours["events_a_second"] / theirs["events_a_second"], 2),
        "cpu": round(cpu[0] / cpu[1], 2),
    }


class _Side:
    """A data directory with a store of its own, and the broker that is read."""

    def __init__(self, stack: ExitStack, plan: Plan) -> None:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="onshore-bench-")))
        self.plan = plan
        self.settings = load_settings({"data_dir": folder, "controls_dir": plan.controls_dir})
        self.kafka = _kafka(self.settings, plan)
        self.data = DataDir(folder)
        self.data.make()
        environment = {"ONSHORE_CONTROLS_DIR": str(plan.controls_dir)} if plan.controls_dir else {}
        self.parts = stack.enter_context(Parts(self.data, **environment))
        self.url, self.client = open_store(self.parts, self.settings)

    def fill(self, messages: Iterator[bytes], count: int) -> None:
        """Append the next `count` messages, the tenants' in turn."""
        folder = None if self.kafka else self.data.messages
        with contextlib.closing(open_producer(kafka=self.kafka, log_folder=folder, now_ns=time.time_ns)) as producer:
            outgoing = (
                Outgoing(value, ((TENANT_HEADER, f"tenant-{number % self.plan.tenants}".encode()),))
                for number, value in enumerate(islice(messages, count))
            )
            while batch := list(islice(outgoing, _AT_ONCE)):
                producer.send(_TOPIC, batch)

    def clocked(self, names: Sequence[str], visible: str, wanted: int) -> dict[str, Any]:
        """From now until the query `visible` gives `wanted`: seconds, and CPU of the parts `names`."""
        began, before = time.perf_counter(), self.parts.cpu_s()
        seen = start = self.seen(visible)
        events = wanted - start
        if events <= 0:
            raise OnshoreError(f"all {wanted:,} events were visible before the clock began: send more")
        while seen < wanted:
            if time.perf_counter() - began > self.plan.timeout_s:
                raise OnshoreError(f"only {seen:,} of {wanted:,} events were visible after {self.plan.timeout_s:.0f} s")
            time.sleep(_until_next_look_s(seen - start, events, time.perf_counter() - began))
            self.parts.check()
            seen = self.seen(visible)
        took = time.perf_counter() - began
        used = {name: cpu - before[name] for name, cpu in self.parts.cpu_s().items() if name in names}
        return {
            "events": events,
            "seconds": round(took, 3),
            "events_a_second": round(events / took),
            "cpu_us_an_event_by_process": {name: an_event(cpu, events) for name, cpu in used.items()},
            "peak_memory_mib": {name: mib for name, mib in self.parts.peak_mib().items() if name in names},
        }

    def check_events(self, sent: int) -> None:
        """Raises `OnshoreError` when the committed events are not as many as were sent."""
        stored = self.seen("SELECT count() FROM events_current")
        if stored != sent:
            raise OnshoreError(f"{stored:,} events are visible, {sent:,} were sent")

    def seen(self, query: str) -> int:
        return int(self.client.query(query).result_rows[0][0])


class OursAlone(_Side):
    """Store and sequencer all the time, workers from round to round."""

    def __init__(self, stack: ExitStack, plan: Plan) -> None:
        super().__init__(stack, plan)
        if plan.workers > 1 and self.kafka is None:
            raise OnshoreError("a local log has one reader: set ONSHORE_KAFKA_BOOTSTRAP_SERVERS for several workers")
        claim_log(self.settings, self.client)  # as the first worker does; a sequencer waits for that
        self.parts.start_part("sequencer", "sequencer", self.url)
        self._visible = 0
        self._workers = [f"worker-{number}" if number else "worker" for number in range(plan.workers)]
        shares = self._workers if plan.worker_share else []
        self._shares = {name: stack.enter_context(core_share(name, plan.worker_share)) for name in shares}

    def round(self, messages: Iterator[bytes], count: int) -> dict[str, Any]:
        """Append the next `count` messages; then let the workers run until all are visible."""
        self._visible += count * self.plan.traffic.records
        names = self._workers
        if self._shares:  # they share the partitions out before there is anything in them
            self._start_held()
            self.fill(messages, count)
        else:
            self.fill(messages, count)
            self.parts.start_parts(names, "worker", self.url)
        told = self.clocked([*names, "store", "sequencer"], _ENTRIES, self._visible)
        for name in names:
            self.parts.stop(name)
        self.check_events(self._visible)
        return told

    def _start_held(self) -> None:
        self.parts.start_parts(self._workers, "worker", self.url)
        for name, share in self._shares.items():
            share.hold(self.parts.pid(name))
        if self.kafka is not None:
            from onshore_pipeline.bench.group import wait_until_shared_out

            wait_until_shared_out(self.kafka, _TOPIC, self.plan.workers, self.plan.partitions)


class _Baseline(_Side):
    """A per-record program on a store of its own."""

    def __init__(self, stack: ExitStack, plan: Plan, file: Path, visible: str) -> None:
        super().__init__(stack, plan)
        self._file, self._counts, self._visible = file, visible, 0
        password = load_or_create(self.data.credentials).passwords[Role.WRITER]
        self._dsn = self.url.replace("http://", f"http://{USER_OF_ROLE[Role.WRITER]}:{password}@")

    def round(self, messages: Iterator[bytes], count: int) -> dict[str, Any]:
        if self.kafka is None:
            self.fill(messages, count)
            self._visible += count * self.plan.traffic.records
        else:  # it reads the very messages that ours has read
            self._visible += self.plan.messages * self.plan.traffic.records
        reads = ["--data-dir", str(self.data.path)]
        if self.kafka is not None:
            reads += ["--kafka", ",".join(self.kafka.bootstrap_servers)]
        self.parts.start("baseline", str(self._file), "--store", self._dsn, *reads)
        told = self.clocked(["baseline", "store"], self._counts, self._visible)
        self.parts.stop("baseline")
        if self._counts == _ENTRIES:
            self.check_events(self._visible)
        return told


def _kafka(settings: Settings, plan: Plan) -> KafkaSettings | None:
    if not settings.kafka_bootstrap_servers:
        return None
    from onshore_pipeline.kafka_security import kafka_settings
    from onshore_pipeline.kafka_topics import ensure_topics

    kafka = kafka_settings(settings)
    ensure_topics(kafka, partitions=plan.partitions)
    return kafka


__all__ = ["OursAlone", "Plan", "bench_ingest"]
