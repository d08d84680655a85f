"""What a measurement of coverage gives: rows of the table `coverage`, and the findings that stand for them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

Kind = Literal[
    "measured", "register", "heard", "silence", "sequence", "sequence_gap", "dropped", "digests", "digest_gap", "clock",
    "losses", "skipped", "offsets", "unregistered", "control_run",
]  # fmt: skip
# seen: all of it. missed: some of it, in the past. silent: nothing at the moment. wrong: what was seen is not right.
# unknown: nothing says what should have been seen. waiting: too early to say.
State = Literal["seen", "missed", "silent", "wrong", "unknown", "waiting"]

SILENT: Final = "ONS-COV-03"
HOLES: Final = "ONS-COV-04"
DROPPED: Final = "ONS-COV-05"
DIGEST_GAPS: Final = "ONS-COV-06"
ALTERED: Final = "ONS-COV-07"
CLOCK: Final = "ONS-COV-08"
LOSSES: Final = "ONS-COV-09"
SKIPPED: Final = "ONS-COV-10"
DOUBLES: Final = "ONS-COV-11"
NOT_RUN: Final = "ONS-COV-12"
NOTHING_RAN: Final = "ONS-COV-13"
# Control → severity and what makes up its findings' fingerprints, as its file in `controls/packs/coverage` says.
CONTROLS: Final[dict[str, tuple[str, tuple[str, ...]]]] = {
    SILENT: ("high", ("tenant", "source_id")),
    HOLES: ("high", ("tenant", "collector_id")),
    DROPPED: ("high", ("tenant", "collector_id")),
    DIGEST_GAPS: ("high", ("tenant", "source_id")),
    ALTERED: ("critical", ("tenant", "source_id")),
    CLOCK: ("medium", ("tenant", "collector_id")),
    LOSSES: ("medium", ("tenant", "source_format")),
    SKIPPED: ("high", ("tenant", "source_id")),
    DOUBLES: ("low", ("tenant", "collector_id")),
    NOT_RUN: ("high", ("tenant", "source_id")),
    NOTHING_RAN: ("high", ("tenant", "source_id")),
}
VERSION: Final = 1
UNKNOWN: Final = "unknown"
# How many of one source's silences, or one collector's holes, are rows of their own; findings count all of them.
MOST_ROWS: Final = 100


@dataclass(frozen=True, slots=True)
class Covered:
    """One row of `coverage`; the columns' meanings stand in docs/coverage.md.

    Attributes:
        unit: of `expected` and `seen`: s, messages, digests, records, offsets, hours.
        expected: what should have been seen; None where nothing says so.
        seen: what of it was seen.
        doubled: what came more than once.
        control_id: whose findings stand for it; '' for none.
    """

    kind: Kind
    state: State
    tenant: str = ""
    source: str = ""
    collector_id: str = ""
    since: datetime | None = None
    until: datetime | None = None
    unit: str = ""
    expected: int | None = None
    seen: int | None = None
    doubled: int = 0
    last_heard: datetime | None = None
    control_id: str = ""
    why: str = ""
    owner: str = ""
    matters: str = ""


COLUMNS: Final = tuple(each.name for each in fields(Covered))


@dataclass(frozen=True, slots=True)
class Found:
    """A finding: `fingerprint` has the values of the control's `CONTROLS` columns, `events` counts what it is about."""

    control: str
    fingerprint: tuple[str, ...]
    first_seen: datetime
    last_seen: datetime
    events: int

    @property
    def tenant(self) -> str:
        """Whose it is."""
        return self.fingerprint[0]


Measured = tuple[list[Covered], list[Found]]


def one_a_fingerprint(found: Iterable[Found]) -> list[Found]:
    """The findings, those of one fingerprint made one."""
    merged: dict[tuple[str, tuple[str, ...]], Found] = {}
    for each in found:
        key = (each.control, each.fingerprint)
        other = merged.get(key)
        merged[key] = (
            each
            if other is None
            else replace(
                other,
                first_seen=min(other.first_seen, each.first_seen),
                last_seen=max(other.last_seen, each.last_seen),
                events=other.events + each.events,
            )
        )
    return list(merged.values())
