"""Forward-only migrations of the store's tables: `migrations/NNNN_name.sql`, each applied once."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Final

from onshore_pipeline.store.connect import StoreRefused, store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from clickhouse_connect.driver.client import Client

_FILE_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")

# What a semicolon may hide in, then the semicolon itself.
_TOKEN: Final = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*.*?(?:\*/|\Z) )
  | (?P<quoted> '(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*" | `(?:[^`\\]|\\.)*` | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
  | (?P<end> ; )
    """,
    re.VERBOSE | re.DOTALL,
)

_CREATE_RECORD: Final = """CREATE TABLE IF NOT EXISTS schema_migrations
(
    version    UInt32,
    name       String,
    sha256     FixedString(64),
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY version"""


class MigrationRefused(StoreRefused):
    """The migrations shipped and the migrations applied do not fit together, or one failed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file.

    Attributes:
        version: the number in front of its name.
        name: the file's name without number and ending.
        sql: its text.
    """

    version: int
    name: str
    sql: str

    @property
    def file_name(self) -> str:
        """As it lies in the package."""
        return f"{self.version:04d}_{self.name}.sql"

    @property
    def sha256(self) -> str:
        """Of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped() -> list[Migration]:
    """Every migration in the package, in order."""
    found = []
    for file in resources.files("onshore_pipeline.store").joinpath("migrations").iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match is not None:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


def plan(client: Client, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """The migrations that the store does not have yet, in order; writes nothing.

    Args:
        client: the store, as a user who writes.
        migrations: what should be there; None is what is shipped.

    Raises:
        MigrationRefused: an applied file was changed, or the store has one that we do not know.
        StoreUnavailable: try again.
    """
    wanted = shipped() if migrations is None else list(migrations)
    applied = _applied(client)
    known = {migration.version: migration for migration in wanted}
    for version, (name, sha256) in applied.items():
        migration = known.get(version)
        if migration is None:
            raise MigrationRefused(
                f"the store has migration {version:04d}_{name}.sql, which this version of Onshore does not know;"
                " install the newer version"
            )
        if migration.sha256 != sha256:
            raise MigrationRefused(
                f"{migration.file_name} was changed after it was applied (sha256 {sha256[:12]}... in the store,"
                f" {migration.sha256[:12]}... here); restore the file and put the change into a new migration"
            )
    return [migration for migration in wanted if migration.version not in applied]


def migrate(client: Client, migrations: Sequence[Migration] | None = None) -> list[Migration]:
    """Apply what is missing and return it; a migration is recorded once all of its statements ran.

    ClickHouse has no transaction over statements that define tables: when a statement fails, what it stands behind is
    kept and the error says which statement of which file it was.

    Raises:
        MigrationRefused, StoreUnavailable: as `plan`; or a statement failed.
    """
    missing = plan(client, migrations)
    with store_errors():
        client.command(_CREATE_RECORD)
    for migration in missing:
        for number, statement in enumerate(split_statements(migration.sql), start=1):
            try:
                with store_errors():
                    client.command(statement)
            except StoreRefused as error:
                raise MigrationRefused(f"{migration.file_name}, statement {number}: {error}", error.code) from error
        with store_errors():
            client.insert(
                "schema_migrations",
                [[migration.version, migration.name, migration.sha256]],
                column_names=["version", "name", "sha256"],
            )
    return missing


def split_statements(sql: str) -> Iterator[str]:
    """Cut SQL at the semicolons that stand outside of quotes and comments; comments and empty statements go."""
    statement: list[str] = []
    position = 0
    for token in _TOKEN.finditer(sql):
        statement.append(sql[position : token.start()])
        position = token.end()
        if token["quoted"] is not None:
            statement.append(token[0])
        elif token["comment"] is not None:
            statement.append(" ")
        else:
            if text := "".join(statement).strip():
                yield text
            statement = []
    statement.append(sql[position:])
    if text := "".join(statement).strip():
        yield text


def _applied(client: Client) -> dict[int, tuple[str, str]]:
    with store_errors():
        if not int(client.command("EXISTS TABLE schema_migrations")):  # type: ignore[arg-type]  # answers 0 or 1
            return {}
        rows = client.query(
            "SELECT version, name, toString(sha256) FROM schema_migrations ORDER BY version"
        ).result_rows
    return {int(version): (str(name), str(sha256)) for version, name, sha256 in rows}
