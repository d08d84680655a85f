"""Whether parts that the embedded store shows are whole on its disk."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.embedded.engine_config import DATABASE
from onshore_pipeline.embedded.engine_session import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_GONE: Final = frozenset({60, 232})  # no such table, no such part: dropped or merged meanwhile
_WRITING: Final = """
SELECT (SELECT count() FROM system.merges WHERE elapsed >= {seconds})
    + (SELECT count() FROM system.processes WHERE elapsed >= {seconds} AND query_kind != 'Select')
"""


class PartChecks:
    """Asks the engine on a connection of its own; for one thread."""

    def __init__(self, connect: Callable[[], Any]) -> None:
        """Nothing is connected yet."""
        self._connect = connect
        self._connection: Any = None

    def is_writing_for(self, seconds: float) -> bool:
        """Whether a merge, a mutation or a statement that writes began so long ago or before. Raises `EngineError`."""
        return self._ask(_WRITING.format(seconds=seconds)).strip() != "0"

    def written_since(self, moment: float) -> list[tuple[str, str]]:
        """Table and name of each part that is shown and was done then or later (seconds since 1970).

        Raises:
            EngineError: ask again later.
        """
        told = self._ask(
            f"SELECT table, name FROM system.parts WHERE database = '{DATABASE}' AND active"  # noqa: S608 - no text of others
            f" AND modification_time >= fromUnixTimestamp({int(moment)})"
        )
        return [(table, name) for table, _, name in (line.partition("\t") for line in told.splitlines())]

    def is_whole(self, table: str, part: str) -> bool:
        """Whether a part's files are as they were written, or it is gone. Raises `EngineError`."""
        check = f"CHECK TABLE {DATABASE}.`{table}` PART '{part}' SETTINGS check_query_single_value_result = 0"
        try:
            return self._ask(check).split("\t")[1:2] != ["0"]
        except EngineError as error:
            if error.code in _GONE:
                return True
            raise

    def close(self) -> None:
        """Release the connection; safe to call twice."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.close()

    def _ask(self, statement: str) -> str:
        try:
            if self._connection is None:
                self._connection = self._connect()
            return str(self._connection.query(statement, "TSV").bytes().decode())
        except Exception as error:
            self.close()  # what a failed query had written already would stand in front of the next answer
            raise EngineError(str(error)) from error


def drop_empty_mutations(data: Path) -> list[Path]:
    """Delete the files of mutations that a full disk left without a byte; the engine would not start over them.

    Whoever asked for them was not told that they are done.
    """
    empty = [file for file in data.glob("store/*/*/mutation_*.txt") if not file.stat().st_size]
    for file in empty:
        file.unlink()
    return empty
