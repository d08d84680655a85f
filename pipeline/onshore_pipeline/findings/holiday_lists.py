"""Public holidays by the name of a list: a file NAME.txt of the operator's, a day (2026-12-25) and anything a line."""

from __future__ import annotations

from datetime import date
from functools import cache
from typing import TYPE_CHECKING

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class HolidaysUnknown(OnshoreError):
    """No list of holidays has this name, or it does not say what is asked."""


def holidays_named(folder: Path | None, name: str) -> Callable[[date], bool]:
    """Whether a day is a holiday of the list. Raises `HolidaysUnknown`, also when asked about a year without any.

    A list that ends before the deadline would make it too early or too late; nobody guesses.
    """
    if folder is None:
        raise HolidaysUnknown(f"the list of holidays {name} is not at hand: ONSHORE_CONTEXT_DIR/holidays/{name}.txt")
    days = _read(folder / f"{name}.txt")
    years = {day.year for day in days}

    def is_holiday(day: date) -> bool:
        if day.year not in years:
            raise HolidaysUnknown(f"the list of holidays {name} has no day of {day.year}")
        return day in days

    return is_holiday


@cache
def _read(file: Path) -> frozenset[date]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
        return frozenset(date.fromisoformat(line.split()[0]) for line in lines if line.strip() and line[0] != "#")
    except (OSError, ValueError) as error:
        raise HolidaysUnknown(f"the list of holidays {file} cannot be read: {error}") from None
