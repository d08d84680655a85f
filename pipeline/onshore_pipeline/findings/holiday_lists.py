"""Public holidays by the name of a list: a file NAME.txt of the operator's, a day (2026-12-25) and anything a line.

A list that follows from a law's rules alone ships; a file of the operator's of the same name takes its place.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from collections.abc import Callable

SHIPPED: Final = Path(__file__).parent / "holidays"


class HolidaysUnknown(OnshoreError):
    """No list of holidays has this name, or it does not say what is asked."""


def holidays_named(folder: Path | None, name: str) -> Callable[[date], bool]:
    """Whether a day is a holiday of the list. Raises `HolidaysUnknown`, also when asked about a year without any.

    A list that ends before the deadline would make it too early or too late; nobody guesses.
    """
    file = next((each / f"{name}.txt" for each in (folder, SHIPPED) if each and (each / f"{name}.txt").exists()), None)
    if file is None:
        where = folder or Path("ONSHORE_CONTEXT_DIR/holidays")
        raise HolidaysUnknown(f"the list of holidays {name} is not at hand: {where / name}.txt")
    days = _days(file)
    years = {day.year for day in days}

    def is_holiday(day: date) -> bool:
        if day.year not in years:
            raise HolidaysUnknown(f"the list of holidays {name} has no day of {day.year}")
        return day in days

    return is_holiday


def _days(file: Path) -> frozenset[date]:
    """The list's days; a file that was changed is read again."""
    try:
        status = file.stat()
    except OSError as error:
        raise HolidaysUnknown(f"the list of holidays {file} cannot be read: {error}") from None
    return _read(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(file: Path, _changed_ns: int, _size: int) -> frozenset[date]:
    try:
        lines = read_plain(file).decode("utf-8").splitlines()
        return frozenset(date.fromisoformat(line.split()[0]) for line in lines if line.strip() and line[0] != "#")
    except (OSError, ValueError) as error:
        raise HolidaysUnknown(f"the list of holidays {file} cannot be read: {error}") from None
