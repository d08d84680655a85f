"""Begin a new local log: new ids for every topic, the old folder kept beside it, and a file that ties the two together.

For a log of which only an older copy is left. The new log is made ready in a folder of its own and then takes the place
of the old one by two renames; killed in between, the next try or the next `onshore up` finishes it.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.broker import EVIDENCE_LOG_TOPIC
from onshore_pipeline.embedded.local_log import LocalLog
from onshore_pipeline.embedded.log_ownership import Ownership
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

EPOCH_FILE: Final = "epoch.json"
_VERSION: Final = 1


class MessagesWait(OnshoreError):
    """Messages wait in the old log that nobody would read any more."""


@dataclass(frozen=True, slots=True)
class NewLog:
    """What began.

    Attributes:
        log_id: the new evidence log's id.
        kept_in: where the old log lies now; None when there was none.
        left_waiting: messages that waited in it, by topic.
    """

    log_id: str
    kept_in: Path | None
    left_waiting: dict[str, int]


def begin_new_log(
    folder: Path,
    *,
    leave_waiting: bool = False,
    state: Callable[[dict[str, Any], LocalLog], str | None] = lambda epoch, log: None,  # noqa: ARG005
) -> NewLog:
    """Put a new log in the place of the one in `folder`; nothing else may use it meanwhile.

    Args:
        folder: of the local log.
        leave_waiting: leave messages that wait for the worker behind, in the old folder.
        state: gives the signed statement about what the file will say; it may write to the new log.

    Raises:
        MessagesWait: messages wait, and `leave_waiting` is not said; the text counts them.
        LogInUse: a worker reads the log.
        BrokerUnavailable: the log cannot be read.
    """
    ready = folder.with_name(folder.name + ".next")
    if (finished := finish_new_log(folder)) is not None:
        return finished
    shutil.rmtree(ready, ignore_errors=True)
    previous = _about(folder) if folder.exists() else None
    waiting: dict[str, int] = previous["left_waiting"] if previous else {}
    if waiting and not leave_waiting:
        counts = ", ".join(f"{count:,} in {topic}" for topic, count in sorted(waiting.items()))
        raise MessagesWait(
            f"{sum(waiting.values()):,} messages wait in the local log ({counts}), and a new log does not carry them:"
            " start the stack and let the worker work them off, then run this again. Where the worker refuses this log"
            " as an older copy, --leave-waiting leaves them in the old folder, which is kept; of those the store has"
            " what was sealed before, and the rest must be sent again"
        )
    if previous is not None:
        previous["folder"] = f"{folder.name}.before-{previous['log_id'][:8]}-{int(time.time())}"
    made = _ids(ready)
    epoch = {"version": _VERSION, "begun_at": datetime.now(UTC).isoformat(), **made, "previous": previous}
    epoch["statement"] = state(epoch, LocalLog(ready, now_ns=time.time_ns))
    _write_epoch(ready, epoch)
    if previous is not None:
        folder.rename(folder.with_name(previous["folder"]))
    return _take_place(ready, folder)


def finish_new_log(folder: Path) -> NewLog | None:
    """Finish a `begin_new_log` that was killed behind its first rename; None where that is not so.

    Whoever uses the log asks this before the folder is made. Where that was forgotten, what came about in the folder
    has the new log's place: it is tied to the old one, and None is given, because it may be in use for long.

    Raises:
        LogInUse: a worker reads the log.
        BrokerUnavailable: the log cannot be read.
    """
    ready = folder.with_name(folder.name + ".next")
    try:
        epoch = json.loads((ready / EPOCH_FILE).read_text())
    except (FileNotFoundError, ValueError):
        return None  # killed before it was ready, or never begun
    if folder.exists() and any(folder.iterdir()):
        if epoch["previous"] is not None and folder.with_name(epoch["previous"]["folder"]).exists():
            about = _about(folder)
            own = {"log_id": about["log_id"], "topics": about["topics"]}
            # What was signed is about the log that had been made ready.
            _write_epoch(folder, epoch | own | {"in_place_of": epoch["log_id"]})
            shutil.rmtree(ready)
        return None
    if folder.exists():
        folder.rmdir()
    return _take_place(ready, folder)


def _write_epoch(folder: Path, epoch: dict[str, Any]) -> None:
    """All of it or nothing."""
    part = folder / f"{EPOCH_FILE}.part"
    with part.open("w") as file:
        json.dump(epoch, file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / EPOCH_FILE)
    _sync(folder)


def _take_place(ready: Path, folder: Path) -> NewLog:
    epoch = json.loads((ready / EPOCH_FILE).read_text())
    ready.rename(folder)
    _sync(folder.parent)
    previous = epoch["previous"]
    return NewLog(
        epoch["log_id"],
        folder.with_name(previous["folder"]) if previous else None,
        previous["left_waiting"] if previous else {},
    )


def _about(folder: Path) -> dict[str, Any]:
    """What the new log says about the old one; sees to it that no worker is at work on it."""
    owner = Ownership(folder)
    try:
        owner.claim()
        log = LocalLog(folder, now_ns=time.time_ns)
        sizes = log.sizes()
        waiting = {
            topic: sum(each.waiting_messages for each in sizes if each.topic == topic)
            for topic in {each.topic for each in sizes if each.waiting_messages}
        }
        entries = sum(each.kept_messages for each in sizes if each.topic == EVIDENCE_LOG_TOPIC)
        return _ids(folder) | {"entries": entries, "left_waiting": waiting}
    finally:
        owner.close()


def _ids(folder: Path) -> dict[str, Any]:
    """The ids of the log in `folder`, which is made where it is missing."""
    log = LocalLog(folder, now_ns=time.time_ns)
    with closing(log.entry_reader()) as entries, closing(log.message_reader()) as messages:
        topics = {each.topic: str(each.topic_id) for each in messages.retained()}
        return {"log_id": str(entries.log_id), "topics": topics}


def _sync(folder: Path) -> None:
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
