"""For many stretches of time at once: the earliest of the values that points in the stretch have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEVER: Final = np.iinfo(np.int64).max


class Earliest:
    """Points of groups in time, each with a value.

    It keeps the minima over 1, 2, 4, ... neighbours, so that any question is answered by two looks.

    Args:
        group: of each point, a number from 0 on.
        at: its time.
        value: what is compared.
    """

    def __init__(self, group: NDArray[np.int64], at: NDArray[np.int64], value: NDArray[np.int64]) -> None:
        order = np.lexsort((at, group))
        self._group, self._at = group[order], at[order]
        self._order = order
        rows = [value[order]]
        width = 1
        while 2 * width <= len(order):
            rows.append(np.minimum(rows[-1][: len(order) - 2 * width + 1], rows[-1][width : len(order) - width + 1]))
            width *= 2
        self._rows = rows

    def between(self, group: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]) -> NDArray[np.int64]:
        """The least value of each group's points with low ≤ at ≤ high; `NEVER` where there is none."""
        first, behind = self._place(group, low, after=False), self._place(group, high, after=True)
        found = np.full(len(group), NEVER, dtype=np.int64)
        length = behind - first
        some = np.flatnonzero(length > 0)
        if not some.size:
            return found
        level = np.log2(length[some]).astype(np.int64)
        # log2 of a float may round up to the next power of two.
        level -= (np.int64(1) << level) > length[some]
        for each in np.unique(level):
            at = some[level == each]
            row, width = self._rows[each], np.int64(1) << each
            found[at] = np.minimum(row[first[at]], row[behind[at] - width])
        return found

    def first_point(
        self, group: NDArray[np.int64], low: NDArray[np.int64], high: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Which point of the group comes first with low ≤ at ≤ high, as its place in what was given; -1 for none."""
        first, behind = self._place(group, low, after=False), self._place(group, high, after=True)
        found = np.full(len(group), -1, dtype=np.int64)
        some = behind > first
        found[some] = self._order[first[some]]
        return found

    def _place(self, group: NDArray[np.int64], at: NDArray[np.int64], *, after: bool) -> NDArray[np.int64]:
        """How many points come before (group, at); `after`: before it or with it."""
        asked = len(group)
        points = len(self._group)
        # One sort of points and questions together; ties put the question before its equals, or behind them.
        side = np.full(asked, 2 if after else 0, dtype=np.int8)
        order = np.lexsort(
            (
                np.concatenate([np.ones(points, dtype=np.int8), side]),
                np.concatenate([self._at, at]),
                np.concatenate([self._group, group]),
            )
        )
        is_point = order < points
        before = np.cumsum(is_point)
        places = np.empty(asked, dtype=np.int64)
        questions = ~is_point
        places[order[questions] - points] = before[questions]
        return places
