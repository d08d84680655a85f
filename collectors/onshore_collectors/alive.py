"""A collector says that it is alive while it runs, however long it has nothing else to say."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from onshore_collectors.heartbeat import EVERY_S
from onshore_collectors.telemetry import open_telemetry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onshore_collectors.stack_address import ReceiverAddress

_CLOSE_TIMEOUT_S: Final = 2.0


@contextmanager
def alive(receiver: ReceiverAddress, resource: Mapping[str, str], scope: str, gap_file: Path) -> Iterator[None]:
    """Send a heartbeat at once and every minute; nobody waits for one that is not taken.

    `gap_file` keeps how many were not, for the next start to report.
    """
    telemetry = open_telemetry(
        endpoint=receiver.endpoint,
        headers=receiver.headers,
        resource=resource,
        scope=scope,
        gap_file=gap_file,
        heartbeat_every_s=EVERY_S,
    )
    try:
        yield
    finally:
        telemetry.close(_CLOSE_TIMEOUT_S)
