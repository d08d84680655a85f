"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DataDirOption = Annotated[
    Path | None, typer.Option("--data-dir", help="Where `onshore up` keeps everything; default ./.onshore")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON on standard output")]
