"""Records that hold what a reader of files could not read: they are dead letters from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain import unreadable
from onshore_pipeline.wire.frames import Failure

if TYPE_CHECKING:
    from onshore_pipeline.wire.frames import Decoded

_KEYS: Final = (unreadable.REASON, unreadable.FILE, unreadable.LINE, unreadable.POSITION)


def told_unreadable(decoded: Decoded) -> tuple[Failure, ...]:
    """One failure a record that says that it is none, with the file, line and byte where it stood."""
    rows = decoded.attributes.filter(pl.col("key") == unreadable.REASON)["row"]
    if not rows.len():
        return ()
    named = decoded.attributes.filter(pl.col("row").is_in(rows.implode()) & pl.col("key").is_in(_KEYS))
    about: dict[int, dict[str, str]] = {}
    for row, key, text in named.select("row", "key", "text").iter_rows():
        about.setdefault(row, {})[key] = text
    places = decoded.records[rows].select("row", "message", "record_index")
    return tuple(
        Failure(message, (index,), unreadable.STAGE, _reason(about[row])) for row, message, index in places.iter_rows()
    )


def _reason(about: dict[str, str]) -> str:
    names = ((unreadable.FILE, ""), (unreadable.LINE, "line "), (unreadable.POSITION, "byte "))
    where = ", ".join(f"{name}{about[key]}" for key, name in names if key in about)
    return f"{where}: {about[unreadable.REASON]}" if where else about[unreadable.REASON]
