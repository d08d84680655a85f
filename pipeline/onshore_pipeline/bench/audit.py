"""`onshore bench audit`: everything that was sealed is made again from the store and compared.

It is the command that a person runs, a process of its own, so that its start counts. Events are those of `bench
ingest`; what goes into the store before is not measured.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any

from onshore_pipeline.bench.commands_run import environment_of, measured, told_of, wait_until_done
from onshore_pipeline.bench.ingest import MOST_DISTINCT, OursAlone, Plan
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import middle
from onshore_pipeline.bench.traffic import endless, log_messages
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Mapping


def bench_audit(events: int, rounds: int = 1) -> dict[str, Any]:
    """Fill a store, then audit all of it, `rounds` times.

    Returns:
        Seconds of wall time, events a second, µs of CPU an event of the command and of the store, peak memory in MiB.

    Raises:
        OnshoreError: the command failed or found something; what it said.
    """
    about = machine()
    plan = Plan(events, rounds=1)
    messages = list(log_messages(min(plan.messages, MOST_DISTINCT // plan.traffic.records), plan.traffic))
    with contextlib.ExitStack() as stack:
        side = OursAlone(stack, plan)
        side.round(endless(messages), plan.messages)
        wait_until_done(side)
        environment = environment_of(side)
        told = [_round(side, environment, plan.messages * plan.traffic.records) for _ in range(rounds)]
    return {"bench": "audit", **middle(told), "machine": about}


def _round(side: OursAlone, environment: Mapping[str, str], sent: int) -> dict[str, Any]:
    before = side.parts.cpu_s()["store"]
    command = [sys.executable, "-m", "onshore_pipeline", "audit", "--json", "--data-dir", str(side.data.path)]
    took, said = measured(command, environment)
    took["store_cpu_s"] = side.parts.cpu_s()["store"] - before
    found = json.loads(said.strip().splitlines()[-1])  # progress stands in front
    if found["events"] != sent or found["counts"]:
        raise OnshoreError(f"{found['events']:,} of {sent:,} events were audited, with {found['counts']}")
    return {"events": sent, "entries": int(found["entries"]), **told_of(took, sent)}
