"""Address ranges as one sorted row of beginnings, v4 and v6 together: which range each of many addresses lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOWHERE: Final = -1
_LAST: Final = pl.Series([(1 << 128) - 1], dtype=pl.UInt128)
_ONE: Final = pl.Series([1], dtype=pl.UInt128)


class AddressTable:
    """Disjoint ranges, each with a number."""

    def __init__(self, ranges: pl.DataFrame, numbers: NDArray[np.int32] | None = None) -> None:
        """Index the ranges.

        Args:
            ranges: first, last UInt128; disjoint.
            numbers: of each range; None = its position.
        """
        own = np.arange(ranges.height, dtype=np.int32) if numbers is None else numbers
        ends = ranges.get_column("last").filter(ranges.get_column("last") != _LAST.item())
        # A range's beginning, and behind its end nowhere: unless the next one begins there.
        begins = pl.DataFrame(
            {
                "first": pl.concat([pl.Series([0], dtype=pl.UInt128), ends + _ONE, ranges.get_column("first")]),
                "number": np.concatenate([np.full(len(ends) + 1, NOWHERE, np.int32), own]),
            }
        )
        begins = begins.sort("first", maintain_order=True).unique("first", keep="last", maintain_order=True)
        self._begins = begins.get_column("first").rechunk()
        self._numbers = begins.get_column("number").to_numpy()
        self.is_empty = not ranges.height

    def numbers_of(self, addresses: pl.Series) -> NDArray[np.int32]:
        """The number of the range that each address (UInt128, none null) lies in; `NOWHERE` where it is in none."""
        if self.is_empty:
            return np.full(len(addresses), NOWHERE, np.int32)
        found: NDArray[np.int32] = self._numbers[self._begins.search_sorted(addresses, side="right").to_numpy() - 1]
        return found
