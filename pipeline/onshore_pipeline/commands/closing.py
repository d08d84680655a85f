"""What `onshore dead-letters replay` and `discard` have in common: checks, parts, progress, report."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import typer

from onshore_pipeline.errors import INTERRUPTED, OnshoreError
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.jobs.wanted_letters import Wanted, ids
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from types import FrameType

    from onshore_pipeline.failed_records import Refusal
    from onshore_pipeline.jobs.amending import Said
    from onshore_pipeline.jobs.replay import Action, Closing
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

_LONGEST: Final = 500
_SAY_EVERY_S: Final = 1.0
_SAY_TO_A_FILE_EVERY_S: Final = 5.0
_REASONS_SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Run:
    """How a command was asked to run."""

    data_dir: Path | None
    failpoint: str | None
    dry_run: bool
    as_json: bool


def close(action: Action, wanted: Wanted, said: Said, run: Run) -> int:
    """Close what is wanted and say what came of it; 1 when letters stay open, 130 when it was interrupted.

    The first SIGINT ends it behind the portion that is under way, whose letters are closed; the second at once.

    Raises:
        OnshoreError: what is wanted is not there, or something cannot be reached; what was closed is closed.
    """
    settings = load_settings({"data_dir": run.data_dir})
    reader = _reader(settings)
    letters = ids(reader, wanted)
    if not letters:
        report = _report(action, None, run)
    elif run.dry_run:
        report = _would(action, settings, reader, letters) | {"dry_run": True}
    else:
        report = _report(action, _closed(action, settings, reader, letters, said, run), run)
    if run.as_json:
        typer.echo(json.dumps(report, ensure_ascii=False))
    else:
        _print(action, report)
    if report["left"]:
        return INTERRUPTED
    return 1 if report["failed"] else 0


def said(who: str | None, why: str | None) -> Said:
    """Who and why, as they will stand in the log. Raises `OnshoreError` when one is missing or too long."""
    from onshore_pipeline.jobs.amending import Said

    for flag, text in (("--as", who), ("--reason", why)):
        if text is None or not text.strip():
            raise OnshoreError(f"{flag} is missing: the evidence log records who did it and why")
        if len(text) > _LONGEST:
            raise OnshoreError(f"{flag} is {len(text)} characters long; {_LONGEST} are enough")
    assert who is not None
    assert why is not None
    return Said(who.strip(), why.strip())


def _reader(settings: Settings) -> Reader:
    """The store as its writer: a portion of letters is larger than what a reader may be answered."""
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    address = store_address(settings, writing=True)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


def _closed(
    action: Action, settings: Settings, reader: Reader, letters: Sequence[str], said: Said, run: Run
) -> Closing:
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.replay import Closer
    from onshore_pipeline.log_check import refuse_older_log
    from onshore_pipeline.log_ties import refuse_log_of_another
    from onshore_pipeline.rule_texts import RuleTexts

    at = at_failpoint(run.failpoint)
    with contextlib.ExitStack() as opened:
        client = assembly.store_client(settings)
        opened.callback(client.close)
        judgement = assembly.judgement(settings)
        refuse_log_of_another(settings, client, sealing=True)
        with contextlib.closing(assembly.entry_reader(settings)) as log:
            refuse_older_log(log, client)
            log_id = log.log_id
        RuleTexts().keep(client, judgement)
        amender = opened.enter_context(contextlib.closing(assembly.amender(settings, at)))
        stops = opened.enter_context(_interrupted())
        closer = Closer(client, reader, amender, judgement, log_id, said, at=at, say=_Progress(), stops=stops.is_set)
        return closer.close(action, letters)


@contextlib.contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Set by the first SIGINT; the next one does what it did before."""
    event, before = threading.Event(), signal.getsignal(signal.SIGINT)

    def note(number: int, frame: FrameType | None) -> None:
        del number, frame
        event.set()
        signal.signal(signal.SIGINT, before)
        typer.echo("stopping behind the letters under way; once more to stop at once", err=True)

    signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)


def _would(action: Action, settings: Settings, reader: Reader, letters: Sequence[str]) -> dict[str, Any]:
    """What would come of it, without anything being written or anybody being disturbed."""
    from onshore_pipeline import assembly
    from onshore_pipeline.amend import amend
    from onshore_pipeline.failed_records import FailedRecords
    from onshore_pipeline.failed_records import Refusal as Refused
    from onshore_pipeline.jobs.letters import portions, sealed_entries, verified

    report: dict[str, Any] = {
        "letters": len(letters),
        "closed": 0,
        "events": 0,
        "dead_again": 0,
        "already": {},
        "left": 0,
    }
    if action == "discard":
        return report | {"closed": len(letters), "failed": []}
    refused: dict[UUID, Refusal] = {}
    judgement = assembly.judgement(settings)
    say, done = _Progress(), 0
    for some in portions(reader, letters):
        sealed = sealed_entries(reader, some)
        checked = {letter.letter_id: verified(letter, sealed) for letter in some}
        refused |= {letter: found for letter, found in checked.items() if isinstance(found, Refused)}
        good = [found for found in checked.values() if isinstance(found, FailedRecords)]
        if good:
            amendment = amend(good, judgement, uuid4(), who="", why="")
            refused |= amendment.refused
            report["closed"] += len(amendment.amended)
            report["events"] += amendment.attempt.events if amendment.amended else 0
            report["dead_again"] += amendment.attempt.dead_lettered if amendment.amended else 0
        done += len(some)
        say(done, len(letters))
    return report | {"failed": _failed(refused)}


def _report(action: Action, done: Closing | None, run: Run) -> dict[str, Any]:
    return {
        "action": action,
        "dry_run": run.dry_run,
        "letters": done.of if done else 0,
        "closed": len(done.closed) if done else 0,
        "events": done.events if done else 0,
        "dead_again": done.dead_again if done else 0,
        "already": dict(+done.already) if done else {},
        "left": done.left if done else 0,
        "failed": _failed(done.refused) if done else [],
    }


def _failed(refused: Mapping[UUID, Refusal]) -> list[dict[str, str]]:
    return [{"id": str(letter), "stage": why.stage, "reason": why.reason} for letter, why in refused.items()]


def _print(action: Action, report: dict[str, Any]) -> None:
    if not report["letters"]:
        typer.echo("no open dead letters like that; nothing was done")
        return
    would = "would be " if report["dry_run"] else ""
    done = "replayed" if action == "replay" else "discarded"
    became = f", {report['events']:,} events" if action == "replay" else ""
    typer.echo(f"{report['closed']:,} of {report['letters']:,} dead letters {would}{done}{became}")
    if report["dead_again"]:
        how = would or "were "
        typer.echo(f"{report['dead_again']:,} records of them {how}dead-lettered again, as letters of their own")
    for how, count in report["already"].items():
        typer.echo(f"{count:,} were {how} by somebody else meanwhile")
    if report["left"]:
        typer.echo(f"interrupted: {report['left']:,} letters were not looked at and stay as they are; run it again")
    if report["failed"]:
        typer.echo(f"{len(report['failed']):,} fail again and stay open:")
        for each in report["failed"][:_REASONS_SHOWN]:
            typer.echo(f"  {each['id'][:8]}  {each['stage']}: {' '.join(each['reason'].split())[:150]}")
        if len(report["failed"]) > _REASONS_SHOWN:
            typer.echo(f"  and {len(report['failed']) - _REASONS_SHOWN:,} more; --json names all")


class _Progress:
    """How far it is, on standard error: once a second on a terminal, every few seconds in a file."""

    def __init__(self) -> None:
        self._every_s = _SAY_EVERY_S if sys.stderr.isatty() else _SAY_TO_A_FILE_EVERY_S
        self._due = time.monotonic() + self._every_s

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._every_s
            typer.echo(f"{done:,} of {of:,} dead letters", err=True)
