"""The per-record program that benchmarks compare with: a file of the checkout, no part of the package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

IN_A_CHECKOUT: Final = Path(__file__).parents[3] / "tests" / "benchmarks" / "baseline.py"


class Program(Protocol):
    """What the file must define besides being a program."""

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
