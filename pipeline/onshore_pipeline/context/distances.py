"""How far apart two countries are at least."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onshore_pipeline.context.csv_table import Table


class Distances:
    """The table `country_distances.csv`, read when first asked."""

    def __init__(self, table: Table) -> None:
        """Each row: a country and its distances to the countries of the rows above, in their order."""
        self._table = table

    @cached_property
    def _rows(self) -> dict[str, tuple[int, tuple[int, ...]]]:
        return {
            row.require("country"): (number, tuple(map(int, row.several("km"))))
            for number, row in enumerate(self._table)
        }

    def km(self, one: str, other: str) -> float | None:
        """A distance that is certain, in km; 0 where the countries may touch, None where nothing is known."""
        if one not in self._rows or other not in self._rows:
            return None
        (first, _), (second, distances) = sorted((self._rows[one], self._rows[other]))
        return 0.0 if first == second else float(distances[first])
