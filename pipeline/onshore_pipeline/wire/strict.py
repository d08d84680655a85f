"""Whether protobuf is well formed all the way down, also where nobody reads it.

The fast decoder passes over unknown fields without looking closely: it takes groups whose end belongs to another field,
and field numbers beyond 29 bits. The protobuf library refuses both. What a message becomes must not depend on which of
the two reads it, so what is malformed goes to the library at once. A whole message costs about as much as a copy of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from opentelemetry.proto.logs.v1.logs_pb2 import LogsData
from opentelemetry.proto.metrics.v1.metrics_pb2 import MetricsData
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from onshore_pipeline.compiled import address_of, bytes_at, compiled

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.descriptor import Descriptor
    from numpy.typing import NDArray

    from onshore_pipeline.wire.fast import Signal

_DEEPEST: Final = 96  # the library gives up at 100
_MOST_FIELDS: Final = 32  # OTLP's numbers end well below
_VARINT_BYTES: Final = 10
_TAG_BYTES: Final = 5
_LAST_TAG: Final = (1 << 32) - 1
_VARINT, _EIGHT, _SIZED, _FOUR = 0, 1, 2, 5


def well_formed(signal: Signal, value: bytes) -> bool:
    """Whether every tag, length and number of an encoded request is; groups, which OTLP does not have, are not."""
    kinds, root = _KINDS[signal]
    return bool(_is_well_formed(np.frombuffer(value, np.uint8), kinds, root))


def _kinds(root: Descriptor) -> tuple[NDArray[np.int32], int]:
    """A row for every message type, for every field number the row of the message type in it, -1 for none."""
    found: dict[str, Descriptor] = {}
    waiting = [root]
    while waiting:
        each = waiting.pop()
        if each.full_name not in found:
            found[each.full_name] = each
            waiting += [field.message_type for field in each.fields if field.message_type is not None]
    rows = {name: row for row, name in enumerate(found)}
    table = np.full((len(found), _MOST_FIELDS), -1, np.int32)
    for name, each in found.items():
        for field in each.fields:
            if field.message_type is not None:
                table[rows[name], field.number] = rows[field.message_type.full_name]
    return table, rows[root.full_name]


_KINDS: Final[Mapping[Signal, tuple[NDArray[np.int32], int]]] = {
    "logs": _kinds(LogsData.DESCRIPTOR),
    "spans": _kinds(TracesData.DESCRIPTOR),
    "metrics": _kinds(MetricsData.DESCRIPTOR),
}


@compiled
def _is_well_formed(value: NDArray[np.uint8], kinds: NDArray[np.int32], root: int) -> bool:
    """Field after field; `ends` and `types` remember the messages around the one that is read."""
    data = bytes_at(address_of(value))
    ends, types = np.empty(_DEEPEST, np.int64), np.empty(_DEEPEST, np.int64)
    depth, at, end, kind = 0, 0, len(value), root
    while at >= 0:
        if at == end:
            if depth == 0:
                return True
            depth -= 1
            end, kind = ends[depth], types[depth]
            continue
        tag, at = _varint(data, at, end, _TAG_BYTES)
        number, wire_type = tag >> 3, tag & 7
        if at < 0 or tag > _LAST_TAG or number == 0:
            return False
        inner = kinds[kind, number] if wire_type == _SIZED and number < _MOST_FIELDS else -1
        if inner < 0:
            at = _behind(data, at, end, wire_type)
            continue
        size, at = _varint(data, at, end, _TAG_BYTES)
        if at < 0 or size > end - at or depth == _DEEPEST:
            return False
        ends[depth], types[depth] = end, kind
        depth, end, kind = depth + 1, at + size, inner
    return False


@compiled
def _behind(data: Mapping[int, int], at: int, end: int, wire_type: int) -> int:
    """Where a value that holds no message ends; -1 where it does not, and for groups."""
    if wire_type == _VARINT:
        return _varint(data, at, end, _VARINT_BYTES)[1]
    if wire_type == _SIZED:
        size, at = _varint(data, at, end, _TAG_BYTES)
    elif wire_type == _EIGHT:
        size = 8
    elif wire_type == _FOUR:
        size = 4
    else:
        return -1
    return at + size if at >= 0 and size <= end - at else -1


@compiled
def _varint(data: Mapping[int, int], at: int, end: int, most: int) -> tuple[int, int]:
    """A number of at most `most` bytes, and where it ends; -1 where it does not."""
    number = np.int64(0)
    for place in range(min(most, end - at)):
        byte = data[at + place]
        number |= (np.int64(byte) & 0x7F) << (7 * place)
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return int(number), at + place + 1
    return int(number), -1
