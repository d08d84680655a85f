"""Where a party is because a collector of ours sits on that very machine: the basis *observed*.

Which collector sent a message is known by its credential (`broker.SENSOR_HEADER`), on which machine it sits and where
that is by the registry `collectors`. Nothing that a sender says makes a place observed. What the registry says of the
machine is taken for the party whose host or id is that machine, in records that the collector itself made: what it only
read from others' logs it has not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.distinct import by_distinct, looked_up
from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.locate.registered import on_days

if TYPE_CHECKING:
    from onshore_pipeline.context import Context

_OWN_FORMATS: Final = "otlp."


def sensed_countries(events: pl.DataFrame, context: Context) -> dict[str, pl.Series]:
    """The country of each party on whose machine the collector sits that sent the event.

    Args:
        events: as `locate` takes them; `sensor` may be missing.
        context: the registries.

    Returns:
        By party, alpha-2 in event order, null where no collector of ours sits there; parties without any are left out.
    """
    collectors = context.registered.collectors
    if collectors is None or "sensor" not in events.columns:
        return {}
    sensor = events["sensor"]
    if sensor.null_count() == events.height:
        return {}
    own = events.select(pl.when(pl.col("source_format").str.starts_with(_OWN_FORMATS)).then("sensor")).to_series()
    found = on_days(own, events["occurred_at"], collectors, "collector")
    at_facility = by_distinct(
        found["facility"],
        lambda names: looked_up(names.str.to_lowercase(), context.facilities, "facility").select("country"),
        {"country": pl.String()},
    )
    place = found["country"].zip_with(found["country"].is_not_null(), at_facility["country"])
    machine = found["host"].str.to_lowercase()
    seen = {}
    for party in PARTIES:
        sits = pl.Series([False]).new_from_index(0, events.height)
        for name in ("host", "id"):
            sits = sits | (events[f"{party}_{name}"].str.to_lowercase() == machine).fill_null(False)
        if sits.any():
            seen[party] = place.set(~sits, None)
    return seen
