"""A session with the engine: one role's rights and settings, one statement at a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.embedded.credentials import Role
from onshore_pipeline.embedded.engine_config import SESSION_SETTINGS
from onshore_pipeline.embedded.sql_guard import ONLY_READING, ReaderGuard, StatementRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from onshore_pipeline.embedded.statements import Insert

_CODE: Final = re.compile(r"Code: (\d+)\. ")
_SETTING_NAME: Final = re.compile(r"[A-Za-z_]\w*")
_CHUNK_BYTES: Final = 1 << 20
_REMEMBERED_STATEMENTS: Final = 512
_REMEMBERED_STATEMENT_CHARS: Final = 16_384

# Formats in which one block after the other gives the same bytes as the whole answer.
_BLOCKWISE: Final = frozenset(
    {
        "Native",
        "RowBinary",
        "TabSeparated",
        "TSV",
        "TabSeparatedRaw",
        "TSVRaw",
        "CSV",
        "JSONEachRow",
        "JSONCompactEachRow",
    }
)

_ARROW_STREAM: Final = "ArrowStream"
_ARROW_END: Final = b"\xff\xff\xff\xff\0\0\0\0"

ACCESS_DENIED: Final = 497


class EngineError(Exception):
    """What the engine says about a statement.

    Attributes:
        code: ClickHouse's error code.
    """

    def __init__(self, text: str, code: int | None = None) -> None:
        """Keep the engine's own text from its `Code:` on."""
        start = text.find("Code: ")
        super().__init__(text[start:].strip() if start >= 0 else text.strip())
        match = _CODE.search(text)
        self.code = code if code is not None else int(match[1]) if match is not None else 1000


def refusal(code: int, name: str, text: str) -> EngineError:
    """An error of our own in the engine's form."""
    return EngineError(f"Code: {code}. DB::Exception: {text} ({name})", code)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave.

    Attributes:
        chunks: the bytes in the asked format; taking them may raise `EngineError` when the engine still computes.
        read_rows: rows read, 0 where not yet known.
    """

    chunks: Iterator[bytes]
    read_rows: int = 0


class Session:
    """One connection to the engine, with its role's rights and settings.

    Attributes:
        role: whose rights it has.
        spent: whether it must be closed instead of being used again. After an error it always must: what a failed
            query had written already would stand in front of the next one's answer.
    """

    def __init__(
        self,
        connection: Any,  # noqa: ANN401 - chDB has no types
        role: Role,
        guard: ReaderGuard,
        approved: dict[str, str],
    ) -> None:
        """Take a connection that has switched to `role`, and the statements that this role was allowed before."""
        self._connection = connection
        self.role = role
        self._guard = guard
        self._changed: dict[str, str] = {}
        self._streamed: Any = None  # the answer that is being taken
        self.spent = False
        self._approved = approved

    def approve(self, statement: str) -> str:
        """The statement in the engine's own spelling, a clause a line and without comments, if this role may run it.

        Raises:
            EngineError: it does not parse, is several statements, or is nothing for this role.
        """
        canonical = self._approved.get(statement)
        if canonical is None:
            canonical = self._approve(statement)
            if len(self._approved) >= _REMEMBERED_STATEMENTS:
                self._approved.clear()
            if len(statement) <= _REMEMBERED_STATEMENT_CHARS:
                self._approved[statement] = canonical
        return canonical

    def use_settings(self, settings: Mapping[str, str]) -> None:
        """Make these settings, and no others, differ from what the session began with.

        Raises:
            EngineError: a setting is unknown, malformed or out of this role's bounds.
        """
        base = SESSION_SETTINGS[self.role]
        wanted = {name: value for name, value in settings.items() if base.get(name) != value}
        if wanted == self._changed:
            return
        for name in wanted:
            if _SETTING_NAME.fullmatch(name) is None:
                raise refusal(115, "UNKNOWN_SETTING", f"Unknown setting {name!r}")
        reset = {name: base.get(name) for name in self._changed if name not in wanted}
        self._query(set_statement({**reset, **wanted}), "Null", {})
        self._changed = wanted

    def run(self, statement: str, output_format: str, parameters: Mapping[str, str], *, whole: bool) -> Answer:
        """Run anything but an INSERT with data.

        Args:
            statement: one statement.
            output_format: for an answer that has rows.
            parameters: by name, as ClickHouse's HTTP interface takes their values.
            whole: compute all of the answer before returning, so that no error can come while it is sent. Otherwise
                a SELECT's answer is computed while it is taken, where the format allows that.

        Raises:
            EngineError: the engine refused it or failed.
        """
        blockwise = output_format in _BLOCKWISE or output_format == _ARROW_STREAM
        if not whole and blockwise and statement.lstrip()[:6].upper().startswith(("SELECT", "WITH")):
            chunks = self._stream(statement, output_format, parameters)
            first = next(chunks, None)
            if first is not None:
                blocks = _followed(first, chunks)
                return Answer(_one_arrow_stream(blocks) if output_format == _ARROW_STREAM else blocks)
            if output_format in _BLOCKWISE:  # no block, no bytes: these formats have no header either
                return Answer(iter(()))
        result = self._query(statement, output_format, parameters)
        return Answer(_slices(result), int(result.rows_read()))

    def insert(self, insert: Insert, rows: Path, parameters: Mapping[str, str]) -> int:
        """Run an INSERT whose rows lie in the file `rows`; returns the number of rows written.

        The engine's streamed inserts say that rows were written which it refused (a failed constraint, a full disk);
        an insert from a file raises.

        Raises:
            EngineError: the engine refused it or could not read the rows; whole blocks before the fault may be stored.
        """
        if parameters:
            # An INSERT takes its parameters from the session, where they would stay.
            self.spent = True
            self._query(set_statement({f"param_{name}": value for name, value in parameters.items()}), "Null", {})
        source = f"FROM INFILE '{rows}' COMPRESSION 'none'"
        statement = f"{insert.statement} {source} {insert.settings} FORMAT {insert.format}"
        return int(self._query(statement, "Null", {}).rows_read())

    def close(self) -> None:
        """Cancel an answer that nobody took to its end, and release the connection."""
        try:
            if self._streamed is not None:
                self._streamed.cancel()  # behind the connection's end it would touch memory that is gone
        finally:
            self._connection.close()

    def _approve(self, statement: str) -> str:
        canonical = self._text("formatQuery", statement)
        if self.role is Role.READER:
            try:
                self._guard.check(canonical, self._tree)
            except StatementRefused as refused:
                raise refusal(
                    ACCESS_DENIED, "ACCESS_DENIED", f"onshore_reader: Not enough privileges: {refused}"
                ) from None
        return canonical

    def _tree(self, statement: str) -> str:
        try:
            return self._text("parseQueryToJSON", statement)
        except EngineError:
            raise StatementRefused(ONLY_READING) from None

    def _text(self, function: str, statement: str) -> str:
        """What one of the engine's functions makes of a statement; the statement itself travels as a parameter."""
        escaped = "".join(_ESCAPES.get(character, character) for character in statement)
        result = self._query(f"SELECT {function}({{statement:String}})", "TSVRaw", {"statement": escaped})
        return str(result.bytes().decode().removesuffix("\n"))

    def _query(self, statement: str, output_format: str, parameters: Mapping[str, str]) -> Any:  # noqa: ANN401 - chDB
        try:
            return self._connection.query(statement, output_format, params=dict(parameters))
        except Exception as error:
            self.spent = True
            raise EngineError(str(error)) from error

    def _stream(self, statement: str, output_format: str, parameters: Mapping[str, str]) -> Iterator[bytes]:
        """Blocks as they are computed; a generator that is left alone asks nothing of the engine when it ends."""
        try:
            self._streamed = self._connection.send_query(statement, output_format, params=dict(parameters))
            for block in self._streamed:
                yield block.bytes()
            self._streamed = None
        except Exception as error:
            self.spent = True
            raise EngineError(str(error)) from error


_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\0": "\\0", "\b": "\\b", "\f": "\\f"}


def set_statement(settings: Mapping[str, str | None]) -> str:
    """A SET statement; None stands for the engine's default."""
    parts = []
    for name, value in settings.items():
        escaped = None if value is None else value.replace("\\", "\\\\").replace("'", "\\'")
        parts.append(f"{name} = DEFAULT" if escaped is None else f"{name} = '{escaped}'")
    return "SET " + ", ".join(parts)


def _followed(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _one_arrow_stream(streams: Iterator[bytes]) -> Iterator[bytes]:
    """Make one Arrow IPC stream of several with the same schema: the schema once, the end mark once."""
    for number, stream in enumerate(streams):
        view = memoryview(stream)
        # A message is FFFFFFFF, the length of its metadata (padded) and the metadata; a schema has no body.
        schema_bytes = 8 + int.from_bytes(view[4:8], "little") if number else 0
        yield bytes(view[schema_bytes : -len(_ARROW_END)])
    yield _ARROW_END


def _slices(result: Any) -> Iterator[bytes]:  # noqa: ANN401 - chDB has no types
    """The answer in pieces, straight from the engine's buffer."""
    if result.size() == 0:
        return
    view = memoryview(result.get_memview().view())
    for start in range(0, len(view), _CHUNK_BYTES):
        yield bytes(view[start : start + _CHUNK_BYTES])
