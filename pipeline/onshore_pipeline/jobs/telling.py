"""A job beside the sequencer that tells others something: what goes wrong there is said, and ends nothing else."""

from __future__ import annotations

import json
from traceback import format_exc
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from onshore_pipeline.errors import BrokerUnavailable, OnshoreError, StoreUnavailable, in_one_line
from onshore_pipeline.sequencer_status import status_path

if TYPE_CHECKING:
    from pathlib import Path

    from onshore_pipeline.settings import Settings

log = structlog.get_logger("telling")

FINDINGS: Final = "where findings stand"
REGISTRIES: Final = "how registries changed"
_FILES: Final = {FINDINGS: "telling_findings.json", REGISTRIES: "telling_registries.json"}


class Tells(Protocol):
    """Somebody who looks from time to time whether there is something to tell."""

    def look(self) -> object:
        """Tell what is new. Raises where it cannot."""
        ...


class Telling:
    """Tries again, and keeps for `onshore status` why it did not succeed."""

    def __init__(self, what: str, job: Tells, settings: Settings) -> None:
        """`what` is FINDINGS or REGISTRIES."""
        self._what, self._job, self._file = what, job, _path(settings, what)
        self._trouble = _last(self._file)

    def look(self) -> None:
        """Have the job look. Raises `StoreUnavailable` and `BrokerUnavailable` only: then nothing else works either."""
        trouble = ""
        try:
            self._job.look()
        except (StoreUnavailable, BrokerUnavailable):
            raise
        except OnshoreError as error:
            trouble = str(error)
            if trouble != self._trouble:
                log.warning("not all is told", what=self._what, reason=trouble)
        except Exception as error:  # noqa: BLE001 - a fault of ours: sequencing does not wait for its repair
            trouble = in_one_line(error)
            if trouble != self._trouble:
                log.error("nothing is told", what=self._what, traceback=format_exc())  # noqa: TRY400 - see `errors`
        if trouble != self._trouble:
            self._file.write_text(json.dumps({"trouble": trouble}))
            self._trouble = trouble


def telling_trouble(settings: Settings) -> str:
    """What is not told, and why; '' while all is."""
    troubles = {what: _last(_path(settings, what)) for what in _FILES}
    return "; ".join(f"{what}: {trouble}" for what, trouble in troubles.items() if trouble)


def _path(settings: Settings, what: str) -> Path:
    return status_path(settings).with_name(_FILES[what])


def _last(file: Path) -> str:
    try:
        return str(json.loads(file.read_text())["trouble"])
    except (FileNotFoundError, ValueError):  # never in trouble, or written just now
        return ""
