"""Addresses that were met before, with a number each: a table of 16-byte keys, asked for a whole column at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import polars as pl

from onshore_pipeline.compiled import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ADDRESS_BYTES: Final = 16
_SLOTS: Final = 1 << 18
MOST_AT_ONCE: Final = 1 << 17  # so that at least every other slot stays empty at first
MOST_REMEMBERED: Final = 100_000
_EMPTY: Final = -1
# A slot whose number is not known yet: how-manieth new one it is, counted down from here.
_NEW: Final = -2


class Met(NamedTuple):
    """Which addresses were not met before.

    Attributes:
        numbers: by address, its number; of a new one, `_NEW` less how many new ones came before it.
        rows: where each new one was met first.
        slots: where it lies in the table.
    """

    numbers: NDArray[np.int64]
    rows: NDArray[np.int64]
    slots: NDArray[np.int64]


class AddressMemory:
    """Numbers by address."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._keys = np.zeros((_SLOTS, 2), np.uint64)
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._held = np.full(_SLOTS, _EMPTY, np.int64)
        self.count = 0

    def numbers_of(self, addresses: pl.Series, look_up: Callable[[pl.Series], NDArray[np.int64]]) -> NDArray[np.int64]:
        """The number of each address.

        Args:
            addresses: Binary, 16 bytes, none null, at most `MOST_AT_ONCE`.
            look_up: numbers new addresses, in their order.
        """
        met = self._met(keys_of(addresses))
        if not len(met.rows):
            return met.numbers
        try:
            fresh = look_up(addresses.gather(met.rows))
        except BaseException:
            self.forget()
            raise
        self._held[met.slots] = fresh
        self.count += len(fresh)
        is_new = met.numbers <= _NEW
        met.numbers[is_new] = fresh[_NEW - met.numbers[is_new]]
        return met.numbers

    def _met(self, keys: NDArray[np.uint64]) -> Met:
        numbers = np.empty(len(keys), np.int64)
        fresh = np.empty((2, len(keys)), np.int64)
        count = _find(keys, self._keys, self._held, numbers, fresh)
        return Met(numbers, fresh[0, :count], fresh[1, :count])


def keys_of(addresses: pl.Series) -> NDArray[np.uint64]:
    """Addresses, none null, as two integers each, in the byte order of this machine."""
    texts = addresses.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    offsets, data = texts.buffers()[1:]
    width = np.int64 if texts.type == "large_binary" else np.int32
    first = int(np.frombuffer(offsets, width, 1, texts.offset * np.dtype(width).itemsize)[0]) if len(texts) else 0
    if not len(texts):
        return np.empty((0, 2), np.uint64)
    return np.frombuffer(data, np.uint64, 2 * len(texts), first).reshape(-1, 2)


@compiled
def _find(
    keys: NDArray[np.uint64],
    known: NDArray[np.uint64],
    held: NDArray[np.int64],
    numbers: NDArray[np.int64],
    fresh: NDArray[np.int64],
) -> int:
    """Number every key; one that is not known takes a slot. Returns how many did."""
    mask = np.uint64(len(held) - 1)
    count = 0
    for row in range(len(keys)):
        one, other = keys[row, 0], keys[row, 1]
        mixed = (one ^ (one >> np.uint64(29))) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= (other ^ (other >> np.uint64(32))) * np.uint64(0xC2B2AE3D27D4EB4F)
        at = np.int64((mixed ^ (mixed >> np.uint64(31))) & mask)
        while held[at] != _EMPTY and (known[at, 0] != one or known[at, 1] != other):
            at = np.int64((np.uint64(at) + np.uint64(1)) & mask)
        if held[at] == _EMPTY:
            known[at, 0], known[at, 1] = one, other
            held[at] = _NEW - count
            fresh[0, count], fresh[1, count] = row, at
            count += 1
        numbers[row] = held[at]
    return count
