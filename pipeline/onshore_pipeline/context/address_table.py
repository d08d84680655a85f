"""Address ranges as one sorted row of beginnings, v4 and v6 together: what is said about each of many addresses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.compiled import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Keys = NDArray[np.uint64]

NOWHERE: Final = -1
_LAST: Final = pl.Series([(1 << 128) - 1], dtype=pl.UInt128)
_ONE: Final = pl.Series([1], dtype=pl.UInt128)
_LOW: Final = (1 << 64) - 1
# Of more beginnings the first bits tell where to search, so that a search reads little memory.
_MOST_SEARCHED_WHOLE: Final = 1 << 12
_V4: Final = 0xFFFF  # what stands before a mapped IPv4 address
_SIXTEENTHS: Final = 1 << 16  # of IPv4, by the first 16 bits
_TWENTIETHS: Final = 1 << 20  # of IPv6, by the first 20 bits
_BUCKETS: Final = 1 + _SIXTEENTHS + 1 + _TWENTIETHS  # below IPv4, in it, above it, and IPv6


class AddressTable:
    """Disjoint ranges and what is said about them.

    Attributes:
        answers: the different things that are said, a row each.
    """

    def __init__(self, ranges: pl.DataFrame) -> None:
        """Index the ranges.

        Args:
            ranges: first, last UInt128, disjoint; any other columns are what is said.
        """
        said = ranges.drop("first", "last")
        self.answers = said.unique(maintain_order=True)
        numbered = self.answers.with_row_index("number")
        own = said.join(numbered, on=said.columns, how="left", maintain_order="left", nulls_equal=True)
        ends = ranges.get_column("last").filter(ranges.get_column("last") != _LAST.item())
        # A range's beginning, and behind its end nowhere: unless the next one begins there.
        begins = pl.DataFrame(
            {
                "first": pl.concat([pl.Series([0], dtype=pl.UInt128), ends + _ONE, ranges.get_column("first")]),
                "number": pl.concat(
                    [
                        pl.Series([NOWHERE], dtype=pl.Int32).new_from_index(0, len(ends) + 1),
                        own.get_column("number").cast(pl.Int32),
                    ]
                ),
            }
        )
        begins = begins.sort("first", maintain_order=True).unique("first", keep="last", maintain_order=True)
        first = begins.get_column("first")
        self._high = (first // (1 << 64)).cast(pl.UInt64).to_numpy()
        self._low = (first & _LOW).cast(pl.UInt64).to_numpy()
        self._numbers = begins.get_column("number").to_numpy()
        self._starts = _starts(self._high, self._low)

    def numbers_of(self, keys: Keys) -> NDArray[np.int64]:
        """Which row of `answers` each address has; `NOWHERE` where it is in no range.

        Args:
            keys: a row an address: its first and its last 64 bits as numbers.
        """
        if not self.answers.height:
            return np.full(len(keys), NOWHERE, np.int64)
        found = np.empty(len(keys), np.int64)
        _search(np.ascontiguousarray(keys), self._high, self._low, self._numbers, self._starts, found)
        return found


def _starts(high: NDArray[np.uint64], low: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Where the beginnings of each bucket start, and where the last one ends; none where the whole is searched."""
    if len(high) <= _MOST_SEARCHED_WHOLE:
        return np.empty(0, np.int64)
    of_beginning = np.empty(len(high), np.int64)
    _buckets(high, low, of_beginning)
    return np.concatenate([[0], np.bincount(of_beginning, minlength=_BUCKETS).cumsum()])


@compiled
def _bucket(high: np.uint64, low: np.uint64) -> np.int64:
    """Rises with the address."""
    if high > np.uint64(0):
        return np.int64(2 + _SIXTEENTHS) + np.int64(high >> np.uint64(44))
    before = low >> np.uint64(32)
    if before < np.uint64(_V4):
        return np.int64(0)
    if before > np.uint64(_V4):
        return np.int64(1 + _SIXTEENTHS)
    return np.int64(1) + np.int64((low >> np.uint64(16)) & np.uint64(0xFFFF))


@compiled
def _buckets(high: NDArray[np.uint64], low: NDArray[np.uint64], found: NDArray[np.int64]) -> None:
    for row in range(len(high)):
        found[row] = _bucket(high[row], low[row])


@compiled
def _search(
    keys: Keys,
    high: NDArray[np.uint64],
    low: NDArray[np.uint64],
    numbers: NDArray[np.int32],
    starts: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """The number at the last beginning that is not behind each key; the first beginning is address 0."""
    for row in range(len(keys)):
        one, other = keys[row, 0], keys[row, 1]
        after, end = np.int64(0), np.int64(len(high))
        if len(starts):
            bucket = _bucket(one, other)
            after, end = starts[bucket], starts[bucket + 1]
        while after < end:
            middle = (after + end) >> 1
            if high[middle] < one or (high[middle] == one and low[middle] <= other):
                after = middle + 1
            else:
                end = middle
        found[row] = numbers[after - 1]
