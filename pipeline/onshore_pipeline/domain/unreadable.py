"""What a reader of files says about a stretch that is no record: the attributes of the log record that holds it.

The body is the stretch, or its beginning where it is long. Such a record becomes a dead letter, never an event.
"""

from __future__ import annotations

from typing import Final

REASON: Final = "onshore.unreadable.reason"
LINE: Final = "onshore.unreadable.line"  # where it begins, from 1
POSITION: Final = "onshore.unreadable.position"  # where it begins, in bytes of the unpacked file
BYTES: Final = "onshore.unreadable.bytes"  # size of the whole stretch
FILE: Final = "log.file.path"

STAGE: Final = "collect"
