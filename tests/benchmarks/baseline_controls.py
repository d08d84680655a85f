"""The controls over plain dicts: the functions of `same_result_conditions`, without times of force and disputed claims.

A test holds their verdicts to the product's own on the benchmarks' traffic.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.domain.control import KNOWN_OUTCOMES
from same_result_conditions import CONDITIONS
from same_result_places import COUNTRIES

if TYPE_CHECKING:
    from same_result_conditions import Says

Event = dict[str, Any]
__all__ = ["COUNTRIES", "verdicts"]
IN_FORCE = [each.control for each in load_controls().executable]


@lru_cache(1 << 16)
def about(
    domain: str, action: str, outcome: str, home: tuple[str, ...], categories: tuple[str, ...]
) -> list[tuple[str, bool, Says]]:
    """The controls that may apply: id, whether it is known that they do, and what they say."""
    chosen = []
    for control in IN_FORCE:
        condition = CONDITIONS[control.id]
        if domain in control.domains and outcome in {*control.outcomes, "unknown"} and condition.acts(action):
            found = condition.about(home, categories)
            if found is not False:
                is_known = outcome != "unknown" or {*KNOWN_OUTCOMES} <= {*control.outcomes}
                chosen.append((control.id, found is True and is_known, condition.says))
    return chosen


def verdicts(event: Event) -> dict[str, str]:
    """The verdicts on an event, without the controls that do not apply."""
    kind = (event["domain"], event["action"], event["outcome"], event["home_jurisdictions"], event["categories"])
    words = {}
    for name, applies, says in about(*kind):
        found = says(event)
        if found is not None:
            is_known = applies and isinstance(found, bool)
            words[name] = "undetermined" if not is_known else "violated" if found else "satisfied"
    return words
