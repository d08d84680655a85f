"""`onshore new-log`: begin a new local log where only an older copy of the old one is left."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from onshore_pipeline.embedded.local_log import LocalLog


def new_log(
    data_dir: DataDirOption = None,
    leave_waiting: Annotated[
        bool, typer.Option("--leave-waiting", help="Leave messages that wait for the worker in the old folder")
    ] = False,
    who: Annotated[str, typer.Option("--as", metavar="PERSON", help="Who does this; it is signed and recorded")] = "",
    reason: Annotated[str, typer.Option(help="Why; it is signed and recorded")] = "",
    as_json: JsonOption = False,
) -> None:
    """Put a new, empty log in the place of the local log; the stack must be stopped. The old folder is kept.

    A statement about it, signed by this deployment's key, stands in log/epoch.json; `onshore audit` checks it.
    """
    from onshore_pipeline.embedded.data_lock import locked
    from onshore_pipeline.embedded.new_log import begin_new_log
    from onshore_pipeline.jobs.log_statement import signed_statement
    from onshore_pipeline.signing_key import KeySource

    settings = load_settings({"data_dir": data_dir})
    if settings.kafka_bootstrap_servers:
        raise SettingsError(
            "kafka_bootstrap_servers", "is set: the log of a Kafka cluster is begun anew with its topics"
        )
    data = DataDir(settings.data_dir)
    if not data.path.is_dir():
        raise SettingsError("data_dir", f"there is no {data.path}; name the data directory with --data-dir")
    keyring = KeySource(settings)()  # now: without it nothing begins

    def state(epoch: dict[str, Any], log: LocalLog) -> str:
        statement = signed_statement(keyring, epoch, who or None, reason, datetime.now(UTC))
        if who:
            _record(log, statement, epoch, who, reason)
        return statement

    with locked(data, lambda words: typer.echo(words, err=True)):
        begun = begin_new_log(data.messages, leave_waiting=leave_waiting, state=state)
    if as_json:
        kept_in = str(begun.kept_in) if begun.kept_in else None
        report = {"log_id": begun.log_id, "kept_in": kept_in, "left_waiting": begun.left_waiting}
        typer.echo(json.dumps(report))
        return
    typer.echo(f"a new log has begun: {begun.log_id}")
    if begun.kept_in is not None:
        typer.echo(f"the old one lies in {begun.kept_in}; what was sealed stays in the store")
    if begun.left_waiting:
        typer.echo(
            f"ATTENTION: {sum(begun.left_waiting.values()):,} messages that waited in it are not read; those that the"
            " store does not have must be sent again"
        )


def _record(log: LocalLog, statement: str, epoch: dict[str, Any], who: str, reason: str) -> None:
    """The first event of the new log is that it began."""
    from onshore_pipeline.actions import Action, record_action

    told = {"onshore.log.id": epoch["log_id"], "onshore.log.statement": statement}
    if epoch["previous"]:
        told["onshore.log.previous"] = epoch["previous"]["log_id"]
    with closing(log.producer()) as recorder:
        record_action(recorder, Action("log.begin", "default", who, reason, told))
