"""The compiled side of `native`: texts with their sizes in front of them, apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_pipeline.compiled import address_of, bytes_at, compiled, copy_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MOST_BITS: Final = 35  # of a text's size


@compiled
def text_ends(source: NDArray[np.uint8], ends: NDArray[np.int64]) -> int:
    """Write where each text would end if they stood one behind the other, behind the 0 that `ends` begins with.

    Returns:
        Bytes of all of them with their sizes; -1 where `source` ends before.
    """
    at, total, length = 0, 0, len(source)
    for row in range(len(ends) - 1):
        size, shift = 0, 0
        while True:
            if at >= length or shift > _MOST_BITS:
                return -1
            byte = int(source[at])
            at += 1
            size |= (byte & 0x7F) << shift
            if byte < 0x80:  # noqa: PLR2004
                break
            shift += 7
        if size > length - at:
            return -1
        at += size
        total += size
        ends[row + 1] = total
    return at


@compiled
def copy_texts(source: NDArray[np.uint8], ends: NDArray[np.int64], out: NDArray[np.uint8]) -> None:
    """Write the texts that `text_ends` measured, one behind the other."""
    at, to = address_of(source), address_of(out)
    for row in range(len(ends) - 1):
        while bytes_at(at)[0] >= 0x80:  # noqa: PLR2004
            at += 1
        at += 1
        size = ends[row + 1] - ends[row]
        copy_bytes(to + ends[row], at, size)
        at += size
