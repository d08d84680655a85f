"""Hours of control runs, filled by a log whose clock is behind, and sealed as the sequencer does it."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

from onshore_pipeline import assembly
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_file import LogLimits
from onshore_pipeline.failpoints import nowhere
from onshore_pipeline.jobs.control_run_seals import RunSeals
from onshore_pipeline.rule_texts import RuleTexts
from onshore_pipeline.sequencer import Sequencer
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Callable

    from embedded_pipeline import Pipeline

_HOUR_NS = 3600 * 10**9


def run(pipeline: Pipeline, *messages: bytes, hours_ago: int = 2) -> None:
    """Have messages sealed so many hours ago by the log's clock; then roll up, judge windows, count."""
    RuleTexts().keep(pipeline.client, pipeline.judgement)
    log = LocalLog(DataDir(pipeline.settings.data_dir).messages, now_ns=lambda: time.time_ns() - hours_ago * _HOUR_NS)
    with closing(log.producer()) as producer:
        producer.send("otlp_logs", [Outgoing(each, ((TENANT_HEADER, b"default"),)) for each in messages])
    pipeline.work(log.consumer())
    pipeline.sequence()
    count(pipeline)


def log_behind(pipeline: Pipeline, hours: int) -> LocalLog:
    """The deployment's log with a clock that is so many hours behind; it keeps what it has."""
    limits = LogLimits(kept_bytes=1 << 30, kept_messages=1 << 20, kept_s=1 << 20)
    folder = DataDir(pipeline.settings.data_dir).messages
    return LocalLog(folder, now_ns=lambda: time.time_ns() - hours * _HOUR_NS, limits=limits)


def count(pipeline: Pipeline) -> None:
    """Judge windows, and count runs."""
    pipeline.judge_windows()
    pipeline.measure()


def seal(pipeline: Pipeline, at: Callable[[str], None] = nowhere) -> int:
    """Look once, as the sequencer does twice a minute; how many hours were recorded."""
    reader = assembly.entry_reader(pipeline.settings)
    sequencer = Sequencer(reader, pipeline.client)
    seals = RunSeals(
        pipeline.client,
        lambda: closing(assembly.message_reader(pipeline.settings)),
        lambda: closing(assembly.recorder(pipeline.settings)),
        lambda: bool(pipeline.judgement.controls.windowed),
        at=at,
    )
    try:
        return seals.look(sequencer.position, sequencer.log_id)
    finally:
        sequencer.close()
