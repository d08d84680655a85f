"""Compare the store with a ground truth: which planted events got which verdicts (`onshore check-truth`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.store.reader import Reader

_SHOWN = 20

Violation = tuple[str, str]  # event's uid, control
Count = tuple[str, str, str]  # tenant, control, verdict


@dataclass(frozen=True, slots=True)
class Truth:
    """What the demo planted.

    Attributes:
        run: the run's name; every event of it carries it as `onshore.demo.run`.
        events: events sent.
        violations: (uid, control) of every expected violation.
        counts: (tenant, control, verdict) → events, for every verdict that is not 'not applicable'.
    """

    run: str
    events: int
    violations: frozenset[Violation]
    counts: dict[Count, int]


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the store compares with the truth; a wrong count shows even where no violation is involved.

    Attributes:
        expected_events: events sent.
        found_events: events of the run that are visible; more than were sent when a request was sent again though its
            first try had arrived.
        right: planted violations that were found.
        missing: planted violations that were not.
        spurious: violations that were not planted.
        wrong_counts: (tenant, control, verdict) with the expected and the found number of events.
        verdicts: events found by control and verdict.
    """

    expected_events: int
    found_events: int
    right: int
    missing: tuple[Violation, ...]
    spurious: tuple[Violation, ...]
    wrong_counts: tuple[tuple[Count, int, int], ...]
    verdicts: dict[str, dict[str, int]]

    @property
    def precision(self) -> float:
        """Right violations among those found; 1.0 when none was found."""
        found = self.right + len(self.spurious)
        return self.right / found if found else 1.0

    @property
    def recall(self) -> float:
        """Right violations among those planted; 1.0 when none was planted."""
        planted = self.right + len(self.missing)
        return self.right / planted if planted else 1.0

    @property
    def is_good(self) -> bool:
        """Everything as planted: violations, every count of every verdict, every event."""
        return not (self.missing or self.spurious or self.wrong_counts) and self.expected_events == self.found_events

    def as_json(self) -> dict[str, Any]:
        """For `--json`, with at most a few examples of each kind of error."""
        return {
            "precision": self.precision,
            "recall": self.recall,
            "events_expected": self.expected_events,
            "events_found": self.found_events,
            "violations_right": self.right,
            "missing": len(self.missing),
            "spurious": len(self.spurious),
            "wrong_counts": [
                {"tenant": t, "control": c, "verdict": v, "expected": expected, "found": found}
                for (t, c, v), expected, found in self.wrong_counts
            ],
            "controls": self.verdicts,
            "examples": {"missing": self.missing[:_SHOWN], "spurious": self.spurious[:_SHOWN]},
        }


def read_truth(path: Path) -> Truth:
    """Read a truth file.

    Raises:
        OnshoreError: the file is not there or not a truth file.
    """
    try:
        told = json.loads(path.read_text())
        return Truth(
            told["run"],
            told["events"],
            frozenset((uid, control) for uid, control in told["violations"]),
            {(row["tenant"], row["control"], row["verdict"]): row["events"] for row in told["counts"]},
        )
    except OSError as error:
        raise OnshoreError(f"{path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise OnshoreError(f"{path} is not a truth file written by `onshore demo --truth`: {error!r}") from None


def events_found(reader: Reader, truth: Truth) -> int:
    """How many events of the run are visible."""
    frame = reader.frame(
        "SELECT count() AS n FROM events_current WHERE resource_attributes['onshore.demo.run'] = {run:String}",
        {"run": truth.run},
    )
    return int(frame["n"][0])


def compare(reader: Reader, truth: Truth) -> Comparison:
    """Compare what the store holds of the run with what was planted.

    Violations are compared event by event; satisfied and undetermined ones by tenant and control, over the messages
    of the run, which hold no other events.
    """
    found = _violations(reader, truth.run)
    counts = _counts(reader, truth.run)
    keys = sorted(set(truth.counts) | set(counts))
    wrong = tuple(
        (key, truth.counts.get(key, 0), counts.get(key, 0))
        for key in keys
        if truth.counts.get(key, 0) != counts.get(key, 0)
    )
    return Comparison(
        expected_events=truth.events,
        found_events=events_found(reader, truth),
        right=len(found & truth.violations),
        missing=tuple(sorted(truth.violations - found)),
        spurious=tuple(sorted(found - truth.violations)),
        wrong_counts=wrong,
        verdicts=_by_control(counts),
    )


def _by_control(counts: dict[Count, int]) -> dict[str, dict[str, int]]:
    by_control: dict[str, dict[str, int]] = {}
    for (_, control, verdict), events in sorted(counts.items()):
        verdicts = by_control.setdefault(control, {})
        verdicts[verdict] = verdicts.get(verdict, 0) + events
    return by_control


def _violations(reader: Reader, run: str) -> frozenset[Violation]:
    frame = reader.frame(
        "SELECT e.uid AS uid, v.control_id AS control FROM violations_current AS v INNER JOIN ("
        " SELECT event_id,"
        " multiIf(attributes['log.record.uid'] != '', attributes['log.record.uid'],"
        " span_id IS NOT NULL, lower(hex(assumeNotNull(span_id))), toString(event_id)) AS uid"
        " FROM events_current WHERE resource_attributes['onshore.demo.run'] = {run:String}"
        ") AS e ON v.event_id = e.event_id",
        {"run": run},
    )
    return frozenset(zip(frame["uid"].to_list(), frame["control"].to_list(), strict=True))


def _counts(reader: Reader, run: str) -> dict[Count, int]:
    """Counts over the messages of the run; the demo never mixes its events with others in one message."""
    frame = reader.frame(
        "SELECT tenant, control_id, verdict, sum(events) AS n FROM message_verdicts_current"
        " WHERE (topic_id, kafka_partition, kafka_offset) IN ("
        "  SELECT DISTINCT topic_id, kafka_partition, kafka_offset FROM events_current"
        "  WHERE resource_attributes['onshore.demo.run'] = {run:String}"
        ") GROUP BY tenant, control_id, verdict",
        {"run": run},
    )
    rows = zip(frame["tenant"], frame["control_id"], frame["verdict"], frame["n"], strict=True)
    return {(tenant, control, verdict): int(n) for tenant, control, verdict, n in rows}
