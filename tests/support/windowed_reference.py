"""What windowed, sequence and absence controls mean, in plain Python, one unit at a time: slow, and easy to check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from onshore_pipeline.controls.condition import And, Column, Compare, Flag, Not, Or, Text, Truth

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_pipeline.controls.windowed import WindowedControl

VIOLATED, SATISFIED, UNDETERMINED = "violated", "satisfied", "undetermined"


@dataclass(frozen=True)
class Fact:
    """A row of facts; `keys` and `vals` hold None for what is unknown."""

    event_id: bytes
    role: int
    at: int
    arrival: int
    keys: tuple[str | None, ...]
    vals: tuple[str | None, ...]
    sure: bool
    disputed: bool


Said = tuple[int, str, str]  # stated at, before, verdict
Unit = tuple[tuple[str | None, ...], int, bytes]  # key, since, first event (b'' for a window or an absence)


def history(control: WindowedControl, facts: Iterable[Fact], watermark: int) -> dict[Unit, list[Said]]:
    """Every unit's changes of verdict; units about which nothing is said yet are left out."""
    facts = list(facts)
    units = _windows(control, facts) if control.windowed.kind == "window" else _firsts(control, facts)
    found = {}
    for unit, close, first in units:
        base = max(close, first)
        times = sorted({base, *(fact.arrival for fact in facts)})
        said: list[Said] = []
        for time in times:
            due = time >= base
            if due and close > watermark:
                break
            seen = [fact for fact in facts if fact.arrival <= time]
            verdict = _verdict(control, unit, seen, due=due) if time >= first else None
            if verdict is not None and (not said or said[-1][2] != verdict):
                said.append((time, said[-1][2] if said else "", verdict))
        if said:
            found[unit] = said
    return found


def _windows(control: WindowedControl, facts: Sequence[Fact]) -> list[tuple[Unit, int, int]]:
    windowed = control.windowed
    firsts: dict[Unit, int] = {}
    for fact in facts:
        start = fact.at // windowed.every_ns * windowed.every_ns
        while start + windowed.period_ns > fact.at:
            unit = (fact.keys, start, b"")
            firsts[unit] = min(firsts.get(unit, fact.arrival), fact.arrival)
            start -= windowed.every_ns
    return [(unit, unit[1] + windowed.period_ns + windowed.lateness_ns, first) for unit, first in firsts.items()]


def _firsts(control: WindowedControl, facts: Sequence[Fact]) -> list[tuple[Unit, int, int]]:
    long = sum(control.windowed.within_ns) + control.windowed.lateness_ns
    if control.windowed.kind == "sequence":
        return [((f.keys, f.at, f.event_id), f.at + long, f.arrival) for f in facts if f.role == 0]
    moments = {(fact.keys, fact.at) for fact in facts}
    return [((keys, at, b""), at + long, _surest(keys, at, facts).arrival) for keys, at in moments]


def _surest(keys: tuple[str | None, ...], at: int, facts: Sequence[Fact]) -> Fact:
    here = [fact for fact in facts if fact.keys == keys and fact.at == at]
    return min(here, key=lambda fact: (not fact.sure, fact.disputed, fact.arrival, fact.event_id))


def _verdict(control: WindowedControl, unit: Unit, seen: list[Fact], *, due: bool) -> str | None:  # noqa: PLR0911 - one case a line
    keys = unit[0]
    whole_key = None not in keys
    if control.windowed.kind == "window":
        return _window_verdict(control, unit, seen, due=due)
    within = control.windowed.within_ns
    if control.windowed.kind == "sequence":
        first = next(fact for fact in seen if fact.role == 0 and fact.event_id == unit[2])
        if not (first.sure and whole_key):
            return UNDETERMINED if due else None
        chain = _chain(first, 1, seen, within, len(control.roles))
        if chain is True:
            return VIOLATED
        if not due:
            return None
        return UNDETERMINED if chain is None or first.disputed else SATISFIED
    here = [fact for fact in seen if fact.keys == keys and fact.at == unit[1]]
    start = min(here, key=lambda fact: (not fact.sure, fact.disputed, fact.arrival, fact.event_id))
    if not (start.sure and whole_key):
        return UNDETERMINED if due else None
    later = [f for f in seen if start.at < f.at <= start.at + within[0] and _may_belong(f, keys)]
    certain = any(f.keys == keys and f.sure and not f.disputed for f in later)
    if certain and not start.disputed:
        return SATISFIED
    if not due:
        return None
    return UNDETERMINED if later else VIOLATED


def _chain(fact: Fact, step: int, seen: list[Fact], within: Sequence[int], steps: int) -> bool | None:
    """Whether the steps from `step` on follow `fact`: True, None for perhaps, False."""
    if step == steps:
        return True
    answer: bool | None = False
    for later in seen:
        if later.role != step or not fact.at <= later.at <= fact.at + within[step - 1]:
            continue
        if not _may_belong(later, fact.keys) or later.event_id == fact.event_id:
            continue
        if None in later.keys:
            answer = None if answer is False else answer
            continue
        rest = _chain(later, step + 1, seen, within, steps)
        if rest and later.sure and later.at > fact.at:
            return True
        if rest is not False and answer is False:
            answer = None
    return answer


def _may_belong(fact: Fact, keys: tuple[str | None, ...]) -> bool:
    return all(own is None or own == wanted for own, wanted in zip(fact.keys, keys, strict=True))


def _window_verdict(control: WindowedControl, unit: Unit, seen: list[Fact], *, due: bool) -> str | None:
    keys, since, _ = unit
    inside = [fact for fact in seen if since <= fact.at < since + control.windowed.period_ns]
    own = [fact for fact in inside if fact.keys == keys]
    whole_key = None not in keys
    doubt = whole_key and any(None in fact.keys and _may_belong(fact, keys) for fact in inside)
    assert control.condition is not None
    decided = []
    for comparison in control.condition.comparisons:
        aggregate = control.condition.aggregates[comparison.aggregate]
        place = None if aggregate.column is None else control.values.index(aggregate.column)
        sure = [fact for fact in own if fact.sure]
        values = [] if place is None else [fact.vals[place] for fact in sure if fact.vals[place] is not None]
        known = {
            "count": len(sure),
            "sum": sum(int(value) for value in values if value is not None) if aggregate.function == "sum" else 0,
            "distinct": len(set(values)),
        }[aggregate.function]
        unknown = doubt or not due or any(not fact.sure for fact in own)
        unknown = unknown or (place is not None and any(fact.vals[place] is None for fact in own))
        decided.append(_compared(comparison.operator, known, comparison.limit, unknown=unknown))
    broken = _ask(control.condition.condition, decided, dict(zip((c.name for c in control.key), keys, strict=True)))
    scope = whole_key and any(fact.sure for fact in own)
    if scope and broken:
        return VIOLATED
    if not due:
        return None
    return SATISFIED if scope and broken is False and not any(fact.disputed for fact in own) else UNDETERMINED


def _compared(operator: str, known: int, limit: int, *, unknown: bool) -> bool | None:
    """All values from `known` on are possible where something is unknown: the answer, if it is the same for all."""

    def ask(value: int) -> bool:
        return {
            ">": value > limit, ">=": value >= limit, "<": value < limit, "<=": value <= limit,
            "=": value == limit, "<>": value != limit,
        }[operator]  # fmt: skip

    candidates = (
        [known] if not unknown else [known, *(v for v in (limit - 1, limit, limit + 1) if v > known), known + 1]
    )
    answers = {ask(value) for value in candidates}
    return answers.pop() if len(answers) == 1 else None


def _ask(node: object, decided: Sequence[bool | None], keys: dict[str, str | None]) -> bool | None:
    match node:
        case Truth(value):
            return value
        case Flag(Column(name, _)):
            return decided[int(name.removeprefix("decided_"))]
        case Not(inner):
            answer = _ask(inner, decided, keys)
            return None if answer is None else not answer
        case And(parts):
            answers = [_ask(part, decided, keys) for part in parts]
            return False if False in answers else None if None in answers else True
        case Or(parts):
            answers = [_ask(part, decided, keys) for part in parts]
            return True if True in answers else None if None in answers else False
        case Compare("=" | "<>" as operator, Column(name, _), Text(text)):
            found = keys[name]
            return None if found is None else (found == text) is (operator == "=")
        case _:
            raise AssertionError(node)
