"""The fifteen controls as plain functions over an event: True = violated, False = satisfied, a text = what is missing.

What a control is about stands in two: which actions it judges, asked once an action, and what it says of an event.
Id, version, domains, outcomes, dates and fingerprint come from the packs; conditions are Python, and a test holds their
verdicts to the product's own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

from onshore_pipeline.controls.lists import day_end_ns, day_start_ns, read_list
from onshore_pipeline.controls.load import PACKS
from same_result_places import NotWritten

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control

    Condition = Callable[["Event"], bool | str | None]  # None = not applicable

Event = dict[str, Any]
ALWAYS = 1 << 63


class Dated:
    """A dated list: the time of membership by country."""

    def __init__(self, name: str) -> None:
        members = read_list(PACKS / "lists" / f"{name}.csv").members
        self._times = {member: (period.start_ns or 0, period.end_ns or ALWAYS) for member, period in members}
        if len(self._times) < len(members):
            raise NotWritten(f"a country that joined @{name} twice")

    def has(self, country: str | None, at: int) -> bool:
        first, end = self._times.get(country or "", (ALWAYS, 0))
        return first <= at < end


DESIGNATED, CONCERN = Dated("jp_appi28_designated"), Dated("us_dsp_coc")


def leaves(country: str, fine: Dated | None = None) -> Condition:
    """Personal data of `country` goes elsewhere without a basis."""

    def condition(event: Event) -> bool | str | None:
        home, categories = event["home_jurisdictions"], event["categories"]
        if (home and country not in home) or (categories and "personal" not in categories):
            return None
        if not home or not categories:
            return "categories" if home else "home_jurisdictions"
        to, basis = event["destination_country"], event["transfer_basis"]
        if to == country or basis not in {None, "none"} or (fine and fine.has(to, event["occurred_at"])):
            return False
        if to is None:
            return "destination_country"
        return True if basis else "transfer_basis"

    return condition


def abroad(column: str) -> Condition:
    """It happens outside the countries where the data must stay."""

    def condition(event: Event) -> bool | str | None:
        home, place = event["home_jurisdictions"], event[column]
        if not home:
            return "home_jurisdictions"
        return place not in home if place else column

    return condition


def health_record(event: Event) -> bool | str | None:
    if event["categories"] and "my_health_record" not in event["categories"]:
        return None
    if not event["categories"]:
        return "categories"
    to = event["destination_country"]
    return to != "AU" if to else "destination_country"


def concerning(event: Event) -> bool | str | None:
    if event["categories"] and "us_bulk_sensitive" not in event["categories"]:
        return None
    if not event["categories"]:
        return "categories"
    to, actor, at = event["destination_country"], event["actor_country"], event["occurred_at"]
    if CONCERN.has(to, at) or CONCERN.has(actor, at):
        return True
    if to is None:
        return "destination_country"
    return False if actor else "actor_country"


def nowhere(event: Event) -> bool:
    return event["destination_country_basis"] == "unknown" or "destination" in disputed(event["contradictions"])


@lru_cache(1 << 16)
def disputed(contradictions: tuple[str, ...]) -> frozenset[str]:
    """The parties about whom claims disagree."""
    return frozenset(claim.partition(":")[0] for claim in contradictions)


def moves(action: str) -> bool:
    """Whether it moves data to a place."""
    return action not in {"network.flow", "data.delete"}


def among(*actions: str) -> Callable[[str], bool]:
    return lambda action: action in actions


TO, CALL = "destination_country", among("model.invoke", "model.fallback")
CONDITIONS: dict[str, tuple[Callable[[str], bool], Condition]] = {
    "AU-APP8-01": (moves, leaves("AU")),
    "AU-MHR77-01": (moves, health_record),
    "JP-APPI28-01": (moves, leaves("JP", DESIGNATED)),
    "MY-PDPA129-01": (moves, leaves("MY")),
    "SG-PDPA26-01": (moves, leaves("SG")),
    "SOV-01-01": (among("admin.session", "admin.command"), abroad("actor_country")),
    "SOV-02-01": (lambda action: action.startswith("model.weights."), abroad(TO)),
    "SOV-03-01": (among("index.build"), abroad(TO)),
    "SOV-04-01": (CALL, abroad(TO)),
    "SOV-04-02": (CALL, abroad("destination_control_country")),
    "SOV-05-01": (among("key.use", "key.rotate"), abroad("key_country")),
    "SOV-06-01": (among("telemetry.export"), abroad(TO)),
    "SOV-10-01": (among("backup.write", "data.replicate"), abroad(TO)),
    "SOV-16-01": (moves, nowhere),
    "US-DSP401-01": (moves, concerning),
}


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A control in force, its condition, and the parties about whom claims may not disagree."""

    control: Control
    condition: Condition
    parties: frozenset[str]
    since: int
    until: int


class Verdict(NamedTuple):
    rule: Rule
    word: str
    missing: str


class Controls:
    """Judges one event at a time."""

    def __init__(self, loaded: ControlSet) -> None:
        if names := {each.control.id for each in loaded.executable} ^ CONDITIONS.keys():
            raise NotWritten(f"control {', '.join(sorted(names))}")
        self._rules = [
            Rule(
                each.control, CONDITIONS[each.control.id][1], frozenset(each.parties),
                day_start_ns(each.control.effective_from),
                day_end_ns(each.control.effective_to) if each.control.effective_to else ALWAYS,
            )
            for each in loaded.executable
        ]  # fmt: skip
        self._about = lru_cache(self._rules_about)
        self.finding = lru_cache(1 << 16)(finding)

    def _rules_about(self, domain: str, action: str, outcome: str) -> list[Rule]:
        return [
            rule
            for rule in self._rules
            if domain in rule.control.domains
            and outcome in {*rule.control.outcomes, "unknown"}
            and CONDITIONS[rule.control.id][0](action)
        ]

    def judge(self, event: Event) -> list[Verdict]:
        """The verdicts on an event, without the controls that it is no business of."""
        at, outcome, verdicts = event["occurred_at"], event["outcome"], []
        for rule in self._about(event["domain"], event["action"], outcome):
            found = rule.condition(event) if rule.since <= at < rule.until else None
            if found is None:
                continue
            if outcome == "unknown":
                verdicts.append(Verdict(rule, "undetermined", "outcome"))
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
