"""Addresses as text: dotted for IPv4, eight groups for IPv6."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from onshore_pipeline.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LONGEST: Final = 39
_MAPPED: Final = 0xFFFF  # what stands before a mapped IPv4 address
_DIGITS: Final = np.frombuffer(b"0123456789abcdef", np.uint8)
_DOT: Final = np.uint8(ord("."))
_COLON: Final = np.uint8(ord(":"))


def address_texts(keys: NDArray[np.uint64]) -> list[str]:
    """Spell addresses; one that is mapped as the IPv4 address that it stands for.

    Args:
        keys: a row an address: its first and its last 64 bits as numbers.
    """
    offsets, data = np.zeros(len(keys) + 1, np.int32), np.empty(len(keys) * _LONGEST, np.uint8)
    _spell(np.ascontiguousarray(keys), _DIGITS, offsets, data)
    texts = pa.StringArray.from_buffers(len(keys), pa.py_buffer(offsets), pa.py_buffer(data))
    spelled: list[str] = texts.to_pylist()
    return spelled


@compiled
def _spell(
    keys: NDArray[np.uint64], digits: NDArray[np.uint8], offsets: NDArray[np.int32], data: NDArray[np.uint8]
) -> None:
    at = 0
    for row in range(len(keys)):
        high, low = keys[row, 0], keys[row, 1]
        if high == np.uint64(0) and low >> np.uint64(32) == np.uint64(_MAPPED):
            for place in range(4):
                octet = np.int64((low >> np.uint64(24 - 8 * place)) & np.uint64(0xFF))
                if place:
                    data[at] = _DOT
                    at += 1
                hundreds, tens = octet // 100, octet // 10
                if hundreds:
                    data[at] = digits[hundreds]
                    at += 1
                if tens:
                    data[at] = digits[tens % 10]
                    at += 1
                data[at] = digits[octet % 10]
                at += 1
        else:
            for half in range(2):
                bits = low if half else high
                for place in range(16):
                    if place % 4 == 0 and (half or place):
                        data[at] = _COLON
                        at += 1
                    data[at] = digits[np.int64((bits >> np.uint64(60 - 4 * place)) & np.uint64(15))]
                    at += 1
        offsets[row + 1] = at
