"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where `onshore up` keeps everything; default ./.onshore")
]
FailpointOption = Annotated[
    str | None,
    typer.Option(
        "--failpoint", envvar="ONSHORE_FAILPOINT", hidden=True, help="For tests: POINT:kill or POINT:pause[:FILE]"
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output")]
