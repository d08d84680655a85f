"""The registries and controls in force: read again when their files change, and swapped between two attempts.

Files that cannot be used change nothing: what was in force stays so, and the worker's status says file, line and why.
Geolocation data is read once: it is large, and a restart takes seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from traceback import format_exc
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

import structlog

from onshore_pipeline.context.changes import Written
from onshore_pipeline.errors import ContextError, ControlError, StoreUnavailable, in_one_line

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Mapping

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.context import Context
    from onshore_pipeline.controls.load import ControlSet

log = structlog.get_logger("rules")

_LOOK_EVERY_S: Final = 1.0
_LAST_ANSWER_S: Final = 2.0
_SUFFIXES: Final = frozenset({".csv", ".yaml", ".yml"})

Read = TypeVar("Read")
Tell = Callable[["Context", Written | None], None]
Signature = tuple[tuple[str, int, int, int], ...]


class Rules(Protocol):
    """What an attempt is judged by."""

    def in_force(self) -> Judgement:
        """What the next attempt is judged by; an attempt keeps what it began with."""

    def state(self) -> Mapping[str, str]:
        """What status says: the digests in force, and what is wrong with newer files."""


class FixedRules:
    """Rules that never change."""

    def __init__(self, judgement: Judgement) -> None:
        """Take what is in force."""
        self._judgement = judgement

    def in_force(self) -> Judgement:
        """See `Rules`."""
        return self._judgement

    def state(self) -> Mapping[str, str]:
        """See `Rules`."""
        return {}


class ChangingRules:
    """Rules of two folders that somebody may edit while the worker runs."""

    def __init__(
        self,
        judgement: Judgement,
        context: tuple[Path | None, Callable[[], Context]],
        controls: tuple[Path | None, Callable[[], ControlSet]],
    ) -> None:
        """Take what is in force and, for each folder (None: there is none), what reads it anew."""
        self._judgement = judgement
        self._context, self._controls = Folder(*context), Folder(*controls)
        self._stop = threading.Event()
        self._trouble = ""
        self._tell: Tell | None = None
        self._told: tuple[str, Signature] | None = None
        self._watching = threading.Thread(target=self._watch, name="rules", daemon=True)

    def start(self, tell: Tell | None = None) -> None:
        """Look at the folders from time to time, in a thread of its own, until `close`.

        `tell` is told which registries are in force, and who wrote their newest file when: at once and after every
        change. Where it raises `StoreUnavailable` it is told again.
        """
        self._tell = tell
        self._say()  # before anything is judged
        self._watching.start()

    def close(self) -> None:
        """Stop looking."""
        self._stop.set()
        if self._watching.is_alive():
            self._watching.join(_LAST_ANSWER_S)  # a store that hangs ends with the process

    def in_force(self) -> Judgement:
        """See `Rules`."""
        return self._judgement

    def state(self) -> Mapping[str, str]:
        """See `Rules`."""
        judgement = self._judgement
        troubles = (self._trouble, self._context.trouble, self._controls.trouble)
        digests = {"context_digest": judgement.context.digest, "controls_digest": judgement.controls.digest}
        return {**digests, "rules_trouble": "; ".join(each for each in troubles if each)}

    def look(self) -> bool:
        """Read what changed and has settled; whether something else is in force now."""
        before = self._judgement
        if (context := self._context.renewed()) is not None:
            self._judgement = replace(self._judgement, context=context)
        if (controls := self._controls.renewed()) is not None:
            self._judgement = replace(self._judgement, controls=controls)
        after = self._judgement
        if after.context.digest != before.context.digest:
            log.info("registries changed", digest=after.context.digest, was=before.context.digest)
        if after.controls.digest != before.controls.digest:
            log.info("controls changed", digest=after.controls.digest, was=before.controls.digest)
        return after is not before

    def _watch(self) -> None:
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self.look()
                self._say()
                self._trouble = ""
            except Exception as error:  # noqa: BLE001 - whatever it is, the next change has to be noticed
                trouble = f"the folders cannot be watched: {in_one_line(error)}"
                if trouble != self._trouble:
                    log.error("the folders cannot be watched", traceback=format_exc())  # noqa: TRY400 - see `errors`
                self._trouble = trouble

    def _say(self) -> None:
        """Tell what is in force, unless that was told last."""
        context, read_as = self._judgement.context, self._context.read_as
        if self._tell is None or self._told == (context.digest, read_as):
            return
        try:
            self._tell(context, self._context.written)
        except StoreUnavailable as error:
            log.warning("registries in force not told", reason=str(error))
        else:
            self._told = (context.digest, read_as)


class Folder(Generic[Read]):
    """One folder that somebody may edit: what it looked like when it was read, and what is wrong with it."""

    def __init__(self, folder: Path | None, read: Callable[[], Read]) -> None:
        """`read` reads it anew; None never changes."""
        self._folder, self._read = folder, read
        self.read_as = self._seen = _signature(folder)
        self.trouble = ""

    @property
    def written(self) -> Written | None:
        """When the newest file that was read last was written, and whose it is; None where there is none."""
        newest = max(self.read_as, key=lambda stamp: stamp[2], default=None)
        if newest is None:
            return None
        return Written(datetime.fromtimestamp(newest[2] // 1_000_000_000, UTC), _owner(Path(newest[0])))

    def renewed(self) -> Read | None:
        """What the folder says now, if that is new, and nobody has written to it since the last look."""
        now = _signature(self._folder)
        settled, self._seen = now == self._seen, now
        if not settled or now == self.read_as:
            return None
        self.read_as = now
        try:
            read = self._read()
        except (ContextError, ControlError) as error:
            self.trouble = str(error)
            log.error("not in force, the last good version stays", reason=str(error))  # noqa: TRY400 - one line says it
            return None
        except Exception as error:  # noqa: BLE001 - what was good judges on, and the next change has to be noticed
            self.trouble = f"{self._folder}: cannot be read: {in_one_line(error)}"
            log.error("not in force, the last good version stays", traceback=format_exc())  # noqa: TRY400 - see `errors`
            return None
        self.trouble = ""
        return read


def _owner(file: Path) -> str:
    try:
        return file.owner()
    except (KeyError, OSError):  # a user without a name, or the file is gone
        return ""


def _signature(folder: Path | None) -> Signature:
    return tuple(sorted(_stamps(folder.rglob("*")))) if folder is not None else ()


def _stamps(files: Iterable[Path]) -> Iterable[tuple[str, int, int, int]]:
    for file in files:
        if file.suffix in _SUFFIXES and (about := _about(file)) is not None:
            yield str(file), about.st_size, about.st_mtime_ns, about.st_ino


def _about(file: Path) -> os.stat_result | None:
    """What a file is, or the link that leads nowhere; None where it is gone since it was listed."""
    for look in (file.stat, file.lstat):
        with suppress(OSError):
            return look()
    return None
