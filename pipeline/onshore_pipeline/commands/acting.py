"""How a command does what people must answer for: record it, wait until it is sealed, look what came of it."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import typer

from onshore_pipeline.errors import OnshoreError, StoreUnavailable
from onshore_pipeline.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from onshore_pipeline.actions import Action, Recorded
    from onshore_pipeline.findings.standing import Folders
    from onshore_pipeline.settings import Settings
    from onshore_pipeline.store.reader import Reader

_SEALED_WITHIN_S: Final = 10.0
_LOOK_EVERY_S: Final = 0.1
_IS_SEALED: Final = "SELECT count() AS n FROM message_actions_current WHERE action_id = {action:String}"


@dataclass(frozen=True, slots=True)
class Place:
    """What a command works with: settings, the store as one who only reads, and where keys and holidays lie."""

    settings: Settings
    reader: Reader
    folders: Folders


def place_of(data_dir: Path | None) -> Place:
    """Where a command finds everything. Raises `SettingsError` where no stack was ever started."""
    from onshore_pipeline.findings.standing import folders
    from onshore_pipeline.stack import store_address
    from onshore_pipeline.store.reader import Reader

    settings = load_settings({"data_dir": data_dir})
    address = store_address(settings, writing=False)
    reader = Reader(address.url, address.user, address.password, ca_file=address.ca_file)
    return Place(settings, reader, folders(settings.context_dir, settings.data_dir))


def record(settings: Settings, action: Action) -> Recorded:
    """Record one action; durable when this returns."""
    from onshore_pipeline import assembly
    from onshore_pipeline.actions import record_action

    with closing(assembly.recorder(settings)) as recorder:
        return record_action(recorder, action)


def is_sealed(reader: Reader, recorded: Recorded) -> bool:
    """Wait until the store shows an action; False when it does not within ten seconds, or does not answer."""
    deadline = time.monotonic() + _SEALED_WITHIN_S
    while time.monotonic() < deadline:
        try:
            if reader.rows(_IS_SEALED, {"action": str(recorded.action_id)})[0]["n"]:
                return True
        except StoreUnavailable:
            return False
        time.sleep(_LOOK_EVERY_S)
    return False


def say_waiting(recorded: Recorded) -> None:
    """Say that an action is recorded and nobody has sealed it yet."""
    place = recorded.place
    typer.echo(
        f"recorded as {recorded.event_id} ({place.topic}[{place.partition}]@{place.offset}); it has its effect as soon"
        " as a worker runs: see onshore status"
    )


def told(recorded: Recorded) -> Mapping[str, str | int]:
    """Where an action lies, for JSON."""
    place = recorded.place
    return {
        "event_id": str(recorded.event_id),
        "action_id": str(recorded.action_id),
        "topic": place.topic,
        "topic_id": str(place.topic_id),
        "partition": place.partition,
        "offset": place.offset,
    }


def time_of(option: str, text: str) -> datetime:
    """A time as people write it; one without a zone is UTC. Raises `OnshoreError` that names the option."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OnshoreError(f"{option} {text!r}: no time; write 2026-11-26 or 2026-11-26T08:30+11:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
