"""What was found about digests and log files, for people and as JSON."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import typer

from onshore_collectors.command_line import print_json, say
from onshore_collectors.digests.chain import OUTCOMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_collectors.digests.chain import Finding

_SHOWN: Final = 50
_WIDTH: Final = max(map(len, OUTCOMES))
_TITLES: Final = {"digest": "digests", "log": "log files", "time": "times"}


def whole(findings: Sequence[Finding]) -> list[Finding]:
    """The findings, each followed by the ones about its log files."""
    return [each for finding in findings for each in (finding, *finding.logs)]


def tell(findings: Sequence[Finding], sent: int | None, *, as_json: bool) -> None:
    """Print what was found; `sent` is how many findings the receiver has, None where none were to go."""
    every = whole(findings)
    counts = {kind: Counter(each.outcome for each in every if each.kind == kind) for kind in _TITLES}
    chains = _chains(findings)
    if as_json:
        told = {title: {outcome: counts[kind][outcome] for outcome in OUTCOMES} for kind, title in _TITLES.items()}
        told = {title.replace(" ", "_"): count for title, count in told.items()}
        print_json({**told, "chains": chains, "findings": [_as_json(each) for each in every], "sent": sent})
        return
    for chain in chains:
        covered = f"{chain['from']} to {chain['to']}"
        typer.echo(f"{chain['source']}: {chain['valid']:,} of {chain['digests']:,} digests valid, {covered}")
    for kind, title in _TITLES.items():
        if said := ", ".join(f"{counts[kind][outcome]:,} {outcome}" for outcome in OUTCOMES if counts[kind][outcome]):
            typer.echo(f"{title:<10} {said}")
    bad = [each for each in every if each.outcome != "valid"]
    for each in bad[:_SHOWN]:
        typer.echo(f"{each.outcome.upper():<{_WIDTH}}  {each.name}: {each.reason}")
    if len(bad) > _SHOWN:
        say(f"and {len(bad) - _SHOWN:,} more (--json lists all)")
    if sent is not None:
        say(f"{sent:,} findings sent")


def _chains(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """What each chain of digests covers."""
    chains: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.digest is not None:
            chains.setdefault(finding.source, []).append(finding)
    return [
        {
            "source": source,
            "digests": len(own),
            "valid": sum(each.outcome == "valid" for each in own),
            "from": min(each.digest.start for each in own if each.digest).isoformat(),
            "to": max(each.digest.end for each in own if each.digest).isoformat(),
        }
        for source, own in sorted(chains.items())
    ]


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "name": finding.name,
        "outcome": finding.outcome,
        "reason": finding.reason,
        "source": finding.source or None,
        "from": finding.since,
        "to": finding.until,
    }
