"""Lists that travel to the store as parameters, cut to what its URL can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# A statement's parameters travel in the URL (a question's do not): 45 bytes a UUID, and the embedded store's HTTP
# parser takes 64 KiB, ClickHouse 1 MiB.
_PORTION: Final = 1_000

Value = TypeVar("Value")


def portions(values: Iterable[Value], size: int = _PORTION) -> Iterator[list[Value]]:
    """The values in their order, `size` at a time; nothing for no values."""
    ready = list(values)
    for start in range(0, len(ready), size):
        yield ready[start : start + size]
