"""What the sequencer says of itself, in a file beside the worker's: for `onshore status`, also when it is down."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.settings import Settings


@dataclass(frozen=True, slots=True)
class Said:
    """The sequencer's last words.

    Attributes:
        at: when it said so, ISO 8601 with its zone.
        position: newest copied position of every log partition.
        error: why it cannot go on; None while it copies.
    """

    at: str
    position: dict[int, int]
    error: str | None

    @property
    def age_s(self) -> float:
        """Seconds since then."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.at)).total_seconds()


def status_path(settings: Settings) -> Path:
    """Where the sequencer of this data directory says how it is."""
    return DataDir(settings.data_dir).worker_status.with_name("sequencer.json")


def say(path: Path, position: dict[int, int], error: str | None = None) -> None:
    """Replace what was said before, all of it or nothing."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps(asdict(Said(datetime.now(UTC).isoformat(), position, error))))
    part.replace(path)


def say_trouble(path: Path, error: Exception) -> None:
    """Say why nothing is copied; the position stays what it was."""
    before = last_words(path)
    say(path, before.position if before else {}, str(error))


def last_words(path: Path) -> Said | None:
    """What was said last; None when nothing ever was."""
    try:
        told = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    position = {int(partition): int(position) for partition, position in told["position"].items()}
    return Said(str(told["at"]), position, told["error"])
