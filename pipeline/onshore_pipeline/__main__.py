"""The `onshore` command."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from typing import Annotated

import structlog
import typer

from onshore_pipeline.commands import (
    audit,
    bench,
    checkpoints,
    context,
    controls,
    dead_letters,
    doctor,
    elsewhere,
    event,
    export,
    findings,
    foreign_access,
    holds,
    keys,
    new_log,
    rejudge,
    restore,
    retention,
    serve,
    status,
    store,
    tie_log,
    topics,
    truth,
    up,
    verify,
    waivers,
)
from onshore_pipeline.errors import INTERRUPTED, STAYS_DOWN, EvidenceAltered, OnshoreError, StaysDown

WRONG, COULD_NOT = 1, 2

app = typer.Typer(
    name="onshore",
    no_args_is_help=True,
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def onshore(
    version: Annotated[bool, typer.Option("--version", is_eager=True, help="Print the version and leave")] = False,  # noqa: FBT002
) -> None:
    """Proves where an organisation's AI ran, who touched it and where its data went."""
    # A report is all of standard output; standard error is looked up when something is said.
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    if version:
        typer.echo(metadata.version("onshore"))
        raise typer.Exit


app.command("up")(up.up)
app.command("status")(status.status)
app.command("doctor")(doctor.doctor)
for name in elsewhere.HELP:
    app.command(name, context_settings=elsewhere.PASS_ON, add_help_option=False, help=elsewhere.HELP[name])(
        elsewhere.collectors
    )
app.command("check-truth")(truth.check_truth)
app.command("worker")(serve.worker)
app.command("sequencer")(serve.sequencer)
app.command("migrate")(store.migrate)
app.command("restore")(restore.restore)
app.command("new-log")(new_log.new_log)
app.command("tie-log")(tie_log.tie_log)
app.command("export")(export.export)
app.command("verify")(verify.verify)
app.command("audit")(audit.audit)
app.command("rejudge")(rejudge.rejudge)
app.command("bench")(bench.bench)
app.add_typer(context.app, name="context")
app.add_typer(controls.app, name="controls")
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(findings.app, name="findings")
app.add_typer(waivers.app, name="waivers")
app.add_typer(holds.app, name="holds")
app.add_typer(retention.app, name="retention")
app.add_typer(event.app, name="event")
app.add_typer(foreign_access.app, name="foreign-access")
app.add_typer(keys.app, name="keys")
app.add_typer(checkpoints.app, name="checkpoints")
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Run a command; exit 0 done and good, 1 done and something is wrong, 2 could not be done, 3 stopped itself."""
    debug = "--debug" in sys.argv
    arguments = [argument for argument in sys.argv[1:] if argument != "--debug"]
    try:
        code = app(elsewhere.whole(arguments, debug=debug), standalone_mode=False)
    except OnshoreError as error:
        if debug:
            raise
        print(f"onshore: {error}", file=sys.stderr)  # noqa: T201 - the command line's own error line
        if isinstance(error, StaysDown):
            sys.exit(STAYS_DOWN)
        sys.exit(WRONG if isinstance(error, EvidenceAltered) else COULD_NOT)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except typer.Exit as asked:
        sys.exit(asked.exit_code)
    except typer.TyperException as error:
        described = getattr(error, "format_message", error.__str__)()  # names the option where it can
        if described:  # without arguments the help was printed already
            print(f"onshore: {described} (see --help)", file=sys.stderr)  # noqa: T201
        sys.exit(COULD_NOT)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(COULD_NOT)
    sys.exit(code if isinstance(code, int) else 0)


if __name__ == "__main__":
    main()
