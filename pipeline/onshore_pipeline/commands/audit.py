"""`onshore audit`: is what the store holds what was sealed?"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import BrokerUnavailable, OnshoreError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from onshore_pipeline.evidence.signed_note import VerifierKey
    from onshore_pipeline.jobs.audit import Audited
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

_SAY_EVERY_S: Final = 1.0
_SHOWN: Final = 50
_UNCHECKABLE: Final = "uncheckable"

FromOption = Annotated[str | None, typer.Option("--from", help="Only messages sealed at or after this time (ISO 8601)")]
ToOption = Annotated[str | None, typer.Option("--to", help="Only messages sealed before this time")]


def audit(
    data_dir: DataDirOption = None, since: FromOption = None, to: ToOption = None, as_json: JsonOption = False
) -> int:
    """Make every canonical line, leaf and root again from the store, and compare with log and signed heads.

    Exit 0: all is as it was sealed. 1: something is not, and is named. 2: something could not be checked.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.evidence.self_check import check_compiled
    from onshore_pipeline.findings.standing import folders
    from onshore_pipeline.head_journal import HeadJournal
    from onshore_pipeline.jobs.audit import audit as run
    from onshore_pipeline.jobs.audit_states import audit_states
    from onshore_pipeline.jobs.log_statement import earlier_logs, statement_problems
    from onshore_pipeline.memory import keep_freed_columns, keep_freed_memory, leave_out_pandas
    from onshore_pipeline.signing_key import journal_path, witness_keys
    from onshore_pipeline.stack import salt_master

    leave_out_pandas()
    keep_freed_memory()
    keep_freed_columns()
    settings = load_settings({"data_dir": data_dir})
    first, last = _moment(since, datetime(1970, 1, 1, tzinfo=UTC)), _moment(to, datetime(2260, 1, 1, tzinfo=UTC))
    check_compiled()
    progress = _Progress()
    began = time.monotonic()
    with contextlib.ExitStack() as held:
        client = held.enter_context(contextlib.closing(assembly.store_client(settings)))
        unread = ""
        reader = None
        try:
            reader = assembly.entry_reader(settings, make_topics=False)
            held.callback(reader.close)
            _ = reader.log_id
        except BrokerUnavailable as error:
            reader, unread = None, str(error)
        journal = HeadJournal(journal_path(settings))
        keys, without_keys = _keys(settings)
        earlier = earlier_logs(DataDir(settings.data_dir).messages)
        done = run(
            client, reader, salt_master(settings), keys, journal, first, last, progress, witness_keys(settings), earlier
        )
        store = held.enter_context(contextlib.closing(_reader(settings)))
        where = folders(settings.context_dir, settings.data_dir)
        done.add(audit_states(store, where, datetime.now(UTC), done.waivers))
    if keys and not settings.kafka_bootstrap_servers:
        done.add(statement_problems(DataDir(settings.data_dir).messages, keys))
    notes = [f"the log could not be read, so that its copy was not compared with it: {unread}"] if unread else []
    notes += [each for each in (without_keys, done.waivers.unchecked) if each]
    _print(done, notes, time.monotonic() - began, as_json=as_json)
    if any(count for what, count in done.counts.items() if what != _UNCHECKABLE):
        return 1
    return 2 if notes or done.counts else 0


def _reader(settings: Settings) -> Reader:
    """The store as one who only reads."""
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    address = store_address(settings, writing=False)
    return Reader(address.url, address.user, address.password, ca_file=address.ca_file)


def _keys(settings: Settings) -> tuple[tuple[VerifierKey, ...], str]:
    """The verifier keys, and what could not be checked without them."""
    from onshore_pipeline.evidence.signed_note import parse_verifier_keys
    from onshore_pipeline.signing_key import key_path, public_path

    path = public_path(key_path(settings))
    if not path.exists():
        return (), f"there is no {path}: no signature of a head was checked"
    return parse_verifier_keys(path.read_text()), ""


def _print(done: Audited, notes: list[str], took_s: float, *, as_json: bool) -> None:
    if as_json:
        told = {"problems": [asdict(each) for each in done.problems], "counts": done.counts, "not_checked": notes}
        seen = {"size": done.seen.size, "by": sorted(done.seen.by), "at": done.seen.at}
        sums = {"events": done.events, "entries": done.entries, "took_s": round(took_s, 1)}
        sums |= {"hours_of_runs": done.runs.hours, "hours_of_windows_open": done.runs.windows_open}
        sums["hours_to_be_rebuilt"] = done.waiting
        typer.echo(json.dumps({**told, **sums, "waivers": done.waivers.states, "witnessed": seen}))
        return
    for each in done.problems[:_SHOWN]:
        typer.echo(f"{each.what.upper()}: {each.where}: {each.why}")
    total = sum(done.counts.values())
    if total > _SHOWN:
        typer.echo(f"... and {total - _SHOWN:,} more; --json names up to 1,000")
    for note in notes:
        typer.echo(f"NOT CHECKED: {note}")
    typer.echo(done.seen)
    if done.runs.hours:
        left = (
            f"; of {done.runs.windows_open:,} what windows came to can no longer be derived"
            if done.runs.windows_open
            else ""
        )
        typer.echo(f"runs of controls in {done.runs.hours:,} sealed hours{left}")
    if done.waivers.states:
        typer.echo("waivers: " + ", ".join(f"{n:,} {state}" for state, n in done.waivers.states.items()))
    if done.waiting:
        typer.echo(f"rollups of {done.waiting:,} hours are to be rebuilt: they were not compared")
    looked = f"{done.events:,} events and {done.entries or 0:,} log entries in {took_s:.1f} s"
    typer.echo(f"{looked}: " + (f"{total:,} problems" if total else "all is as it was sealed"))


def _moment(text: str | None, default: datetime) -> datetime:
    if text is None:
        return default
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{text!r} is no time; write it as 2026-11-26 or 2026-11-26T17:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class _Progress:
    """Says on standard error how far it is, at most once a second."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _SAY_EVERY_S

    def __call__(self, step: str, done: int, of: int | None) -> None:
        if time.monotonic() >= self._due:
            typer.echo(f"{done:,} of {of:,} {step}" if of else f"{done:,} {step}", err=True)
            self._due = time.monotonic() + _SAY_EVERY_S
