"""What is told about a play when it is over."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from onshore_pipeline.domain.event import DOMAINS
from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from onshore_collectors.demo.schedule import Cell
    from onshore_collectors.demo.target import Target
    from onshore_collectors.demo.truth import Truth


def events_by_tenant(cells: Sequence[Cell]) -> dict[str, dict[str, int]]:
    """Events by tenant and domain, as they were played."""
    counts: dict[str, dict[str, int]] = {}
    for cell in cells:
        by_domain = counts.setdefault(cell.tenant.id, dict.fromkeys(DOMAINS, 0))
        by_domain[cell.template.domain] += cell.events
    return counts


def verdicts(truth: Truth) -> dict[str, int]:
    """How many verdicts of each kind the events must get."""
    counts: Counter[str] = Counter()
    for (_, _, verdict), events in truth.counts.items():
        counts[verdict] += events
    return {verdict.value: counts[verdict.value] for verdict in Verdict if verdict is not Verdict.NOT_APPLICABLE}


def as_json(
    cells: Sequence[Cell], truth: Truth, target: Target, truth_file: Path | None, seconds: float
) -> Mapping[str, Any]:
    """For `--json`."""
    return {
        "run": truth.run,
        "events": truth.events,
        "seconds": round(seconds, 3),
        "tenants": events_by_tenant(cells),
        "stored_as": {tenant: target.stored_as(tenant) for tenant in events_by_tenant(cells)},
        "verdicts": verdicts(truth),
        "otlp": target.endpoint,
        "dashboard": target.dashboard,
        "truth": str(truth_file) if truth_file is not None else None,
    }


def as_text(
    cells: Sequence[Cell], truth: Truth, target: Target, truth_file: Path | None, data_dir: Path | None, seconds: float
) -> str:
    """For people: who sent what, what was planted, where to look next."""
    width = max(len(cell.tenant.id) for cell in cells)
    heads = [domain.replace("_", " ") for domain in DOMAINS]
    lines = [f"{truth.events:,} events sent in {seconds:.1f} s as {truth.run}", ""]
    lines.append("  " + " ".join((f"{'tenant':<{width}}", *(f"{head:>15}" for head in heads))))
    for tenant, by_domain in events_by_tenant(cells).items():
        lines.append("  " + " ".join((f"{tenant:<{width}}", *(f"{by_domain[domain]:>15,}" for domain in DOMAINS))))
    if not target.tokens:
        lines += ["", "  Sent without tokens, so all of them are the one tenant `default` there."]
    planted = verdicts(truth)
    lines += [
        "",
        f"planted     {planted['violated']:,} violations, {planted['undetermined']:,} verdicts that must stay open",
    ]
    if target.dashboard:
        lines.append(f"look at     {target.dashboard}")
    if truth_file is not None:
        where = f" --data-dir {data_dir}" if data_dir is not None else ""
        lines.append(f"compare     onshore check-truth {truth_file}{where}")
    return "\n".join(lines)
