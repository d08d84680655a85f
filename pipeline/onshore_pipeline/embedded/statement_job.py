"""One request to the store, from its arguments and body to the engine's answer: what a thread runs."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import IO, TYPE_CHECKING, Final

from onshore_pipeline.embedded import bodies, statements
from onshore_pipeline.embedded.credentials import USER_OF_ROLE, Role
from onshore_pipeline.embedded.engine_config import DATABASE
from onshore_pipeline.embedded.engine_session import refusal
from onshore_pipeline.embedded.sql_guard import ALLOWED_SETTINGS, STATEMENTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from onshore_pipeline.embedded.engine_session import Session
    from onshore_pipeline.embedded.full_disk import Disk

# What the interface itself takes; everything else in the URL is a parameter (param_*) or a setting.
_TRANSPORT: Final = frozenset(
    {
        "query", "database", "default_format", "session_id", "session_timeout", "session_check", "query_id", "user",
        "password", "quota_key", "compress", "decompress", "client_protocol_version", "role", "buffer_size",
        "wait_end_of_query", "cancel_http_readonly_queries_on_client_close", "send_progress_in_http_headers",
        "http_headers_progress_interval_ms", "add_http_cors_header", "enable_http_compression",
        "http_write_exception_in_output_format", "stacktrace",
    }
)  # fmt: skip
_FIRST_WORD_WITHIN: Final = 4096
_DEFAULT_FORMAT: Final = "TabSeparated"
_DATABASES: Final = frozenset({DATABASE, "default", ""})


class Job:
    """One request, as the thread that runs it sees it."""

    def __init__(
        self,
        method: str,
        role: Role,
        headers: Mapping[str, str],
        arguments: Mapping[str, str],
        file: IO[bytes],
        spool_folder: Path,
        disk: Disk,
    ) -> None:
        """Take a request.

        Args:
            method: GET may only read.
            role: whom the request's user name and password stand for.
            headers: the request's.
            arguments: of the URL.
            file: the body as it came.
            spool_folder: where an INSERT's rows lie while they are read.
            disk: under the engine; what was written to a full one is not answered for.

        Raises:
            EngineError: the body's encoding is unknown, or the form in it cannot be read.
        """
        self._method = method
        self._spool_folder = spool_folder
        self._disk = disk
        self._role = role
        self._default_format = headers.get("x-clickhouse-format") or arguments.get("default_format") or _DEFAULT_FORMAT
        encoding = headers.get("content-encoding", "").strip().lower()
        self._body = bodies.Body(file, encoding, blocks=arguments.get("decompress") == "1")
        content_type = headers.get("content-type", "")
        if content_type.lower().startswith("multipart/form-data"):
            arguments = {**arguments, **bodies.form_fields(self._body.head(bodies.MAX_FORM_BYTES), content_type)}
            self._in_body = b""
        else:
            self._in_body = self._body.head(statements.MAX_STATEMENT_BYTES)
        query = arguments.get("query", "").encode()
        # As ClickHouse does it: the statement is the URL's `query` followed by the body.
        self._before_body = query + (b"\n" if query and self._in_body else b"")
        self._database = arguments.get("database", "")
        self._parameters = {name[6:]: value for name, value in arguments.items() if name.startswith("param_")}
        self._settings = {
            name: value for name, value in arguments.items() if name not in _TRANSPORT and not name.startswith("param_")
        }
        self._wants_whole = arguments.get("wait_end_of_query") == "1"
        self._wants_blocks = arguments.get("compress") == "1"

    def run(self, session: Session) -> tuple[Iterator[bytes], str, dict[str, str]]:
        """The answer's bytes, its format and the summary's counts.

        Raises:
            EngineError: the request is refused, or the engine failed.
        """
        text = self._before_body + self._in_body
        first_word = statements.first_word(text[:_FIRST_WORD_WITHIN])
        self._check(first_word)
        began = time.monotonic()
        answer = self._answer(session, text)
        if first_word not in STATEMENTS and self._disk.was_full_since(began):
            raise refusal(243, "NOT_ENOUGH_SPACE", "the store's disk was full meanwhile: nothing is sure to be stored")
        return answer

    def _answer(self, session: Session, text: bytes) -> tuple[Iterator[bytes], str, dict[str, str]]:
        session.use_settings(self._settings)
        insert = statements.find_insert(text)
        if insert is not None:
            with self._rows_file(insert.data_at) as path:
                rows = str(session.insert(insert, path, self._parameters))
            return iter(()), insert.format, {"read_rows": rows, "written_rows": rows, "result_rows": rows}
        if len(self._in_body) >= statements.MAX_STATEMENT_BYTES:
            raise refusal(223, "QUERY_IS_TOO_LARGE", f"a statement may have {statements.MAX_STATEMENT_BYTES} bytes")
        try:
            statement = text.decode()
        except UnicodeDecodeError as error:
            raise refusal(62, "SYNTAX_ERROR", f"Syntax error: the statement is not UTF-8 ({error.reason})") from None
        return self._query(session, statement)

    def _check(self, first_word: str) -> None:
        """Refuse what can be refused before the engine has seen it."""
        if not first_word:
            raise refusal(62, "SYNTAX_ERROR", "Syntax error: Empty query")
        if self._wants_blocks:
            raise refusal(48, "NOT_IMPLEMENTED", "compress=1 is not supported; use enable_http_compression=1")
        if self._database not in _DATABASES:
            name = self._database
            raise refusal(81, "UNKNOWN_DATABASE", f"Database {name} does not exist; this store has {DATABASE}")
        if self._method == "GET" and first_word not in STATEMENTS:
            raise refusal(164, "READONLY", "Cannot execute query in readonly mode; change things with the method POST")
        if self._role is Role.READER:
            self._check_reader(first_word)

    def _check_reader(self, first_word: str) -> None:
        if first_word not in STATEMENTS:
            why = f"{USER_OF_ROLE[Role.READER]}: Not enough privileges: {first_word} is nothing that readers may use"
            raise refusal(497, "ACCESS_DENIED", why)
        for setting in self._settings:
            if ALLOWED_SETTINGS.fullmatch(setting) is None:
                raise refusal(164, "READONLY", f"Cannot modify '{setting}' setting in readonly mode")

    def _query(self, session: Session, text: str) -> tuple[Iterator[bytes], str, dict[str, str]]:
        canonical = session.approve(text)
        if statements.touches_files(canonical):
            raise refusal(497, "ACCESS_DENIED", "files on the server (INTO OUTFILE, FROM INFILE) are out of reach")
        output_format = statements.output_format(canonical) or self._default_format
        # A reader's statement runs in the spelling that was checked.
        statement = canonical if self._role is Role.READER else text
        answer = session.run(statement, output_format, self._parameters, whole=self._wants_whole)
        return answer.chunks, output_format, {"read_rows": str(answer.read_rows), "written_rows": "0"}

    def _rows_file(self, data_at: int) -> AbstractContextManager[Path]:
        """An INSERT's rows as a file: the body's own where it is nothing else, which saves a copy."""
        body = self._body.as_it_came
        nothing_else = data_at <= len(self._before_body) and self._before_body[data_at:] in {b"", b"\n"}
        if body is not None and nothing_else and (path := bodies.path_of(body)) is not None:
            return nullcontext(path)
        return bodies.in_file(self._rows(data_at), self._spool_folder)

    def _rows(self, data_at: int) -> Iterator[bytes]:
        """An INSERT's rows: what stands behind its format in the URL, then the body from where its own SQL ends."""
        start = max(0, data_at - len(self._before_body))
        if data_at < len(self._before_body):
            yield self._before_body[data_at:].removesuffix(b"\n" if self._in_body else b"")
        yield from self._body.rest(start)
