"""The controls as plain functions over an event, judged one event at a time.

Id, version, domains, outcomes, dates and fingerprint come from the packs; conditions are Python
(`same_result_conditions.py`), and a test holds their verdicts to the product's own. Whether a control has any business
with an event is asked once for each domain, action, outcome, home and set of categories.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from onshore_pipeline.controls.lists import day_end_ns, day_start_ns
from onshore_pipeline.domain.control import KNOWN_OUTCOMES
from same_result_conditions import CONDITIONS
from same_result_lists import ALWAYS
from same_result_places import NotWritten

if TYPE_CHECKING:
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control
    from same_result_conditions import Condition

Event = dict[str, Any]


@lru_cache(1 << 16)
def disputed(contradictions: tuple[str, ...]) -> frozenset[str]:
    """The parties about whom claims disagree."""
    return frozenset(claim.partition(":")[0] for claim in contradictions)


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A control in force, its condition, and the parties about whom claims may not disagree."""

    control: Control
    condition: Condition
    parties: frozenset[str]
    since: int
    until: int
    judges_any: bool


class Verdict(NamedTuple):
    rule: Rule
    word: str
    missing: str


class Controls:
    """Judges one event at a time."""

    def __init__(self, loaded: ControlSet) -> None:
        if names := {each.control.id for each in loaded.executable} ^ CONDITIONS.keys():
            raise NotWritten(f"control {', '.join(sorted(names))}")
        self.rules = [
            Rule(
                each.control, CONDITIONS[each.control.id], frozenset(each.parties),
                day_start_ns(each.control.effective_from) or 0,
                (each.control.effective_to and day_end_ns(each.control.effective_to)) or ALWAYS,
                {*KNOWN_OUTCOMES} <= {*each.control.outcomes},
            )
            for each in loaded.executable
        ]  # fmt: skip
        self._about = lru_cache(1 << 16)(self._rules_about)
        self.finding = lru_cache(1 << 16)(finding)

    def _rules_about(
        self, domain: str, action: str, outcome: str, home: tuple[str, ...], categories: tuple[str, ...]
    ) -> list[tuple[Rule, str]]:
        """The rules that may apply, each with what is missing to know that it does, or ''."""
        about = []
        for rule in self.rules:
            control, condition = rule.control, rule.condition
            if domain in control.domains and outcome in {*control.outcomes, "unknown"} and condition.acts(action):
                found = condition.about(home, categories)
                if found is not False:
                    about.append((rule, "" if found is True else found))
        return about

    def judge(self, event: Event) -> list[Verdict]:
        """The verdicts on an event, without the controls that it is no business of."""
        at, outcome, verdicts = event["occurred_at"], event["outcome"], []
        kind = (event["domain"], event["action"], outcome, event["home_jurisdictions"], event["categories"])
        for rule, lacks in self._about(*kind):
            found = rule.condition.says(event) if rule.since <= at < rule.until else None
            if found is None:
                continue
            if outcome == "unknown" and not rule.judges_any:
                verdicts.append(Verdict(rule, "undetermined", "outcome"))
            elif lacks:
                verdicts.append(Verdict(rule, "undetermined", lacks))
            elif found is True:
                verdicts.append(Verdict(rule, "violated", ""))
            elif found is not False:
                verdicts.append(Verdict(rule, "undetermined", found))
            elif event["contradictions"] and not rule.parties.isdisjoint(disputed(event["contradictions"])):
                verdicts.append(Verdict(rule, "undetermined", "contradictions"))
            else:
                verdicts.append(Verdict(rule, "satisfied", ""))
        return verdicts


def finding(control: str, values: tuple[str, ...]) -> int:
    """Id of the finding that a violation belongs to, as the number that a UUID is."""
    array = json.dumps([control, *values], ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(sha256(array.encode()).digest()[:16], "big")
