"""Signs heads beside the sequencer, and says in a file how that goes; what cannot be signed stops nothing else."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog

from onshore_pipeline.errors import EvidenceAltered, SettingsError
from onshore_pipeline.evidence.signed_note import NoteRefused
from onshore_pipeline.head_journal import JournalDamaged
from onshore_pipeline.head_signer import HeadRefused
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.head_signer import HeadSigner, SignedHead
    from onshore_pipeline.settings import Settings

log = structlog.get_logger("heads")

_SAY_EVERY_S: Final = 60.0
_TROUBLE: Final = (HeadRefused, EvidenceAltered, SettingsError, NoteRefused, JournalDamaged, OSError)


@dataclass(frozen=True, slots=True)
class HeadsSaid:
    """How signing goes.

    Attributes:
        at: when it was said, ISO 8601 with its zone.
        origin: of the newest head; empty where there is none.
        size: entries that it covers.
        signed_at: when it was signed, ISO 8601; empty where there is none.
        trouble: why nothing is signed; empty where all is well.
    """

    at: str
    origin: str = ""
    size: int = 0
    signed_at: str = ""
    trouble: str = ""


class HeadKeeper:
    """Signs when it is time; trouble with a key, a disk or a log that was put back is said and tried again."""

    def __init__(self, signer: HeadSigner, status_file: Path) -> None:
        self._signer, self._file = signer, status_file
        self._trouble = ""
        self._say_due = time.monotonic()

    def look(self, *, copied: int) -> None:
        """Sign if it is time; `copied` = how many entries were copied just now.

        Raises:
            StoreUnavailable: try again later.
        """
        try:
            signed = self._signer.sign_when_due(copied=copied)
        except _TROUBLE as error:
            self._say_trouble(str(error))
            return
        if signed is not None:
            self._trouble = ""
        if signed is not None or time.monotonic() >= self._say_due:
            self._say(self._signer.last)

    def close(self) -> None:
        """Sign what has grown since. Raises `StoreUnavailable`."""
        try:
            self._say(self._signer.sign(caught_up=False) or self._signer.last)
        except _TROUBLE as error:
            self._say_trouble(str(error))

    def _say_trouble(self, why: str) -> None:
        if why != self._trouble:
            log.error("heads are not signed", why=why)
        self._trouble = why
        self._say(self._signer.last)

    def _say(self, last: SignedHead | None) -> None:
        now = datetime.now(UTC).isoformat()
        said = HeadsSaid(now, trouble=self._trouble)
        if last is not None:
            said = HeadsSaid(now, last.head.origin, last.head.size, last.at.isoformat(), self._trouble)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(asdict(said)))
        part.replace(self._file)
        self._say_due = time.monotonic() + _SAY_EVERY_S


def heads_path(settings: Settings) -> Path:
    """Where the sequencer of this data directory says how signing goes."""
    return DataDir(settings.data_dir).worker_status.with_name("heads.json")


def last_said(path: Path) -> HeadsSaid | None:
    """What was said last; None when nothing ever was."""
    try:
        told: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return HeadsSaid(**told)
