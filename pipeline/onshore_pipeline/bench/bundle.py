"""`onshore bench bundle`: export what was sealed, and check the bundle with both verifiers.

Each is the command that a person runs, a process of its own, so that its start counts and its memory is its own. Events
are those of `bench ingest`; what goes into the store before is not measured.
"""

from __future__ import annotations

import contextlib
import json
import sys
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.bench.commands_run import environment_of, measured, output_of, told_of, wait_until_done
from onshore_pipeline.bench.ingest import MOST_DISTINCT, OursAlone, Plan
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import middle
from onshore_pipeline.bench.traffic import endless, log_messages
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence import verify_standalone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MIB: Final = 1 << 20
# The senders' words are about data of three countries; it goes nowhere else, and on a ground.
_ASKED: Final = (
    *("--from", "2000-01-01", "--to", "2100-01-01", "--recipient", "Benchmark", "--recipient-country", "AU"),
    *("--as", "bench", "--reason", "measured", "--basis", "consent", "--approval", "bench", "--json"),
)

# What the export is asked to rest on: a basis and an approval count only where registers have them.
_REGISTERS: Final = {
    "transfer_bases.csv": "basis,source,destination,valid_to\nconsent,AU,AU,\nconsent,JP,AU,\nconsent,MY,AU,\n",
    "approvals.csv": "approval,approved_by,valid_to\nbench,the benchmark,\n",
}


def bench_bundle(events: int, rounds: int = 1) -> dict[str, Any]:
    """Fill a store, then export all of it and verify the bundle, `rounds` times.

    Returns:
        For `export`, `verify` and `verify_py`: seconds of wall time, events a second, µs of CPU an event of the command
        with its child processes (and of the store, for `export`), their peak memory together in MiB; and the bundle's
        size.

    Raises:
        OnshoreError: a command failed; what it said.
    """
    about = machine()
    plan = Plan(events, rounds=1)
    sent = plan.messages * plan.traffic.records
    messages = list(log_messages(min(plan.messages, MOST_DISTINCT // plan.traffic.records), plan.traffic))
    told: list[dict[str, Any]] = []
    with contextlib.ExitStack() as stack:
        side = OursAlone(stack, plan)
        side.round(endless(messages), plan.messages)
        wait_until_done(side)
        bundle, key = side.data.path / "bundle.zip", side.data.path / "keys.vkey"
        environment = environment_of(side) | {"ONSHORE_CONTEXT_DIR": _registers(side)}
        key.write_text(output_of(["keys", "show"], environment, side))
        for number in range(rounds):
            round_told = _round(side, environment, bundle, key)
            if round_told["events"] != sent:
                raise OnshoreError(f"{round_told['events']:,} events were exported, {sent:,} were sent")
            told.append(round_told)
            if number + 1 < rounds:
                bundle.unlink()
    return {"bench": "bundle", **middle(told), "machine": about}


def _registers(side: OursAlone) -> str:
    """A folder with the registries that the export asks."""
    folder = side.data.path / "registers"
    folder.mkdir()
    for name, text in _REGISTERS.items():
        (folder / name).write_text(text)
    return str(folder)


def _round(side: OursAlone, environment: Mapping[str, str], bundle: Path, key: Path) -> dict[str, Any]:
    onshore = [sys.executable, "-m", "onshore_pipeline"]
    out = ["--out", str(bundle), "--data-dir", str(side.data.path)]
    before = side.parts.cpu_s()["store"]
    exported, said = measured([*onshore, "export", *_ASKED, *out], environment)
    exported["store_cpu_s"] = side.parts.cpu_s()["store"] - before
    events = int(json.loads(said)["events"])
    about_bundle = [str(bundle), "--key", str(key)]
    verified, _ = measured([*onshore, "verify", *about_bundle], environment)
    alone, _ = measured([sys.executable, "-I", verify_standalone.__file__, *about_bundle], environment)
    size = bundle.stat().st_size
    by_command = {"export": exported, "verify": verified, "verify_py": alone}
    return {
        "events": events,
        "bundle_mib": round(size / _MIB, 1),
        "bytes_an_event": round(size / events),
        **{name: told_of(each, events) for name, each in by_command.items()},
    }
