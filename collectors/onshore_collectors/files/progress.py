"""How far a reader of files is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


class ShowProgress(Protocol):
    """Shows how far a reader is."""

    def __call__(self, read_bytes: int, files: int, sent: int) -> None:
        """Say how many packed bytes and files are behind, and how many records were acknowledged."""


@contextmanager
def show_progress(
    out: TextIO, total_bytes: int, total_files: int, *, line_every_s: float = 10.0
) -> Iterator[ShowProgress]:
    """A way to show progress on `out`: a bar when it is a terminal, else a line every `line_every_s` seconds."""
    if out.isatty():
        yield from _bar(out, total_bytes, total_files)
    else:
        yield _lines(out, total_files, line_every_s)


def _bar(out: TextIO, total_bytes: int, total_files: int) -> Iterator[ShowProgress]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f}%  {task.description}"), TimeRemainingColumn())
    with Progress(*columns, console=Console(file=out), transient=True) as bar:
        task = bar.add_task("", total=total_bytes or None)
        began = time.monotonic()

        def show(read_bytes: int, files: int, sent: int) -> None:
            rate = sent / max(time.monotonic() - began, 1e-3)
            words = f"{files:,} of {total_files:,} files, {sent:,} records, {rate:,.0f}/s"
            bar.update(task, completed=read_bytes, description=words)

        yield show


def _lines(out: TextIO, total_files: int, line_every_s: float) -> ShowProgress:
    last = time.monotonic()

    def show(read_bytes: int, files: int, sent: int) -> None:
        nonlocal last
        del read_bytes
        if time.monotonic() - last >= line_every_s:
            last = time.monotonic()
            out.write(f"{files:,} of {total_files:,} files, {sent:,} records acknowledged\n")
            out.flush()

    return show
