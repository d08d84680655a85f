"""Migrations go forward, once each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.store.migrate import Migration, MigrationRefused, migrate, plan, shipped, split_statements

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client


def test_every_shipped_migration_is_applied_once(client: Client) -> None:
    assert migrate(client) == []
    assert plan(client) == []
    rows = client.query("SELECT version, name FROM schema_migrations ORDER BY version").result_rows
    assert rows == [(migration.version, migration.name) for migration in shipped()]


def test_shipped_migrations_are_numbered_without_gaps() -> None:
    assert [migration.version for migration in shipped()] == list(range(1, len(shipped()) + 1))


def test_a_new_migration_is_planned_then_applied(client: Client) -> None:
    new = Migration(
        9001, "more", "CREATE TABLE more (a UInt8) ENGINE = MergeTree ORDER BY a; INSERT INTO more VALUES (1)"
    )

    assert plan(client, [*shipped(), new]) == [new]
    assert client.command("EXISTS TABLE more") == 0
    try:
        assert migrate(client, [*shipped(), new]) == [new]
        assert client.command("SELECT count() FROM more") == 1
        assert migrate(client, [*shipped(), new]) == []
    finally:
        client.command("DROP TABLE more")
        client.command("DELETE FROM schema_migrations WHERE version = 9001")


def test_events_come_into_another_order_and_none_is_lost_wherever_it_is_cut_off(client: Client) -> None:
    client.command(
        "INSERT INTO events (tenant, occurred_at, kafka_offset, attempt_id)"
        " SELECT 'ordered', toDateTime64(number * 7919, 9, 'UTC'), number, generateUUIDv4() FROM numbers(1000)"
    )
    (by_offset,) = (migration for migration in shipped() if migration.name == "events_by_offset")
    statements = list(split_statements(by_offset.sql))
    held = "SELECT count(), sum(cityHash64(*)) FROM events"
    before = client.query(held).result_rows
    for done in range(len(statements) + 1):
        for statement in statements[:done] + statements:
            client.command(statement)
        assert client.query(held).result_rows == before
    assert client.command("EXISTS TABLE events_in_order") == 0
    client.command("DELETE FROM events WHERE tenant = 'ordered'")


@pytest.mark.parametrize("year", [1970, 2026, 2200])
def test_a_range_of_time_is_found_without_reading_the_rest_in_any_year(client: Client, year: int) -> None:
    client.command(
        "INSERT INTO events (tenant, occurred_at, kafka_offset, attempt_id)"
        f" SELECT 'timed', toDateTime64('{year}-01-01', 9, 'UTC') + number, number, generateUUIDv4()"
        " FROM numbers(50000)"
    )
    asked = f"""FROM events WHERE tenant = 'timed'
        AND occurred_at BETWEEN toDateTime64('{year}-01-01 05:00:00', 9) AND toDateTime64('{year}-01-01 05:59:59', 9)"""
    assert client.command(f"SELECT count() {asked}") == 3600
    plan_of_it = [line.strip() for (line,) in client.query(f"EXPLAIN indexes = 1 SELECT count() {asked}").result_rows]
    granules = next(line for line in plan_of_it[plan_of_it.index("PrimaryKey") :] if line.startswith("Granules: "))
    read, of = granules.removeprefix("Granules: ").split("/")
    assert int(read) < int(of)
    client.command("DELETE FROM events WHERE tenant = 'timed'")


def test_a_changed_migration_is_refused_by_name(client: Client) -> None:
    first, *rest = shipped()

    with pytest.raises(MigrationRefused, match=f"{first.file_name} was changed after it was applied"):
        plan(client, [replace(first, sql=first.sql + "\n"), *rest])


def test_a_migration_of_a_newer_version_is_refused(client: Client) -> None:
    with pytest.raises(MigrationRefused, match="which this version of Onshore does not know"):
        plan(client, shipped()[:-1])


def test_a_failing_statement_is_named_and_not_recorded(client: Client) -> None:
    bad = Migration(9002, "bad", "SELECT 1; CREATE TABLE bad (a Nonsense) ENGINE = MergeTree ORDER BY a")

    with pytest.raises(MigrationRefused, match=r"9002_bad\.sql, statement 2: .*Nonsense"):
        migrate(client, [*shipped(), bad])

    assert plan(client, [*shipped(), bad]) == [bad]


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;\n", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT `a;b`, \"c;d\"", ["SELECT ';'", 'SELECT `a;b`, "c;d"']),
        ("SELECT 'it''s; \\'x;' ; SELECT 2", ["SELECT 'it''s; \\'x;'", "SELECT 2"]),
        ("-- one; two's\nSELECT 1; /* three; ' */ SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT $a$;'$a$; SELECT 2", ["SELECT $a$;'$a$", "SELECT 2"]),
        (";;\n-- nothing\n;", []),
    ],
)
def test_statements_are_cut_where_they_end(sql: str, statements: list[str]) -> None:
    assert list(split_statements(sql)) == statements


@given(st.lists(st.text(st.characters(exclude_characters="\\'\0", exclude_categories=["Cs"]), min_size=1), max_size=5))
def test_nothing_inside_of_quotes_ends_a_statement(texts: list[str]) -> None:
    statements = [f"SELECT '{text}'" for text in texts]

    assert list(split_statements(";".join(statements))) == statements
