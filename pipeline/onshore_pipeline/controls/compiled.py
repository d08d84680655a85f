"""A control made ready to run: its whole verdict as text for both engines, and what an undetermined verdict lacked.

The verdict of an event, outermost first: another domain, outcome or time of force → not applicable; `applies` FALSE →
not applicable; `violated` TRUE → violated; FALSE and no contradiction about a party that the conditions read →
satisfied; anything else → undetermined.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.condition import (
    Among,
    And,
    Column,
    Condition,
    Contradicted,
    Not,
    Or,
    Truth,
    columns_in,
    conjunction,
    disjunction,
    parties_questioned,
)
from onshore_pipeline.controls.kinds import REPEATING, time_limits
from onshore_pipeline.controls.language import CONTRADICTABLE, OCCURRED_AT, limits_of, parse_condition
from onshore_pipeline.controls.lists import DatedList, Period, day_end_ns, day_start_ns
from onshore_pipeline.controls.texts import CLICKHOUSE, POLARS, Dialect, condition_text, quoted, unknown_text
from onshore_pipeline.domain.control import KNOWN_OUTCOMES
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, DOMAINS, Kind
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.controls.windowed import WindowedControl
    from onshore_pipeline.domain.control import Control

# What an undetermined verdict lacked, besides columns.
MISSING_OUTCOME: Final = "outcome"
MISSING_AGREEMENT: Final = "contradictions"

_OUTCOME: Final = Column("outcome", COLUMNS_BY_NAME["outcome"].kind)
_DOMAIN: Final = Column("domain", COLUMNS_BY_NAME["domain"].kind)


@dataclass(frozen=True, slots=True)
class EngineTexts:
    """One control in one engine's SQL, over the columns of `events`.

    Attributes:
        applies: whether it judges the event (domain, outcome, time of force and `applies` together); NULL if unknown.
        violated: the condition `violated`; NULL if unknown.
        contradicted: whether claims about a party that the conditions read disagree; never NULL.
        verdict: the verdict as a word; never NULL.
        missing: for an undetermined verdict, what was missing first (a column, 'outcome' or 'contradictions').
    """

    applies: str
    violated: str
    contradicted: str
    verdict: str
    missing: str


@dataclass(frozen=True, slots=True)
class Span:
    """When a text of a control judges: nanoseconds since 1970 of the events' own time; None is open.

    Attributes:
        since_ns: the first.
        until_ns: the first that it does not judge any more.
    """

    since_ns: int | None = None
    until_ns: int | None = None


ALWAYS: Final = Span()


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """A control with its checked conditions.

    Attributes:
        scope: domain and time of force.
        applies: the condition `applies`.
        violated: the condition `violated`.
        outcome_text: whether a known outcome is one it judges, in SQL; None when every outcome is judged.
        columns: every column that the verdict reads.
        parties: the parties whose contradictions matter.
        polars: the texts that `judge` evaluates with `pl.sql_expr`.
        clickhouse: the texts for history in the store.
        gate: Polars text of domain, outcome and `applies` without the time of force: FALSE for every kind of event in a
            batch means that the control applies to none of its events. None if `applies` reads what has many values, or
            asks about claims.
        gate_columns: what the gate reads.
        limits_ns: what the verdict compares `occurred_at` with, in the sense of `kinds.time_limits`; None if it reads a
            column whose values seldom repeat, so that events are judged one by one.
        windowed: what it looks at beyond one event; such a control is not judged with the single events.
        span: when this text judges, besides the control's own time of force: another may come before or behind it.
    """

    control: Control
    scope: Condition
    applies: Condition
    violated: Condition
    outcome_text: str | None
    columns: tuple[Column, ...]
    parties: tuple[str, ...]
    polars: EngineTexts
    clickhouse: EngineTexts
    gate: str | None
    gate_columns: tuple[Column, ...]
    limits_ns: tuple[int, ...] | None
    windowed: WindowedControl | None = None
    span: Span = ALWAYS


def compile_control(control: Control, lists: Mapping[str, DatedList]) -> Compiled:
    """Compile a control. Raises `LanguageError` for the first condition that the language refuses."""
    applies = parse_condition(control.applies, lists)
    violated = parse_condition(control.violated, lists)
    return compile_conditions(control, applies, violated)


def within(compiled: Compiled, span: Span) -> Compiled:
    """The same control, judging events of this span only, or what begins in it where it looks at more than one."""
    if compiled.windowed is not None:
        return replace(compiled, span=span, windowed=replace(compiled.windowed, span=span))
    return compile_conditions(compiled.control, compiled.applies, compiled.violated, span)


def compile_conditions(control: Control, applies: Condition, violated: Condition, span: Span = ALWAYS) -> Compiled:
    """Compile a control whose conditions have been checked."""
    read = tuple(dict.fromkeys((*columns_in(applies), *columns_in(violated))))
    about = (*(_party(column.name) for column in read), *parties_questioned(And((applies, violated))))
    parties = tuple(party for party in CONTRADICTABLE if party in about)
    columns = tuple(dict.fromkeys((_DOMAIN, _OUTCOME, OCCURRED_AT, *read)))
    scope = _scope(control, span)
    polars, clickhouse = (_texts(control, scope, (applies, violated), parties, each) for each in (POLARS, CLICKHOUSE))
    gate_columns = tuple(dict.fromkeys((_DOMAIN, _OUTCOME, *columns_in(applies))))
    is_cheap = all(map(_has_few_values, gate_columns)) and not parties_questioned(applies)
    gate = _gate_text(control, applies) if is_cheap else None
    repeats = all(column == OCCURRED_AT or column.kind in REPEATING for column in columns)
    limits = time_limits(conjunction(scope, applies, violated)) if repeats else None
    return Compiled(
        control=control,
        scope=scope,
        applies=applies,
        violated=violated,
        outcome_text=_listed_text(control.outcomes),
        columns=columns,
        parties=parties,
        polars=polars,
        clickhouse=clickhouse,
        gate=gate,
        gate_columns=gate_columns,
        limits_ns=None if limits is None else tuple(limits),
        span=span,
    )


def polars_sql(compiled: Compiled) -> str:
    """The verdict of a control as a Polars SQL expression."""
    return compiled.polars.verdict


def clickhouse_sql(compiled: Compiled) -> str:
    """The verdict of a control as a ClickHouse SQL expression."""
    return compiled.clickhouse.verdict


def _has_few_values(column: Column) -> bool:
    return column.kind in {Kind.WORD, Kind.WORDS} and not column.name.endswith(("_country", "_entity", "_facility"))


def _gate_text(control: Control, applies: Condition) -> str:
    text = condition_text(conjunction(*_of_domain(control), applies), POLARS)
    outcome = _outcome_text(control.outcomes)
    return text if outcome is None else f"({outcome} AND {text})"


def _of_domain(control: Control) -> list[Condition]:
    return [] if set(control.domains) == set(DOMAINS) else [Among(_DOMAIN, control.domains)]


def _scope(control: Control, span: Span) -> Condition:
    """Domain and time of force; both are always known."""
    ends = None if control.effective_to is None else day_end_ns(control.effective_to)
    force = Period(day_start_ns(control.effective_from), ends)
    decided = Period(span.since_ns, span.until_ns)
    return conjunction(*_of_domain(control), *limits_of(force), *limits_of(decided))


def _texts(
    control: Control,
    scope: Condition,
    conditions: tuple[Condition, Condition],
    parties: tuple[str, ...],
    dialect: Dialect,
) -> EngineTexts:
    applies, violated = conditions
    outcome = _outcome_text(control.outcomes)
    whole = condition_text(conjunction(scope, applies), dialect)
    if outcome is not None:
        whole = f"({outcome} AND {whole})"
    broken = condition_text(violated, dialect)
    contradicted = condition_text(disjunction(*(Contradicted(party) for party in parties)), dialect)
    verdict = (
        f"CASE WHEN NOT {whole} THEN '{Verdict.NOT_APPLICABLE}' "
        f"WHEN {whole} AND {broken} THEN '{Verdict.VIOLATED}' "
        f"WHEN {whole} AND NOT {broken} AND NOT {contradicted} THEN '{Verdict.SATISFIED}' "
        f"ELSE '{Verdict.UNDETERMINED}' END"
    )
    cases = [f"WHEN outcome = 'unknown' THEN '{MISSING_OUTCOME}'"] if outcome is not None else []
    cases += [
        f"WHEN {condition_text(condition, dialect)} IS NULL THEN {_missing_text(condition, dialect)}"
        for condition in conditions
        if columns_in(condition)
    ]
    missing = f"CASE {' '.join(cases)} ELSE '{MISSING_AGREEMENT}' END" if cases else f"'{MISSING_AGREEMENT}'"
    return EngineTexts(whole, broken, contradicted, verdict, missing)


def _outcome_text(outcomes: tuple[str, ...]) -> str | None:
    """Whether the outcome is one it judges; NULL when the outcome is unknown, None when every outcome is judged."""
    listed = _listed_text(outcomes)
    return None if listed is None else f"(CASE WHEN outcome = 'unknown' THEN NULL ELSE {listed} END)"


def _listed_text(outcomes: tuple[str, ...]) -> str | None:
    if set(KNOWN_OUTCOMES) <= set(outcomes):
        return None
    listed = ", ".join(f"'{outcome}'" for outcome in outcomes)
    return f"outcome IN ({listed})"


def _missing_text(node: Condition, dialect: Dialect) -> str:
    """The first column that made a condition NULL: walks into the first part that is NULL, as AND and OR do."""
    match node:
        case Not(condition):
            return _missing_text(condition, dialect)
        case And(conditions) | Or(conditions):
            undecided = [each for each in conditions if columns_in(each) and not isinstance(each, Truth)]
            return _first(
                [(f"{condition_text(each, dialect)} IS NULL", _missing_text(each, dialect)) for each in undecided]
            )
        case _:
            columns = columns_in(node)
            return _first([(unknown_text(column, dialect), quoted(column.name, dialect)) for column in columns])


def _first(cases: list[tuple[str, str]]) -> str:
    """The answer of the first case that holds; one always does, so the last needs no question."""
    answer = cases[-1][1]
    if len(cases) == 1:
        return answer
    whens = " ".join(f"WHEN {when} THEN {then}" for when, then in cases[:-1])
    return f"CASE {whens} ELSE {answer} END"


def _party(column: str) -> str | None:
    """The party a column is about: `destination_country` → destination, but `source_format` → none."""
    party = column.partition("_")[0]
    return party if party in CONTRADICTABLE and column != "source_format" else None
