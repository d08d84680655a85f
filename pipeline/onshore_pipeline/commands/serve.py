"""`onshore worker` and `onshore sequencer`: the processes that turn messages into evidence."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import itertools
import os
import signal
import socket
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import structlog
import typer

from onshore_pipeline.commands.options import DataDirOption, FailpointOption
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError, StaysDown, StoreUnavailable
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.settings import Settings, load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.failpoints import At
    from onshore_pipeline.jobs.retention import RetentionJob

ReadyFile = Annotated[Path | None, typer.Option(help="Written when the part can be used")]
StoreUrl = Annotated[str | None, typer.Option("--store-url", help="The embedded store's address", hidden=True)]
WithParent = Annotated[bool, typer.Option("--with-parent", help="Leave when standard input ends", hidden=True)]

log = structlog.get_logger("serve")

_PAUSE_S: Final = 0.5
_LEAVE_WITHIN_S: Final = 15.0


def worker(
    data_dir: DataDirOption = None,
    ready_file: ReadyFile = None,
    store_url: StoreUrl = None,
    with_parent: WithParent = False,
    failpoint: FailpointOption = None,
) -> None:
    """Run one member of the consumer group until SIGTERM; exit 3 when it stops for a person to look."""
    _follow(with_parent)
    from onshore_pipeline import assembly, dead_letter_history
    from onshore_pipeline.batches import BatchLimits
    from onshore_pipeline.log_check import refuse_older_log
    from onshore_pipeline.log_ties import claim_log
    from onshore_pipeline.memory import leave_out_pandas
    from onshore_pipeline.rule_texts import InForce, RuleTexts
    from onshore_pipeline.worker import Worker
    from onshore_pipeline.worker_status import StatusFile, say_stopped

    leave_out_pandas()
    settings = load_settings({"data_dir": data_dir})
    at = at_failpoint(failpoint)
    rules = assembly.rules(settings)
    client = assembly.store_client(settings, store_url)
    check = claim_log(settings, client)
    with contextlib.closing(assembly.entry_reader(settings)) as reader:
        refuse_older_log(reader, client)
    RuleTexts().keep(client, rules.in_force())
    watch = dead_letter_history.watch(client, settings)
    limits = BatchLimits(settings.max_batch_messages, settings.max_batch_mib * 1024 * 1024)
    status = DataDir(settings.data_dir).worker_status
    status.parent.mkdir(parents=True, exist_ok=True)
    stop = _stopped_by_signal()  # from here on there is a group to leave and work to finish
    with _member(settings) as member:
        consumer = assembly.consumer(settings, member, at, check)
        try:
            _ready(ready_file)
            rules.start(InForce(client, f"worker {socket.gethostname()}:{os.getpid()}", settings.context_dir).tell)
            worker = Worker(
                consumer, client, rules, limits, status=StatusFile(status, member), dead_letters=watch, at=at
            )
            answered = worker.run(stop)
        except StaysDown as error:
            say_stopped(status, member, str(error))
            raise
        finally:
            rules.close()
            consumer.close()
            client.close()
    if not answered:
        os._exit(0)  # a thread waits for a store that hangs; what it wrote is not committed and is tried again


def sequencer(
    data_dir: DataDirOption = None,
    ready_file: ReadyFile = None,
    store_url: StoreUrl = None,
    with_parent: WithParent = False,
    failpoint: FailpointOption = None,
) -> None:
    """Copy the evidence log into the store, roll up, measure coverage, sweep, until SIGTERM; others stand by."""
    _follow(with_parent)
    from onshore_pipeline.memory import leave_out_pandas
    from onshore_pipeline.sequencer_status import say_trouble, status_path

    leave_out_pandas()
    settings = load_settings({"data_dir": data_dir})
    at = at_failpoint(failpoint)
    stop = _stopped_by_signal()
    said = status_path(settings)
    while not stop.is_set():
        try:
            _await_tie(settings, store_url, stop)
            with _leading(settings, stop) as over:
                if not stop.is_set():
                    _ready(ready_file)
                    _sequence(settings, store_url, over, said, at)
        except (StoreUnavailable, BrokerUnavailable) as error:
            say_trouble(said, error)
            log.warning("sequencing paused", reason=str(error), retry_in_s=_PAUSE_S)
            stop.wait(_PAUSE_S)


def _await_tie(settings: Settings, store_url: str | None, stop: threading.Event) -> None:
    """Wait until a worker has tied Kafka's log to its store; a log of another store would be copied beside no rows."""
    if not settings.kafka_bootstrap_servers:
        return
    from onshore_pipeline import assembly
    from onshore_pipeline.log_ties import refuse_log_of_another

    with contextlib.closing(assembly.store_client(settings, store_url)) as client:
        while not (stop.is_set() or refuse_log_of_another(settings, client, sealing=False)):
            log.info("waiting for the first worker, which ties the evidence log to its store", look_again_s=_PAUSE_S)
            stop.wait(_PAUSE_S)


def _sequence(settings: Settings, store_url: str | None, over: threading.Event, said: Path, at: At) -> None:
    """Copy and keep for as long as it is our turn."""
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.keep import keep
    from onshore_pipeline.sequencer import Sequencer
    from onshore_pipeline.sequencer_status import say_trouble

    with contextlib.ExitStack() as stack:
        client = stack.enter_context(contextlib.closing(assembly.store_client(settings, store_url)))
        reader = stack.enter_context(contextlib.closing(assembly.entry_reader(settings)))
        jobs = _jobs(settings, store_url, client, stack, at)
        while not over.is_set():
            try:
                sequencer = Sequencer(reader, client, at)
                heads = assembly.head_keeper(settings, client, sequencer.log_id, at)
                keep(sequencer, client, over, heads=heads, status_file=said, at=at, **jobs)
                heads.close()
            except (StoreUnavailable, BrokerUnavailable) as error:
                say_trouble(said, error)
                log.warning("sequencing paused", reason=str(error), retry_in_s=_PAUSE_S)
                over.wait(_PAUSE_S)
            except OnshoreError as error:
                say_trouble(said, error)
                raise


def _jobs(
    settings: Settings, store_url: str | None, client: Client, stack: contextlib.ExitStack, at: At
) -> dict[str, Any]:
    """What is done beside sequencing, by its name in `keep`; `stack` closes what they need."""
    from onshore_pipeline import assembly
    from onshore_pipeline.batches import MOST_RECORDS
    from onshore_pipeline.context.expected_sources import read_register
    from onshore_pipeline.jobs.control_run_seals import RunSeals
    from onshore_pipeline.jobs.measure import Measurer
    from onshore_pipeline.jobs.windowed import Windows
    from onshore_pipeline.worker_status import catches_up, is_behind

    worker_status, in_force = DataDir(settings.data_dir).worker_status, assembly.controls_in_force(settings)
    return {
        "measurer": Measurer(
            client, lambda: read_register(settings.context_dir), is_behind=lambda: is_behind(worker_status)
        ),
        "windows": Windows(client, lambda: in_force().windowed, worker_status, at=at),
        "runs": RunSeals(
            client,
            lambda: contextlib.closing(assembly.message_reader(settings)),
            lambda: contextlib.closing(assembly.recorder(settings)),
            lambda: bool(in_force().windowed),
            at=at,
        ),
        "catching_up": lambda: catches_up(worker_status, MOST_RECORDS),
        **_telling(settings, store_url, client, stack, in_force),
        "retention": _retention(settings, store_url, stack, at),
    }


def _telling(
    settings: Settings,
    store_url: str | None,
    client: Client,
    stack: contextlib.ExitStack,
    in_force: Callable[[], ControlSet],
) -> dict[str, Any]:
    """Who tells where findings stand, and what changed in the registries."""
    from onshore_pipeline import assembly
    from onshore_pipeline.findings.standing import folders
    from onshore_pipeline.jobs.context_changes import ContextChanges
    from onshore_pipeline.jobs.finding_states import FindingStates
    from onshore_pipeline.jobs.telling import FINDINGS, REGISTRIES, Telling

    read = stack.enter_context(contextlib.closing(assembly.store_reader(settings, store_url)))
    producer = stack.enter_context(contextlib.closing(assembly.producer(settings)))
    # A SIEM reads Kafka; where there is none, nobody would read the topic.
    send = producer.send if settings.kafka_bootstrap_servers else None
    where = folders(settings.context_dir, settings.data_dir)
    software = f"onshore {metadata.version('onshore')}"
    return {
        "states": Telling(FINDINGS, FindingStates(read, client, where, in_force, send, software), settings),
        "registries": Telling(REGISTRIES, ContextChanges(read, producer.send, assembly.DEFAULT_TENANT), settings),
    }


def _retention(settings: Settings, store_url: str | None, stack: contextlib.ExitStack, at: At) -> RetentionJob:
    """Who deletes what is due."""
    from onshore_pipeline import assembly
    from onshore_pipeline.commands.acting import record
    from onshore_pipeline.jobs.retention import RetentionJob

    job = RetentionJob(
        settings,
        lambda: (assembly.store_client(settings, store_url), assembly.store_reader(settings, store_url)),
        lambda action: record(settings, action),
        at,
    )
    stack.callback(job.close)
    return job


def _leading(settings: Settings, stop: threading.Event) -> AbstractContextManager[threading.Event]:
    """Our turn to sequence: on Kafka among all machines, else among the processes of this one."""
    from onshore_pipeline.leadership import lead_by_group, lead_by_lock

    if not settings.kafka_bootstrap_servers:
        return lead_by_lock(DataDir(settings.data_dir).path / "sequencer.lock", stop)
    from onshore_pipeline import assembly

    return lead_by_group(assembly.kafka(settings), stop)


def _follow(with_parent: bool) -> None:
    """Begin before anything takes time: whoever has nothing in hand yet is gone at once with its parent."""
    from onshore_pipeline.embedded.parent import follow_parent

    if with_parent:
        follow_parent()


def _stopped_by_signal() -> threading.Event:
    stop = threading.Event()

    def leave(*_: object) -> None:
        if not stop.is_set():
            stop.set()
            threading.Thread(target=_leave_at_last, name="leave-at-last", daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, leave)
    return stop


def _leave_at_last() -> None:
    """End the process when it does not end by itself: at any moment that is what a kill would do, and as safe."""
    time.sleep(_LEAVE_WITHIN_S)
    log.warning("left without a clean end", after_s=_LEAVE_WITHIN_S)
    os._exit(1)


def _ready(ready_file: Path | None) -> None:
    if ready_file is not None:
        ready_file.write_text(str(time.time()))


@contextlib.contextmanager
def _member(settings: Settings) -> Iterator[str]:
    """A name in the consumer group that no other worker has; one that restarts gets its predecessor's again."""
    folder = DataDir(settings.data_dir).path.resolve()
    place = hashlib.sha256(str(folder).encode()).hexdigest()[:8]
    for number in itertools.count():
        with (folder / f"worker-{number}.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            yield f"{socket.gethostname()}-{place}-{number}"
            return
