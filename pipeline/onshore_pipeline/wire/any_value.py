"""The text of one OTLP value: how a scalar is spelled, and compact canonical JSON for arrays and maps."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.common.v1.common_pb2 import ArrayValue, KeyValueList

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue

# Levels of arrays and maps in a value. A map takes three levels of protobuf, whose decoders stop at 100.
MAX_NESTING: Final = 30
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def text_of(value: AnyValue) -> str | None:
    """The value as text; None when none is set.

    Strings as sent, integers decimal, bools true/false, doubles as Python's repr, bytes as base64, arrays and maps as
    JSON (see `json_text`). Raises `ValueError` when it is nested deeper than `MAX_NESTING`.
    """
    member = _member(value)
    match member:
        case None:
            return None
        case bool():
            return "true" if member else "false"
        case float():
            return repr(member)
        case bytes():
            return base64.b64encode(member).decode()
        case int() | str():
            return str(member)
        case _:
            return json_text(member)


def json_text(value: ArrayValue | KeyValueList) -> str:
    """Compact JSON, keys sorted by their UTF-8 bytes, the last of duplicate keys kept, UTF-8 unescaped.

    Doubles as Python's repr, NaN and infinities as the strings "NaN", "Infinity" and "-Infinity", bytes as base64,
    an unset value as null. Raises `ValueError` when it is nested deeper than `MAX_NESTING`.
    """
    return json.dumps(_plain(value, 1), ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True)


def _plain(member: Any, depth: int) -> object:  # noqa: ANN401 - what `_member` returns
    match member:
        case ArrayValue() | KeyValueList() if depth > MAX_NESTING:
            raise ValueError(f"arrays and maps nested deeper than {MAX_NESTING}")
        case ArrayValue():
            return [_plain(_member(item), depth + 1) for item in member.values]
        case KeyValueList():
            return {item.key: _plain(_member(item.value), depth + 1) for item in member.values}
        case float():
            return _NOT_FINITE.get(repr(member), member)
        case bytes():
            return base64.b64encode(member).decode()
        case _:
            return member


def _member(value: AnyValue) -> Any:  # noqa: ANN401 - a scalar, ArrayValue or KeyValueList
    kind = value.WhichOneof("value")
    # An index into a string table that only profiles have says nothing here.
    return None if kind is None or kind == "string_value_strindex" else getattr(value, kind)
