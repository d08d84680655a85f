"""What of a message became a dead letter, and why nothing of it can be assessed today either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from onshore_pipeline.broker import Message


@dataclass(frozen=True, slots=True)
class FailedRecords:
    """What of a message became a dead letter, with all that assessing it again needs.

    Attributes:
        letter_id: the dead letter's id.
        message: as the broker handed it over.
        indexes: the records that failed; None for the whole message.
        tenant: as the log has sealed it.
        trusted: whether the message's headers count.
    """

    letter_id: UUID
    message: Message
    indexes: tuple[int, ...] | None
    tenant: str
    trusted: bool

    @property
    def records(self) -> int:
        """How many records the log counts for it."""
        return 1 if self.indexes is None else len(self.indexes)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing of a letter can be assessed today either."""

    stage: str
    reason: str
