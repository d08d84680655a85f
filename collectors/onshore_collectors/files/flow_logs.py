"""AWS VPC flow logs: the heading says which fields a line has, and goes along with every line of its file."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from onshore_collectors.files.json_records import JsonRules, read_json
from onshore_collectors.files.lines import read_lines
from onshore_collectors.files.pieces import RawRecord
from onshore_collectors.files.source_files import first_character

if TYPE_CHECKING:
    from collections.abc import Iterator

    from onshore_collectors.files.pieces import Piece

FORMAT: Final = "aws.vpcflow"
FIELDS_KEY: Final = "aws.vpcflow.fields"
NEEDED: Final = ("srcaddr", "dstaddr", "log-status", "bytes")  # without any of these it is no flow

# Of the words of a line some have digits, are upper-case or a dash alone; names of fields are none of that.
_NAME: Final = re.compile(r"[a-z]+([-_][a-z]+)*")

_CLOUDWATCH: Final = JsonRules(FORMAT, from_text=lambda text: RawRecord(text, FORMAT))


def read_flow_logs(chunks: Iterator[bytes]) -> Iterator[Piece]:
    """The lines of a file without its headings, or of CloudWatch Logs' copies."""
    first, chunks = first_character(chunks)
    if first in {b"{", b"["}:
        return read_json(chunks, _CLOUDWATCH)
    return read_lines(chunks, _Heading().record)


class _Heading:
    """The newest heading; a file of several that were put together may have more than one."""

    def __init__(self) -> None:
        self._attributes: tuple[tuple[str, str], ...] = ()

    def record(self, line: str) -> RawRecord | None:
        if not line[0].isdigit() and is_heading(line):
            self._attributes = ((FIELDS_KEY, " ".join(line.split())),)
            return None
        return RawRecord(line, FORMAT, attributes=self._attributes)


def is_heading(line: str) -> bool:
    """Whether a line names fields, one of them of those without which it is no flow."""
    names = line.split()
    return all(map(_NAME.fullmatch, names)) and any(name.replace("_", "-") in NEEDED for name in names)
