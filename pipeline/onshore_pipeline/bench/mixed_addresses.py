"""`onshore bench locate`: a batch with 20,000 IPv4 and IPv6 addresses, which its budget is about."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.bench.measured import Laps, an_event, middle
from onshore_pipeline.bench.traffic import Traffic, log_messages
from onshore_pipeline.context.world import Memory
from onshore_pipeline.locate.locate import locate
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    import polars as pl

    from onshore_pipeline.context import Context

_TRAFFIC: Final = Traffic(addresses=20_000, scattered=True, v6_every=2)


def mixed_addresses(messages: int, context: Context, rounds: int) -> dict[str, Any]:
    """Locate alone: µs of CPU an event of a batch.

    `first`: the context's first batch. `new`: a later one, none of whose addresses was met before. `again`: one whose
    addresses all were.

    Args:
        messages: in a batch, of `traffic.RECORDS_A_MESSAGE` events.
        context: the registries.
        rounds: how often; the median is told.
    """
    one, other = (_events(messages, addresses_from) for addresses_from in (0, _TRAFFIC.addresses))
    told = []
    for _ in range(rounds):
        fresh = replace(context, memory=Memory())
        laps = Laps()
        for events, name in ((one, "first"), (other, "new"), (other, "again")):
            locate(events, fresh)
            laps(name)
        told.append({name: an_event(seconds, one.height) for name, seconds in laps.cpu_s.items()})
    return {"addresses": one.get_column("source_address").n_unique(), "cpu_us_an_event": middle(told)}


def _events(messages: int, addresses_from: int) -> pl.DataFrame:
    values = log_messages(messages, replace(_TRAFFIC, addresses_from=addresses_from))
    return normalise(decode([("otlp_logs", value, None) for value in values])).events
