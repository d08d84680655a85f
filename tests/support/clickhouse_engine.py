"""ClickHouse's own engine for tests that compare with it."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from onshore_pipeline.domain.event import COLUMNS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator


class ClickHouse:
    """Tables of events in the real engine, and what a SELECT over them answers."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process, self._folder, self._tables = process, folder, 0

    def table(self, rows: pl.DataFrame) -> str:
        """Store `row` and any event columns under the store's types; returns the table's name."""
        self._tables += 1
        name = f"events_{self._tables}"
        columns = [
            f"{each} {COLUMNS_BY_NAME[each].clickhouse_type}" for each in rows.columns if each in COLUMNS_BY_NAME
        ]
        path = self._folder / f"{name}.arrow"
        rows.select("row", pl.col(*COLUMNS_BY_NAME.keys() & set(rows.columns))).write_ipc(
            path, compat_level=pl.CompatLevel.oldest()
        )
        create = f"CREATE TABLE {name} (row UInt32, {', '.join(columns)}) ENGINE = MergeTree ORDER BY row"
        self._ask({"create": create, "table": name, "rows": str(path)})
        return name

    def select(self, table: str, *expressions: str) -> list[tuple[Any, ...]]:
        """The expressions for every row, by row."""
        answer = self._ask({"select": f"SELECT {', '.join(expressions)} FROM {table} ORDER BY row"})
        return [tuple(row) for row in answer]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What a SELECT answers."""
        return [tuple(row) for row in self._ask({"select": sql})]

    def _ask(self, request: dict[str, str]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer["error"] + "\n" + request.get("select", "")
        return answer["result"]


@contextmanager
def running_clickhouse(folder: Path) -> Iterator[ClickHouse]:
    """The engine, for as long as the block lasts."""
    child = Path(__file__).with_name("clickhouse_child.py")
    command = [sys.executable, str(child)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        try:
            yield ClickHouse(process, folder)
        finally:
            assert process.stdin is not None
            process.stdin.close()
