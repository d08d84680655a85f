"""Compare the store with a ground truth: which planted events got which verdicts (`onshore check-truth`)."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from onshore_pipeline.controls.load import shipped_ids
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onshore_pipeline.store.reader import Reader

_SHOWN = 20

Violation = tuple[str, str]  # event's uid, control
Count = tuple[str, str, str]  # tenant, control, verdict
Window = tuple[str, str, str]  # tenant, control, key


@dataclass(frozen=True, slots=True)
class Truth:
    """What the demo planted.

    Attributes:
        run: the run's name; every event of it carries it as `onshore.demo.run`.
        events: events sent.
        violations: (uid, control) of every expected violation.
        counts: (tenant, control, verdict) → events, for every verdict that is not 'not applicable'.
        windows: (tenant, control, key) → the worst verdict of the windows, sequences or absences of that key.
    """

    run: str
    events: int
    violations: frozenset[Violation]
    counts: dict[Count, int]
    windows: dict[Window, str]


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
        wrong_windows: (tenant, control, key) with the expected and the found verdict, '' for none.
        windows: keys found right, by verdict.
        not_compared: verdicts found of each control that does not ship with Onshore: a demo knows nothing of it.
    """

    expected_events: int
    found_events: int
    right: int
    missing: tuple[Violation, ...]
    spurious: tuple[Violation, ...]
    wrong_counts: tuple[tuple[Count, int, int], ...]
    verdicts: dict[str, dict[str, int]]
    wrong_windows: tuple[tuple[Window, str, str], ...] = ()
    windows: dict[str, int] = field(default_factory=dict)
    not_compared: dict[str, int] = field(default_factory=dict)

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
        """Everything as planted: violations, every count of every verdict, every window, every event."""
        wrong = self.missing or self.spurious or self.wrong_counts or self.wrong_windows
        return not wrong and self.expected_events == self.found_events

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
            "wrong_windows": [
                {"tenant": t, "control": c, "key": key, "expected": expected, "found": found}
                for (t, c, key), expected, found in self.wrong_windows
            ],
            "windows": self.windows,
            "controls": self.verdicts,
            "not_compared": self.not_compared,
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
            {(tenant, control, key): verdict for tenant, control, key, verdict in told.get("windows", [])},
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
    of the run, which hold no other events. Controls of the deployment's own are left out, and counted.
    """
    named = {control for _, control in truth.violations} | {key[1] for key in (*truth.counts, *truth.windows)}
    ours = shipped_ids() | named
    every_window, every_count = windows_found(reader, truth), _counts(reader, truth.run)
    windows = {window: verdict for window, verdict in every_window.items() if window[1] in ours}
    counts = {count: events for count, events in every_count.items() if count[1] in ours}
    others: Counter[str] = Counter()
    for (_, control, _), events in every_count.items() - counts.items():
        others[control] += events
    others.update(control for _, control, _ in every_window.keys() - windows.keys())
    violations = frozenset(each for each in _violations(reader, truth.run) if each[1] in ours)
    found = violations | _violated(windows)
    planted = truth.violations | _violated(truth.windows)
    keys = sorted(set(truth.counts) | set(counts))
    wrong = tuple(
        (key, truth.counts.get(key, 0), counts.get(key, 0))
        for key in keys
        if truth.counts.get(key, 0) != counts.get(key, 0)
    )
    return Comparison(
        expected_events=truth.events,
        found_events=events_found(reader, truth),
        right=len(found & planted),
        missing=tuple(sorted(planted - found)),
        spurious=tuple(sorted(found - planted)),
        wrong_counts=wrong,
        verdicts=_by_control(counts),
        wrong_windows=tuple(
            (key, expected, windows.get(key, ""))
            for key, expected in sorted(truth.windows.items())
            if windows.get(key, "") != expected
        ),
        windows=dict(Counter(expected for key, expected in truth.windows.items() if windows.get(key) == expected)),
        not_compared=dict(sorted(others.items())),
    )


def windows_right(reader: Reader, truth: Truth) -> bool:
    """Whether every planted key has come to what it must."""
    found = windows_found(reader, truth)
    return all(found.get(key) == verdict for key, verdict in truth.windows.items())


def windows_found(reader: Reader, truth: Truth) -> dict[Window, str]:
    """What is said about keys that hold the run's name: the worst verdict of each."""
    frame = reader.frame(
        "SELECT toString(tenant) AS tenant, toString(control_id) AS control, each AS k,"
        " multiIf(countIf(verdict = 'violated') > 0, 'violated', countIf(verdict = 'undetermined') > 0,"
        " 'undetermined', 'satisfied') AS worst FROM windowed_current ARRAY JOIN mapValues(key) AS each"
        " WHERE endsWith(each, concat('.', {run:String})) GROUP BY tenant, control, k",
        {"run": truth.run},
    )
    rows = zip(frame["tenant"], frame["control"], frame["k"], frame["worst"], strict=True)
    return {(tenant, control, key): worst for tenant, control, key, worst in rows}


def _violated(windows: Mapping[Window, str]) -> frozenset[Violation]:
    return frozenset((key, control) for (_, control, key), verdict in windows.items() if verdict == "violated")


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
