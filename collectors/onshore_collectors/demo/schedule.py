"""What happens when: how many events of each template a tenant has, and their times over one day."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

    from onshore_collectors.demo.scenario.template import Rhythm, Template
    from onshore_collectors.demo.scenario.tenants import Tenant

PLANTED_SHARE: Final = 0.04
_HOURS: Final = 24
_HOUR_NS: Final = 3_600_000_000_000

# How much happens in each hour of the tenant's own day, from midnight on.
_RHYTHMS: Final[dict[Rhythm, tuple[int, ...]]] = {
    "steady": (8, 8, 8, 8, 8, 8, 9, 9, 10, 10, 11, 11, 11, 11, 11, 11, 10, 10, 9, 9, 9, 9, 8, 8),
    "office": (1, 1, 1, 1, 1, 1, 2, 5, 12, 20, 22, 21, 14, 18, 22, 21, 19, 14, 7, 4, 3, 2, 2, 1),
    "night": (12, 22, 30, 26, 12, 4, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 8),
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One tenant's events of one template."""

    tenant: Tenant
    template: Template
    events: int


def fewest_events(tenants: Iterable[Tenant], templates: Sequence[Template]) -> int:
    """With fewer events than this, some template would not happen at some tenant."""
    return sum(template.happens_at(tenant) for tenant in tenants for template in templates)


def allot(tenants: Sequence[Tenant], templates: Sequence[Template], events: int) -> tuple[Cell, ...]:
    """Share `events` out, at least one for every template of every tenant.

    Of what is left, `PLANTED_SHARE` goes to the planted templates. Raises `ValueError` below `fewest_events`.
    """
    pairs = [(tenant, template) for tenant in tenants for template in templates if template.happens_at(tenant)]
    left = events - len(pairs)
    if left < 0:
        raise ValueError(f"{events} events are fewer than {len(pairs)} templates")
    planted = [pair for pair in pairs if pair[1].is_planted]
    everyday = [pair for pair in pairs if not pair[1].is_planted]
    for_planted = max(0, round(events * PLANTED_SHARE) - len(planted))
    for_planted = min(for_planted, left)
    more = {
        id(pair): count
        for group, total in ((planted, for_planted), (everyday, left - for_planted))
        for pair, count in zip(group, _portions([t.share * e.share for t, e in group], total), strict=True)
    }
    return tuple(Cell(*pair, 1 + more[id(pair)]) for pair in pairs)


def _portions(weights: Sequence[float], total: int) -> list[int]:
    """Whole numbers in the proportion of `weights` that add up to `total`: the largest remainders are rounded up."""
    whole = sum(weights)
    exact = [weight * total / whole for weight in weights]
    counts = [int(share) for share in exact]
    by_remainder = sorted(range(len(weights)), key=lambda place: counts[place] - exact[place])
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def times_of(cell: Cell, rng: random.Random, end_ns: int) -> list[int]:
    """A time for each of the cell's events in the 24 hours before `end_ns` (ns since epoch), unsorted."""
    start_ns = end_ns - _HOURS * _HOUR_NS
    rhythm = _RHYTHMS[cell.template.rhythm]
    first_hour = start_ns // _HOUR_NS + cell.tenant.utc_offset_h
    weights = [rhythm[(first_hour + hour) % _HOURS] for hour in range(_HOURS)]
    hours = rng.choices(range(_HOURS), weights, k=cell.events)
    return [start_ns + hour * _HOUR_NS + int(rng.random() * _HOUR_NS) for hour in hours]
