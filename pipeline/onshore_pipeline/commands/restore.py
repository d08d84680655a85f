"""`onshore restore`: write the rows that the store lacks again, from the messages that the broker still keeps."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from onshore_pipeline.commands.options import DataDirOption, FailpointOption, JsonOption
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir
from onshore_pipeline.store_lock import changing_alone

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.broker import EntryReader
    from onshore_pipeline.jobs.restore import Restored

_SAY_EVERY_S: Final = 1.0
_NAMED: Final = 5


def restore(
    data_dir: DataDirOption = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only say what would be done")] = False,
    hashes: Annotated[
        bool, typer.Option("--hashes", help="Hold the leaf hashes of every message against its sealed root, too")
    ] = False,
    as_json: JsonOption = False,
    failpoint: FailpointOption = None,
) -> int:
    """Restore what an older store lacks: exit 1 while something is missing that could not be restored.

    Worker and sequencer may go on. Messages that nobody has any more are named in the evidence log as lost.
    """
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.control_runs import restore_runs
    from onshore_pipeline.jobs.incomplete import incomplete
    from onshore_pipeline.jobs.lost import seal_lost
    from onshore_pipeline.jobs.restore import Restorer
    from onshore_pipeline.log_check import refuse_older_log
    from onshore_pipeline.log_ties import refuse_log_of_another
    from onshore_pipeline.sequencer import stands
    from onshore_pipeline.store.connect import store_errors

    settings = load_settings({"data_dir": data_dir})
    at = at_failpoint(failpoint)
    with contextlib.ExitStack() as opened:
        opened.enter_context(changing_alone(DataDir(settings.data_dir)))
        client = assembly.store_client(settings)
        opened.callback(client.close)
        log = opened.enter_context(contextlib.closing(assembly.entry_reader(settings, make_topics=False)))
        refuse_log_of_another(settings, client, sealing=False)
        _refuse_another_log(client, log)
        refuse_older_log(log, client)
        messages = opened.enter_context(contextlib.closing(assembly.message_reader(settings)))
        judgement = assembly.judgement(settings)
        restorer = Restorer(client, messages, judgement, plan=plan, hashes=hashes, at=at, say=_Progress())
        at("9.before")
        done = restorer.run()
        sealed = hours = runs = 0
        if not plan:
            if done.lost:
                producer = opened.enter_context(contextlib.closing(assembly.producer(settings)))
                sealed = seal_lost(done.lost, producer, log, stands(client, log.log_id)[0], judgement.pipeline)
            at("9.lost")
            hours = restorer.roll_up(log.log_id)
            with store_errors():
                runs = restore_runs(client, log.log_id)
            at("9.after")
        behind = _not_copied(client, log)
        report = _report(done, plan=plan) | {
            "lost_entries": sealed,
            "hours_rebuilt": hours,
            "hours_of_runs_rebuilt": runs,
            "log_entries_behind": behind,
        }
        # what was just called lost counts as missing until the sequencer has copied the entry that says so
        report["attempts_incomplete"] = len(incomplete(client))
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _print(report)
    missing = ("attempts_incomplete", "lost_messages", "altered", "log_entries_behind")
    return 1 if any(report[name] for name in missing) else 0


def _report(done: Restored, *, plan: bool) -> dict[str, Any]:
    return {
        "plan": plan,
        "attempts_found": done.attempts,
        "attempts_restored": done.whole,
        "attempts_restored_in_part": done.partly,
        "attempts_left": done.left,
        "events_written": 0 if plan else done.events,
        "events_restorable": done.events,
        "lost_messages": done.lost_messages,
        "unknown": dict(sorted(done.unknown.items())),
        "lost": [
            {"topic": each.topic, "topic_id": str(each.topic_id), "partition": each.partition}
            | {"offset": each.offset, "end": each.end, "attempt": str(each.attempt_id)}
            for each in done.lost
        ],
        "differs": [
            {"members": names, "messages": count, "first": done.examples[names]}
            for names, count in sorted(done.differs.items())
        ],
        "altered": [
            {"topic": each.topic, "topic_id": str(each.topic_id), "partition": each.partition}
            | {"offset": each.offset, "attempt": str(each.attempt_id)}
            for each in done.altered
        ],
    }


def _print(report: dict[str, Any]) -> None:
    would = "would be " if report["plan"] else ""
    if not report["attempts_found"]:
        typer.echo("every committed attempt has all of its rows")
    else:
        typer.echo(f"{report['attempts_found']:,} committed attempts lacked rows")
        typer.echo(f"{report['attempts_restored']:,} {would}restored, with {report['events_restorable']:,} events")
    if report["attempts_restored_in_part"]:
        typer.echo(f"{report['attempts_restored_in_part']:,} {would}restored in part")
    if report["attempts_left"]:
        typer.echo(
            f"ATTENTION: {report['attempts_left']:,} attempts stay as they are: they lack rows, and those that they"
            " have could not be made again, since the broker has not kept their messages or they come out differently"
        )
    if report["lost_messages"]:
        typer.echo(
            f"ATTENTION: {report['lost_messages']:,} messages are lost: sealed, without rows, and the broker no longer"
            f" keeps them; {'the log would say so' if report['plan'] else 'the log says so'}. A longer retention of the"
            " event topics keeps more (local_log_kept_hours, local_log_kept_mib; on Kafka retention.ms)"
        )
    for topic, count in report["unknown"].items():
        typer.echo(
            f"ATTENTION: {count:,} messages of topic {topic} are neither in the store nor called lost: the broker"
            " does not know that topic now. Run this again; if it was deleted for good, make one of that name (`onshore"
            " topics create`) and run this again"
        )
    for each in report["differs"]:
        typer.echo(
            f"ATTENTION: {each['messages']:,} messages come out differently than they were sealed, and nothing was"
            f" written for them; what differs: {', '.join(each['members'])}. Restore with the version, the registries,"
            f" the controls and the salt key that sealed them. They are {_some(each['first'], each['messages'])}"
        )
    if report["altered"]:
        names = [f"{each['topic']}[{each['partition']}]@{each['offset']}" for each in report["altered"]]
        typer.echo(
            f"ATTENTION: rows of {len(names):,} messages do not give the root that the log has sealed, and could not be"
            f" made again: {_some(names[:_NAMED], len(names))}; --json names all"
        )
    if report["log_entries_behind"]:
        typer.echo(
            f"ATTENTION: {report['log_entries_behind']:,} entries of the log are not in the store yet, and were not"
            " looked at: let the sequencer catch up, then run this again"
        )


def _some(names: list[str], of: int) -> str:
    shown = names[:_NAMED]
    return ", ".join(shown) + (f" and {of - len(shown):,} more" if of > len(shown) else "")


def _refuse_another_log(client: Client, log: EntryReader) -> None:
    """Stop where this broker has nothing to do with the store: everything would be called lost."""
    from onshore_pipeline.store.connect import store_errors

    with store_errors():
        known = {row[0] for row in client.query("SELECT DISTINCT log_id FROM evidence_log").result_rows}
    if known and not any(each.int == 0 or each == log.log_id for each in known):
        raise OnshoreError(
            f"the store has copied nothing from this broker's evidence log ({log.log_id}): is it the right broker?"
            " After a new log has begun, let the sequencer copy its first entries, then run this again"
        )


def _not_copied(client: Client, log: EntryReader) -> int:
    """Entries that the store has no copy of."""
    from onshore_pipeline.sequencer import stands

    after, _ = stands(client, log.log_id)
    return len(log.read(after=after, max_entries=10_000, timeout_s=1.0))


class _Progress:
    """Says on standard error how far it is, at most once a second."""

    def __init__(self) -> None:
        self._due = time.monotonic() + _SAY_EVERY_S

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._due:
            typer.echo(f"{done:,} of {of:,} attempts", err=True)
            self._due = time.monotonic() + _SAY_EVERY_S
