"""`onshore verify`: check a bundle offline; the numbered steps of docs/bundle-format.md."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from onshore_pipeline.commands.options import JsonOption


def verify(
    bundle: Annotated[Path, typer.Argument(help="The bundle; with --proof the file of one event")],
    key: Annotated[Path, typer.Option(help="File of the operator's verifier key, and of witnesses'")],
    checkpoint: Annotated[Path | None, typer.Option(help="A checkpoint that you have from somewhere else")] = None,
    proof: Annotated[Path | None, typer.Option(help="Of one event, which is checked by itself")] = None,
    disclosed: Annotated[Path | None, typer.Option(help="An event of the bundle, disclosed later")] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a bundle: exit 0 as it was sealed, 1 altered, 2 cannot be checked. Whether it is witnessed stands first."""
    from onshore_pipeline.evidence import verify_standalone as standalone
    from onshore_pipeline.evidence.verify import LibraryKey, quick_messages
    from onshore_pipeline.memory import keep_freed_memory

    keep_freed_memory()
    try:
        keys = standalone.parse_keys(standalone.read_file(str(key)).decode("utf-8", "replace"), LibraryKey)
        brought, alone, later = (str(each) if each else None for each in (checkpoint, proof, disclosed))
        processes = min(os.cpu_count() or 1, 8)
        found = standalone.verify_files(str(bundle), keys, brought, alone, later, processes, quick_messages)
    except standalone.Problem as problem:
        word, line = standalone.verdict_on(problem)
        if as_json:
            what = {"result": word, "step": problem.step, "what": problem.what, "steps": problem.passed}
            typer.echo(json.dumps(what))
        elif problem.passed:
            typer.echo(standalone.passed_before(problem))
        typer.echo(line, err=True)
        raise typer.Exit(problem.exit_code) from None
    typer.echo(json.dumps({"result": "GOOD", **found}) if as_json else standalone.report(found))
