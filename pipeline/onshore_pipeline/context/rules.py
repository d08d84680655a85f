"""Registries of what is allowed to whom: transfer bases and approvals, matched three-valued."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.checks import NONE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row
    from onshore_pipeline.context.dated import Dated

Answer = tuple[str | None, str | None, datetime | None]

NOTHING_KNOWN: Final[Answer] = (None, None, None)
NO_SUCH: Final[Answer] = (NONE, NONE, None)
_CACHED: Final = 65_536
DAY: Final = "day"
_STEP: Final = "access."


@dataclass(frozen=True, slots=True)
class Rule:
    """A row: what it demands of an event and what it then says.

    Attributes:
        demands: (column of `Rules.columns`, wanted value in lower case); a row without demands fits everything.
        answer: basis or approval id, who gave it, when it ends.
        first: first day.
        last: last day.
    """

    demands: tuple[tuple[str, str], ...]
    answer: Answer
    first: date
    last: date


class Rules:
    """Rules, the most demanding first, over a fixed set of an event's columns."""

    def __init__(self, columns: Sequence[str], known_by: Sequence[Sequence[str]], rules: Iterable[Rule]) -> None:
        """Take what is asked of events.

        Args:
            columns: of an event, that the rules ask for.
            known_by: of each of these groups one column must be known before the absence of a rule says 'none'.
            rules: in the order in which they stand.
        """
        self.columns = tuple(columns)
        self._known_by = known_by
        rules = list(rules)
        self.rules = sorted(rules, key=lambda rule: -len(rule.demands))
        self._by_id: dict[str, list[Rule]] = defaultdict(list)
        for rule in rules:
            self._by_id[(rule.answer[0] or "").lower()].append(rule)
        self.is_dated = any((rule.first, rule.last) != (date.min, date.max) for rule in self.rules)
        self.match = lru_cache(_CACHED)(self._match)
        self.cited = lru_cache(_CACHED)(self._cited)

    def _match(self, text: str) -> Answer:
        """What the rules say about an event, a JSON object of its `DAY` and `columns`: texts, lists of them, or null.

        The first rule that surely fits; nothing where one might; 'none' where none does and all parties are known.
        """
        day, values = _told(text)
        might = False
        for rule in self.rules:
            fits = _fits(rule, values, day)
            if fits:
                return rule.answer
            might = might or fits is None
        if might or not all(any(values[name] for name in group) for group in self._known_by):
            return NOTHING_KNOWN
        return NO_SUCH

    def _cited(self, text: str) -> Answer:
        """What the approval says whose id an event names, told as `match` is told, its `approval_id` and `action`.

        Nothing of an id that no rule has, 'none' where it was given to others or for something else; where it might
        have been, only when it ends. Steps of an approval (`access.*`) are those of its id, whoever takes them.
        """
        day, values = _told(text)
        rule = next((self.named(name, day) for name in values["approval_id"]), None)
        if rule is None:
            return NOTHING_KNOWN
        is_step = any(action.startswith(_STEP) for action in values["action"])
        covers = is_step or _meets(rule, values)
        name, given_by, ends = rule.answer
        return NO_SUCH if covers is False else (name, given_by if covers else None, ends)

    def named(self, name: str, day: date | None) -> Rule | None:
        """The rule of an id, in any case, on a day; else the one that ended last before it, else the newest."""
        rules = self._by_id.get(name.lower())
        if rules is None:
            return None
        if day is None:
            return rules[-1]
        on_day = (rule for rule in rules if rule.first <= day <= rule.last)
        ended = max((rule for rule in rules if rule.last < day), key=lambda rule: rule.last, default=rules[-1])
        return next(on_day, ended)

    def covers(self, rule: Rule, text: str) -> bool | None:
        """Whether an event, told as `match` is told, meets a rule, whatever the day; None: it might."""
        return _meets(rule, _told(text)[1])

    def allows(self, wanted: str, text: str) -> bool | None:
        """Whether a rule whose answer is `wanted` fits an event, told as `match` is told; None: one might."""
        day, values = _told(text)
        fits = {_fits(rule, values, day) for rule in self._by_id.get(wanted.lower(), ())}
        return True if True in fits else None if None in fits else False


def _fits(rule: Rule, values: Mapping[str, Collection[str]], day: date | None) -> bool | None:
    on_day = rule.first <= day <= rule.last if day is not None else None
    if day is None and (rule.first, rule.last) == (date.min, date.max):
        on_day = True
    answers = (on_day, _meets(rule, values))
    return False if False in answers else None if None in answers else True


def _meets(rule: Rule, values: Mapping[str, Collection[str]]) -> bool | None:
    answers = [wanted in values[name] if values[name] else None for name, wanted in rule.demands]
    return False if False in answers else None if None in answers else True


def _told(text: str) -> tuple[date | None, dict[str, set[str]]]:
    """The day and the columns' values of an event, in lower case: one of a text, none of what is unknown."""
    columns = json.loads(text)
    day = columns.pop(DAY)
    listed = {name: [value] if isinstance(value, str) else value or () for name, value in columns.items()}
    return (
        date.fromisoformat(day) if day is not None else None,
        {name: {value.lower() for value in values} for name, values in listed.items()},
    )


_PARTY: Final = ("source_entity", "source_country", "destination_entity", "destination_country")


def transfer_rules(rows: Iterable[Dated], countries: Countries) -> Rules:
    """`transfer_bases`: who may send what to whom, and on what basis."""
    rules = [
        Rule(
            (
                *_party(each.row, "source", countries),
                *_party(each.row, "destination", countries),
                *_data(each.row),
            ),
            (each.row.require("basis").lower(), None, None),
            each.first,
            each.last,
        )
        for each in rows
    ]
    columns = (*_PARTY, "dataset", "categories")
    return Rules(columns, (_PARTY[:2], _PARTY[2:], ("dataset", "categories")), rules)


def approval_rules(rows: Iterable[Dated], countries: Countries) -> Rules:
    """`approvals`: what is approved for whom."""
    rules = []
    for each in rows:
        plain = tuple(
            (column, (each.row.get(name) or "").lower())
            for name, column in (("actor", "actor_id"), ("action", "action"))
            if each.row.get(name)
        )
        demands = (*plain, *_party(each.row, "destination", countries), *_data(each.row))
        # The moment behind the last day.
        ends = None if each.last == date.max else datetime.combine(each.last + timedelta(days=1), time(), UTC)
        answer = (each.row.require("approval"), each.row.require("approved_by"), ends)
        rules.append(Rule(demands, answer, each.first, each.last))
    columns = ("actor_id", "action", "destination_entity", "destination_country", "dataset", "categories")
    return Rules(columns, (("actor_id",), ("action",)), rules)


def _party(row: Row, side: str, countries: Countries) -> tuple[tuple[str, str], ...]:
    value = row.get(side)
    if value is None:
        return ()
    country = countries.by_spelling.get(value.upper())
    return ((f"{side}_country", country.lower()),) if country else ((f"{side}_entity", value.lower()),)


def _data(row: Row) -> tuple[tuple[str, str], ...]:
    named = (("dataset", row.get("dataset")), ("categories", row.get("category")))
    return tuple((column, value.lower()) for column, value in named if value)
