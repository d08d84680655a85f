"""A control made ready to run: its whole verdict as text for both engines, and what an undetermined verdict lacked.

The verdict of an event, outermost first: another domain, outcome or time of force → not applicable; `applies` FALSE →
not applicable; `violated` TRUE → violated; FALSE and no contradiction about a party that the conditions read →
satisfied; anything else → undetermined.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.condition import (
    Among,
    And,
    Column,
    Compare,
    Condition,
    Contradicted,
    Instant,
    Not,
    Or,
    Truth,
    columns_in,
    conjunction,
    disjunction,
    parties_questioned,
)
from onshore_pipeline.controls.language import CONTRADICTABLE, OCCURRED_AT, parse_condition
from onshore_pipeline.controls.lists import DatedList, day_end_ns, day_start_ns
from onshore_pipeline.controls.texts import CLICKHOUSE, POLARS, Dialect, condition_text, quoted, unknown_text
from onshore_pipeline.domain.control import KNOWN_OUTCOMES
from onshore_pipeline.domain.event import COLUMNS_BY_NAME, DOMAINS
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

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
class Compiled:
    """A control with its checked conditions.

    Attributes:
        columns: every column that the verdict reads.
        parties: the parties whose contradictions matter.
        polars: the texts that `judge` evaluates with `pl.sql_expr`.
        clickhouse: the texts for history in the store.
    """

    control: Control
    columns: tuple[Column, ...]
    parties: tuple[str, ...]
    polars: EngineTexts
    clickhouse: EngineTexts


def compile_control(control: Control, lists: Mapping[str, DatedList]) -> Compiled:
    """Compile a control. Raises `LanguageError` for the first condition that the language refuses."""
    applies = parse_condition(control.applies, lists)
    violated = parse_condition(control.violated, lists)
    return compile_conditions(control, applies, violated)


def compile_conditions(control: Control, applies: Condition, violated: Condition) -> Compiled:
    """Compile a control whose conditions have been checked."""
    read = tuple(dict.fromkeys((*columns_in(applies), *columns_in(violated))))
    about = (*(_party(column.name) for column in read), *parties_questioned(And((applies, violated))))
    parties = tuple(party for party in CONTRADICTABLE if party in about)
    columns = tuple(dict.fromkeys((_DOMAIN, _OUTCOME, OCCURRED_AT, *read)))
    polars, clickhouse = (_texts(control, (applies, violated), parties, each) for each in (POLARS, CLICKHOUSE))
    return Compiled(control, columns, parties, polars, clickhouse)


def polars_sql(compiled: Compiled) -> str:
    """The verdict of a control as a Polars SQL expression."""
    return compiled.polars.verdict


def clickhouse_sql(compiled: Compiled) -> str:
    """The verdict of a control as a ClickHouse SQL expression."""
    return compiled.clickhouse.verdict


def _scope(control: Control) -> Condition:
    """Domain and time of force; both are always known."""
    scope: list[Condition] = []
    if set(control.domains) != set(DOMAINS):
        scope.append(Among(_DOMAIN, control.domains))
    scope.append(Compare(">=", OCCURRED_AT, Instant(day_start_ns(control.effective_from))))
    if control.effective_to is not None:
        scope.append(Compare("<", OCCURRED_AT, Instant(day_end_ns(control.effective_to))))
    return conjunction(*scope)


def _texts(
    control: Control, conditions: tuple[Condition, Condition], parties: tuple[str, ...], dialect: Dialect
) -> EngineTexts:
    applies, violated = conditions
    outcome = _outcome_text(control.outcomes)
    whole = condition_text(conjunction(_scope(control), applies), dialect)
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
    if set(KNOWN_OUTCOMES) <= set(outcomes):
        return None
    listed = ", ".join(f"'{outcome}'" for outcome in outcomes)
    return f"(CASE WHEN outcome = 'unknown' THEN NULL ELSE outcome IN ({listed}) END)"


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
