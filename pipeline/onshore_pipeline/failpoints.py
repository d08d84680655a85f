"""Points before and after every step of docs/commit-protocol.md where a test can make a process die or stop.

Libraries take a callable and say where they are; what they are given in production does nothing. The one that acts is
made at the edge from a hidden option, and says so loudly.
"""

from __future__ import annotations

import difflib
import os
import signal
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import structlog

from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

    At = Callable[[str], None]

log = structlog.get_logger("failpoint")

WORKER_POINTS: Final = (
    "1.before", "1.after",
    "2.before", "2.after",
    "3.before", "3.after",
    "4.before", "4.events", "4.violations", "4.message_verdicts", "4.message_flows", "4.message_access",
    "4.message_collectors", "4.message_sequences", "4.message_statements", "4.message_actions", "4.metric_points",
    "4.dead_letters", "4.after",
    "5.before", "5.offsets", "5.entries", "5.committed", "5.after",
)  # fmt: skip
SEQUENCER_POINTS: Final = (
    "6.before", "6.read", "6.copied", "6.after",
    "7.before", "7.events", "7.violations", "7.message_verdicts", "7.message_flows", "7.message_access",
    "7.message_collectors", "7.message_sequences", "7.message_statements", "7.message_actions", "7.metric_points",
    "7.dead_letters", "7.after",
    "8.before", "8.claimed", "8.verdict_counts_built", "8.flows_hourly_built", "8.access_hourly_built",
    "8.heard_hourly_built", "8.sequences_hourly_built", "8.findings_built", "8.after", "8.old.before", "8.old.after",
)  # fmt: skip
RESTORE_POINTS: Final = (
    "9.before", "9.hidden", "9.deleted",
    "9.events", "9.violations", "9.message_verdicts", "9.message_flows", "9.message_access", "9.message_collectors",
    "9.message_sequences", "9.message_statements", "9.message_actions", "9.metric_points", "9.dead_letters",
    "9.shown", "9.lost", "9.rebuilt", "9.cleared", "9.after",
)  # fmt: skip
AMENDING_POINTS: Final = (
    "10.before", "10.begun", "10.computed", "10.registered", "10.events", "10.dead_letters", "10.noted", "10.committed",
    "10.after",
)  # fmt: skip
COLLECTING_POINTS: Final = ("11.stored", "11.acknowledged")
RECEIVING_POINTS: Final = ("12.before", "12.appended")
# Of the sequencer, too, when it starts and twice a minute.
SIGNING_POINTS: Final = ("13.before", "13.kept", "13.after")
DELETING_POINTS: Final = (
    "14.leaves", "14.planned", "14.sealing", "14.tombstone", "14.sealed", "14.events", "14.metric_points",
    "14.windowed_facts", "14.windowed_pending", "14.windowed_panes", "14.windowed_panes_built", "14.violations",
    "14.windowed_verdicts_built", "14.findings_built", "14.deleted",
)  # fmt: skip
# Of the sequencer, too, once an hour of control runs is complete.
RUNS_POINTS: Final = ("15.before", "15.derived", "15.recorded", "15.after")
# Of the sequencer, too, when windows, sequences and absences are judged.
WINDOW_POINTS: Final = (
    "16.before", "16.settled", "16.dropped", "16.claimed", "16.windowed_pending", "16.windowed_facts", "16.carried",
    "16.windowed_verdicts_built", "16.windowed_panes_built", "16.findings_built", "16.seen", "16.after",
)  # fmt: skip
POINTS: Final = (
    *WORKER_POINTS, *SEQUENCER_POINTS, *RESTORE_POINTS, *AMENDING_POINTS, *COLLECTING_POINTS, *RECEIVING_POINTS,
    *SIGNING_POINTS, *DELETING_POINTS, *RUNS_POINTS, *WINDOW_POINTS,
)  # fmt: skip

Action = Literal["kill", "pause"]
_SIGNALS: Final[dict[str, signal.Signals]] = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP}


def nowhere(point: str) -> None:
    """What production passes: nothing happens at any point."""
    del point


@dataclass(slots=True)
class Failpoint:
    """Acts once, the first time that its point is reached while its file is there; safe from any thread.

    Attributes:
        point: one of `POINTS`.
        action: 'kill' is SIGKILL to this process, 'pause' is SIGSTOP.
        armed_by: the file; None acts the first time.
    """

    point: str
    action: Action
    armed_by: Path | None = None
    _acting: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, point: str) -> None:
        """Say where the process is; it may not survive that."""
        if point != self.point or not (self.armed_by is None or self.armed_by.exists()):
            return
        if self._acting.acquire(blocking=False):  # never released: once is enough
            log.error("FAILPOINT REACHED", point=point, action=self.action)
            os.kill(os.getpid(), _SIGNALS[self.action])


def at_failpoint(text: str | None) -> At:
    """What to pass to libraries, from the option's text: POINT:kill|pause[:FILE], or nothing at all.

    Raises:
        SettingsError: there is no such point or action.
    """
    if not text:
        return nowhere
    point, _, rest = text.partition(":")
    action, _, file = rest.partition(":")
    if point not in POINTS:
        near = difflib.get_close_matches(point, POINTS, n=1)
        raise SettingsError(
            "failpoint", f"there is no point {point!r}" + (f"; did you mean {near[0]}?" if near else "")
        )
    if action not in _SIGNALS:
        why = f"{text!r} is not POINT:kill or POINT:pause, with a file that arms it after another colon"
        raise SettingsError("failpoint", why)
    armed_by = Path(file) if file else None
    log.error(
        "FAILPOINT ARMED: this process will end or stop itself; never in production",
        point=point,
        action=action,
        armed_by=file or "the first time",
    )
    return Failpoint(point, "kill" if action == "kill" else "pause", armed_by)
