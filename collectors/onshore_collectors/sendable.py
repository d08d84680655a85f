"""Values that the wire format can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

_LEAST_INT64: Final = -(2**63)
_MOST_INT64: Final = 2**63 - 1


def sendable(value: AttributeValue) -> AttributeValue:
    """The value, or text that stands for it."""
    if isinstance(value, str):
        return sendable_text(value)
    if isinstance(value, int) and not _LEAST_INT64 <= value <= _MOST_INT64:
        # The encoder would leave the attribute out; the pipeline reads decimal text as well.
        return str(value)
    return value


def sendable_text(text: str) -> str:
    """The text; bytes of a file that are no UTF-8 become visible escapes."""
    # Lone surrogates (undecodable bytes of a file) would make protobuf refuse the whole batch.
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")
