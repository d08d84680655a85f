"""The ground truth of one play: what `onshore check-truth` compares the store with."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from onshore_collectors.demo.schedule import Cell


@dataclass(slots=True)
class Truth:
    """What was planted.

    Attributes:
        run: the play's name, which every event carries.
        events: events sent; a machine's metrics of one minute are one.
        violations: (uid, control) of every expected violation.
        counts: events by (tenant as the store will name it, control, verdict).
        windows: what controls of more than one event must say about a key: tenant, control, key, verdict.
    """

    run: str
    events: int = 0
    violations: list[tuple[str, str]] = field(default_factory=list)
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    windows: list[tuple[str, str, str, str]] = field(default_factory=list)

    def expect(self, cell: Cell, stored_tenant: str) -> None:
        """Count a cell's events and their verdicts."""
        self.events += cell.events
        for control, verdict in cell.template.expected_of(cell.tenant).items():
            self.counts[stored_tenant, control, verdict.value] += cell.events

    def expect_windows(self, planted: Iterable[tuple[str, str, Verdict]], stored_tenant: str) -> None:
        """Note what must be said about keys: (control, key, verdict)."""
        self.windows += ((stored_tenant, control, key, verdict.value) for control, key, verdict in planted)

    def violate(self, uid: str, controls: Iterable[str]) -> None:
        """Note that the event violates these controls."""
        self.violations += ((uid, control) for control in controls)

    def write(self, path: Path) -> None:
        """Write the file.

        It holds run, events, violations as [uid, control] (a log's `log.record.uid`, else the span's id in lower-case
        hexadecimal), counts as {tenant, control, verdict, events}, windows as [tenant, control, key, verdict]. Raises
        `OSError`.
        """
        counts = [
            {"tenant": tenant, "control": control, "verdict": verdict, "events": events}
            for (tenant, control, verdict), events in sorted(self.counts.items())
        ]
        told = {"run": self.run, "events": self.events, "violations": sorted(self.violations), "counts": counts}
        told["windows"] = sorted(self.windows)
        path.write_text(json.dumps(told) + "\n", encoding="utf-8")


def violated_controls(cell: Cell) -> tuple[str, ...]:
    """The controls that every event of the cell violates."""
    expected = cell.template.expected_of(cell.tenant)
    return tuple(control for control, verdict in expected.items() if verdict is Verdict.VIOLATED)
