"""What a sender that numbers its requests says in their headers (`onshore collect` of files)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_collectors.receiver.refusals import malformed
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SEQUENCE_HEADER
from onshore_pipeline.numbered import Numbered

if TYPE_CHECKING:
    from collections.abc import Mapping

_STREAM: Final = re.compile(r"[0-9a-zA-Z._-]{1,64}")
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_COLLECTOR: Final = re.compile(r"[ -~]{0,256}")


@dataclass(frozen=True, slots=True)
class NumberedSender:
    """Who sends, under which number of which stream."""

    stream: str
    number: int
    collector: str

    @property
    def headers(self) -> tuple[tuple[str, bytes], ...]:
        """For the message: whoever reads it sees which numbers are missing."""
        named = {COLLECTOR_HEADER: self.collector, RUN_HEADER: self.stream, SEQUENCE_HEADER: str(self.number)}
        return tuple((name, value.encode()) for name, value in named.items())

    def numbered(self, tenant: str, value: bytes) -> Numbered:
        """The message's number; another tenant's stream is another one, whatever its name."""
        return Numbered(f"{tenant}/{self.stream}", self.number, hashlib.sha256(value).digest())


def numbered_sender(headers: Mapping[str, str]) -> NumberedSender | None:
    """What the headers say; None where nothing is numbered. Raises `Refusal` (400) where they make no sense."""
    stream, number = headers.get(RUN_HEADER), headers.get(SEQUENCE_HEADER)
    if stream is None:
        return None
    collector = headers.get(COLLECTOR_HEADER, "")
    if not (_STREAM.fullmatch(stream) and _NUMBER.fullmatch(number or "") and _COLLECTOR.fullmatch(collector)):
        raise malformed(f"{RUN_HEADER}, {SEQUENCE_HEADER} or {COLLECTOR_HEADER} is not what a collector of ours sends")
    return NumberedSender(stream, int(number or ""), collector or stream)
