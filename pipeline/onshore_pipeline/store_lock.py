"""Who takes rows away from the store: one at a time on a machine, be it a restore or a deletion."""

from __future__ import annotations

import contextlib
import fcntl
from typing import TYPE_CHECKING

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_pipeline.stack import DataDir


class StoreBusy(OnshoreError):
    """Another one is at it."""


@contextlib.contextmanager
def changing_alone(data: DataDir) -> Iterator[None]:
    """Hold the lock while rows are taken away; it ends with its process. Raises `StoreBusy`."""
    path = data.path / "restore.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreBusy(f"another restore or retention run holds {path}; let it end first") from None
        yield
