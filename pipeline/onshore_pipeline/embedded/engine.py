"""chDB, the ClickHouse engine as a library: opened once in a process, with sessions for both roles."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from onshore_pipeline.embedded.credentials import Role
from onshore_pipeline.embedded.engine_config import DATABASE, SESSION_SETTINGS, write_config
from onshore_pipeline.embedded.engine_session import EngineError, Session, set_statement
from onshore_pipeline.embedded.part_checks import PartChecks, drop_empty_mutations
from onshore_pipeline.embedded.sql_guard import EngineFunction, ReaderGuard

if TYPE_CHECKING:
    from pathlib import Path


class Engine:
    """The one engine of this process, on one data folder."""

    def __init__(self, folder: Path) -> None:
        """Open or create the database in `folder`, which nobody else may have open.

        Raises:
            EngineError: the data cannot be opened.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._chdb = _import_chdb()
        # Parsing costs a millisecond and dashboards repeat themselves: statement → its canonical spelling.
        self._approved: dict[Role, dict[str, str]] = {role: {} for role in Role}
        for file in drop_empty_mutations(folder / "data"):
            sys.stderr.write(f"onshore store: {file} was empty, of a full disk: deleted\n")
        self._address = f"{folder / 'data'}?config-file={write_config(folder)}"
        self._keeper = self._connect()
        self._run(self._keeper, f"CREATE DATABASE IF NOT EXISTS {DATABASE} ENGINE = Atomic")
        listed = self._keeper.query(
            "SELECT name, alias_to, categories, is_aggregate AS aggregates FROM system.functions"
            " WHERE origin = 'System'",
            "JSONEachRow",
        )
        rows = [json.loads(line) for line in listed.bytes().splitlines()]
        self._guard = ReaderGuard(EngineFunction(**{**row, "aggregates": bool(row["aggregates"])}) for row in rows)

    def open(self, role: Role) -> Session:
        """A session for one role; not to be used by two threads at once."""
        connection = self._connect()
        self._run(connection, f"SET ROLE {role.value}")
        self._run(connection, f"USE {DATABASE}")
        self._run(connection, set_statement(SESSION_SETTINGS[role]))
        if role is Role.READER:
            # Last, because it forbids what stands above.
            self._run(connection, "SET profile = 'reader'")
        return Session(connection, role, self._guard, self._approved[role])

    def part_checks(self) -> PartChecks:
        """Questions about parts, for one thread; closed before the engine is."""
        return PartChecks(self._connect)

    def cancel_queries(self) -> None:
        """Ask everything that runs to stop."""
        with suppress(Exception):
            self._keeper.query("KILL QUERY WHERE query NOT LIKE 'KILL QUERY%' ASYNC")

    def close(self) -> None:
        """Close the engine; every session must be closed."""
        self._keeper.close()

    def _connect(self) -> Any:  # noqa: ANN401 - chDB has no types
        try:
            return self._chdb.connect(self._address)
        except Exception as error:
            raise EngineError(str(error)) from error

    @staticmethod
    def _run(connection: Any, statement: str) -> None:  # noqa: ANN401 - chDB has no types
        try:
            connection.query(statement)
        except Exception as error:
            raise EngineError(str(error)) from error


def _import_chdb() -> Any:  # noqa: ANN401 - chDB has no types
    """Load the engine, which starts as it is imported, without pyarrow: unused here, and 40 MB of memory."""
    spare = "pyarrow" not in sys.modules
    if spare:
        sys.modules["pyarrow"] = None  # type: ignore[assignment]  # makes the import fail, which chDB allows for
    try:
        import chdb
    finally:
        if spare:
            del sys.modules["pyarrow"]
    return chdb
