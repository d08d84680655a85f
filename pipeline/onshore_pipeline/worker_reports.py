"""What the workers of one data directory say of themselves, each in its own file, and together in one that is read.

Whoever reads, the sequencer, `onshore status` or the dashboard, wants to know what waits for any of them. Nobody locks
anything: a report is replaced whole, and whoever replaced one writes anew what all of them say.
"""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

Report = dict[str, Any]

NEVER: Final = datetime.fromtimestamp(0, UTC).isoformat()  # known at, of what was not yet
FRESH_S: Final = 10.0  # a worker that said nothing for longer is silent
_FORGOTTEN: Final = timedelta(days=1)
# A partition that changes hands is nobody's for seconds; one of which nobody speaks for longer may have gone to a
# worker that reports elsewhere.
_CARRIED: Final = timedelta(seconds=90)
_HOW_BAD: Final = {"waiting": 1, "stopped": 2}


def report(path: Path, name: str, said: Report) -> None:
    """Replace what worker `name` said, and what all of them say together in `path`. Raises `OSError`."""
    folder = path.with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / f"{name}.json", name, said)
    _replace(path, name, together(_reports(folder) | {name: said}, datetime.now(UTC), _read(path)))


def last_report(path: Path, name: str) -> Report:
    """What worker `name` said last; nothing waits for one that never did."""
    return _read(path.with_suffix("") / f"{name}.json") or {"at": NEVER, "lag": []}


def together(reports: Mapping[str, Report], now: datetime, before: Report | None = None) -> Report:
    """One or several reports, by name, as if one worker with all their partitions had made them.

    Of a partition that two speak of, what was known later counts: it changed hands. One that nobody speaks of stays for
    a while as it was `before`, what was said together last: it is being handed over. A silent worker whose partitions
    others have, or that had none beside others, is gone, stopped or not; one that has some makes all of it as old as
    its report. What is said of the state is what the one in the worst says.

    `at` says when all of them were alive, `lag_at` when what waits was known of every partition.
    """
    newest_first = sorted(reports.items(), key=lambda each: known_at(each[1]), reverse=True)
    lag: dict[tuple[str, int], Any] = {}
    standing: dict[str, Report] = {}
    for name, said in newest_first:
        own = _parts(said)
        is_silent = (now - _at(said)).total_seconds() > FRESH_S
        if own.keys() - lag.keys() or not is_silent:
            standing[name] = said
        lag = own | lag
    for source, part in _parts(before).items() if before else ():
        if now - known_at(part) <= _CARRIED:
            lag.setdefault(source, part)
    standing = standing or dict(newest_first[:1])
    by_state = sorted(standing.values(), key=lambda said: _HOW_BAD.get(said.get("state", ""), 0))
    merged: Report = {}
    for said in by_state:
        merged |= {key: value for key, value in said.items() if value or key not in merged}
    return merged | {
        "at": min(map(_at, by_state)).isoformat(),
        "lag_at": min(map(known_at, [*lag.values()] or by_state)).isoformat(),
        "lag": [lag[source] for source in sorted(lag)],
        "progress": _sum(said["progress"] for said in by_state if "progress" in said),
        "workers": sorted(standing),
    }


def known_at(said: Mapping[str, Any]) -> datetime:
    """When what waits was known: a broker that does not answer leaves it as it was, in a report that is new."""
    return datetime.fromisoformat(said.get("lag_at") or said["at"])


def _parts(said: Report) -> dict[tuple[str, int], Any]:
    """What waits in each partition, and `at` which time that was known."""
    at = known_at(said).isoformat()
    return {(part["topic"], part["partition"]): {"at": at} | part for part in said["lag"]}


def _sum(counts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for each in counts:
        for name, count in each.items():
            total[name] = _sum([total.get(name, {}), count]) if isinstance(count, dict) else total.get(name, 0) + count
    return total


def _at(said: Report) -> datetime:
    return datetime.fromisoformat(said["at"])


def _reports(folder: Path) -> dict[str, Report]:
    """Every worker's, by name; one from a day ago and older, or that is none, is dropped."""
    found: dict[str, Report] = {}
    for file in folder.glob("*.json"):
        with suppress(OSError):  # what cannot be read now may be read later
            said = _parsed(file.read_bytes())
            if said is None or datetime.now(UTC) - _at(said) > _FORGOTTEN:
                file.unlink()
            else:
                found[file.stem] = said
    return found


def _read(file: Path) -> Report | None:
    """A report; None where there is none."""
    try:
        return _parsed(file.read_bytes())
    except OSError:
        return None


def _parsed(raw: bytes) -> Report | None:
    """A report; None where it is none, which somebody else wrote or a disk that was full cut short."""
    try:
        said: Report = json.loads(raw)
        now = datetime.now(UTC)
        [now - _at(said), now - known_at(said)]
        [now - known_at(part) for part in _parts(said).values()]
        _sum([said["progress"]] if "progress" in said else [])
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return said


def _replace(file: Path, name: str, said: Report) -> None:
    part = file.with_name(f"{file.name}.{name}.part")  # process ids are the same in two containers
    part.write_text(json.dumps(said))
    part.replace(file)
