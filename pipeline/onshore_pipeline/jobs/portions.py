"""Lists that travel to the store as parameters, cut to what its URL can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A UUID takes 45 bytes of the URL, and ClickHouse refuses URLs above 1 MiB.
_PORTION: Final = 5_000

Value = TypeVar("Value")


def portions(values: Iterable[Value], size: int = _PORTION) -> Iterator[list[Value]]:
    """The values in their order, `size` at a time; nothing for no values."""
    ready = list(values)
    for start in range(0, len(ready), size):
        yield ready[start : start + size]
