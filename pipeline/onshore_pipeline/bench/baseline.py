"""The per-record programs that benchmarks compare with: files of the checkout, no part of the package."""

from __future__ import annotations

import importlib.util
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_FOLDER: Final = Path(__file__).parents[3] / "tests" / "benchmarks"
IN_A_CHECKOUT: Final = _FOLDER / "baseline.py"


class Baseline(StrEnum):
    """What ingest is compared with.

    AFTERNOON is what a user would write in one: a quarter of the columns, no place weighed, one hash an event.
    SAME_RESULT writes, an event at a time, every row that an attempt of ours has, equal in every column.
    """

    AFTERNOON = "afternoon"
    SAME_RESULT = "same_result"


class Program(Protocol):
    """What the afternoon's file must define besides being a program, for its functions to be measured one by one."""

    CREATE: str

    def decode(self, message: bytes) -> list[dict[str, Any]]:
        """The events of an OTLP log message."""
        ...

    def locate(self, event: dict[str, Any]) -> None:
        """Add places to an event."""
        ...

    def judge(self, event: dict[str, Any]) -> None:
        """Add `verdicts` to an event, by control."""
        ...

    def seal(self, event: dict[str, Any]) -> None:
        """Add a hash to an event."""
        ...

    def insert(self, client: Client, events: list[dict[str, Any]]) -> None:
        """Store events."""
        ...


def ingest_baselines(given: Path | None) -> dict[Baseline, Path]:
    """The programs that ingest is compared with: the one given as the afternoon's, and what is in this checkout.

    Raises:
        OnshoreError: the file given does not exist.
    """
    found = {Baseline.AFTERNOON: baseline_file(given), Baseline.SAME_RESULT: _FOLDER / "same_result.py"}
    return {name: file for name, file in found.items() if file is not None and file.is_file()}


def baseline_file(given: Path | None) -> Path | None:
    """The file to compare with: the one given, else the checkout's where this is one.

    Raises:
        OnshoreError: the file given does not exist.
    """
    if given is not None and not given.is_file():
        raise OnshoreError(f"{given}: there is no such baseline program")
    return given or (IN_A_CHECKOUT if IN_A_CHECKOUT.is_file() else None)


def load_baseline(file: Path) -> Program:
    """The program as a module, to measure its functions one by one."""
    name = "onshore_bench_baseline"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise OnshoreError(f"{file}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(file.parent))
    return cast("Program", module)
