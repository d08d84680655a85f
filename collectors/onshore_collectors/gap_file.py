"""Losses that a process could not report before its end: kept in a file and reported by the next one."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from onshore_collectors.batching import Gap

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_log = logging.getLogger(__name__)


class GapFile:
    """One collector's file; it exists only while there is something unreported."""

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path

    def load(self) -> tuple[Gap, ...]:
        """What an earlier process left; a file that cannot be read is left alone and said so."""
        try:
            return tuple(Gap(**each) for each in json.loads(self._path.read_text()))
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, TypeError) as error:
            _log.warning("losses kept in %s cannot be read: %s", self._path, error)
            return ()

    def keep(self, gaps: Sequence[Gap]) -> None:
        """Replace what is kept; an application must not fail for that."""
        try:
            if not gaps:
                self._path.unlink(missing_ok=True)
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part = self._path.with_name(self._path.name + ".part")
            part.write_text(json.dumps([asdict(gap) for gap in gaps]))
            part.replace(self._path)
        except OSError as error:
            _log.warning("%d losses cannot be kept in %s: %s", sum(gap.count for gap in gaps), self._path, error)
