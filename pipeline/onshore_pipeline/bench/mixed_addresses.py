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
    from onshore_pipeline.context import Context

_TRAFFIC: Final = Traffic(addresses=20_000, scattered=True, v6_every=2)


def mixed_addresses(messages: int, context: Context, rounds: int) -> dict[str, Any]:
    """Locate alone: µs of CPU an event for a context's first batch, and for one whose addresses were met before.

    Args:
        messages: in the batch, of `traffic.RECORDS_A_MESSAGE` events.
        context: the registries.
        rounds: how often; the median is told.
    """
    values = log_messages(messages, _TRAFFIC)
    events = normalise(decode([("otlp_logs", value, None) for value in values])).events
    told = []
    for _ in range(rounds):
        fresh = replace(context, memory=Memory())
        laps = Laps()
        locate(events, fresh)
        laps("first")
        locate(events, fresh)
        laps("again")
        told.append({name: an_event(seconds, events.height) for name, seconds in laps.cpu_s.items()})
    return {"addresses": events.get_column("source_address").n_unique(), "cpu_us_an_event": middle(told)}
