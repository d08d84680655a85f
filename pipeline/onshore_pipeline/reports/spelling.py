"""How values are spelled in every rendering."""

from __future__ import annotations

import json
from datetime import UTC
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def utc(moment: datetime) -> str:
    """RFC 3339 in UTC, to the second, or to the microsecond where there are any."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def one_line(text: str, longest: int = 4000) -> str:
    """The text on one line; never empty, and what is cut is seen to be."""
    flat = " ".join(text.split()) or "unknown"
    return flat if len(flat) <= longest else flat[: longest - 1] + "…"


def json_document(value: object) -> bytes:
    """Indented JSON with a line feed at its end; members stand as they were put."""
    return (json.dumps(value, ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()
