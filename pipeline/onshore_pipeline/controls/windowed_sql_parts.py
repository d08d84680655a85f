"""What the SELECTs of windows, sequences and absences have in common: which units are asked for, and what keys lack."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from onshore_pipeline.domain.event import COLUMNS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.controls.windowed import WindowedControl

# Behind every moment.
NEVER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Asked:
    """Which units are asked for, and as of when; times are nanoseconds since 1970.

    Attributes:
        since_ns: the first moment at which they begin.
        until_ns: the first at which they no longer do.
        watermark_ns: everything that arrived before is there.
        now_ns: the clock, never before `watermark_ns`.
        pieces: how many parts the keys are taken apart into, so that one fits into memory.
        piece: which of them.
    """

    since_ns: int
    until_ns: int
    watermark_ns: int
    now_ns: int
    pieces: int = 1
    piece: int = 0

    def within(self, control: WindowedControl) -> tuple[int, int]:
        """The same times, as far as the text judges what begins in them."""
        span = control.span
        since = self.since_ns if span.since_ns is None else max(self.since_ns, span.since_ns)
        return since, self.until_ns if span.until_ns is None else min(self.until_ns, span.until_ns)

    def is_own(self, control: WindowedControl) -> str:
        """Whether a key is in the piece."""
        return "1" if self.pieces == 1 else f"{_number(control)} % {self.pieces} = {self.piece}"

    def bears(self, control: WindowedControl) -> str:
        """Whether an event bears on a key of the piece: one whose key is not wholly known may, on any."""
        return "1" if self.pieces == 1 else f"({self.is_own(control)} OR {lacks_key(control)})"


def key_columns(control: WindowedControl) -> str:
    """The key's columns."""
    return ", ".join(column.name for column in control.key)


def key_texts(control: WindowedControl) -> str:
    """The key as texts, as facts have it."""
    texts = ", ".join(f"CAST(toString({column.name}) AS Nullable(String))" for column in control.key)
    return f"CAST([{texts}] AS Array(Nullable(String)))"


def lacks_key(control: WindowedControl) -> str:
    """Whether some column of the key is unknown."""
    return " OR ".join(f"{name} IS NULL" for name in _nullable(control)) or "0"


def patterns(control: WindowedControl) -> Iterator[tuple[str, str]]:
    """The ways in which a key can be unknown: the columns that are known then, and whether a key is such a one."""
    names, nullable = [column.name for column in control.key], _nullable(control)
    for count in range(1, len(nullable) + 1):
        for unknown in combinations(nullable, count):
            known = [name for name in names if name not in unknown]
            told = [f"{name} IS NULL" for name in unknown]
            told += [f"{name} IS NOT NULL" for name in known if name in nullable]
            yield ", ".join(known), " AND ".join(told)


def next_doubt(control: WindowedControl, possible: str, behind: str) -> str:
    """When the next event comes that may belong to the key and lacks the column that would say so; far off if none.

    Args:
        control: the control.
        possible: which events count.
        behind: where `next` ends: `CURRENT ROW` counts those of the same moment, `1 PRECEDING` does not.
    """
    found = [
        f"ifNull(min(if({told} AND {possible}, at, NULL)) OVER ({f'PARTITION BY {known} ' if known else ''}"
        f"ORDER BY at DESC RANGE BETWEEN UNBOUNDED PRECEDING AND {behind}), {NEVER})"
        for known, told in patterns(control)
    ]
    return found[0] if len(found) == 1 else f"least({', '.join(found)})" if found else str(NEVER)


def floored(moment: str, length: int) -> str:
    """How many times a length of time goes into a moment, which may lie before 1970."""
    return f"intDiv({moment} - positiveModulo({moment}, {length}), {length})"


def _nullable(control: WindowedControl) -> list[str]:
    return [column.name for column in control.key if not COLUMNS_BY_NAME[column.name].required]


def _number(control: WindowedControl) -> str:
    texts = ", ".join(f"ifNull(CAST(toString({column.name}) AS Nullable(String)), '')" for column in control.key)
    return f"cityHash64({texts})"
