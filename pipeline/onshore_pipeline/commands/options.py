"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from onshore_pipeline.errors import OnshoreError

LATEST_NS: Final = 2**63 - 1
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

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

T = TypeVar("T")


def cut(rows: Sequence[T], limit: int, first: str = "newest") -> Sequence[T]:
    """The first `limit` of these; that there are more is said on standard error, whoever reads the list."""
    if len(rows) > limit:
        typer.echo(f"onshore: there are more; the {first} {limit:,} are listed (--limit)", err=True)
    return rows[:limit]


def nanoseconds(option: str, text: str) -> int:
    """A time as people write it, in nanoseconds since 1970. Raises `OnshoreError`: it is none."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{option} {text}: no time; write 2026-11-26 or 2026-11-26T08:30Z") from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max(int((moment - _EPOCH).total_seconds()) * 1_000_000_000, 0), LATEST_NS)
