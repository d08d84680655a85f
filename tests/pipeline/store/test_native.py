"""Answers in ClickHouse's own format come as the columns that they are."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.native import native_columns

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

ID = "01234567-89ab-cdef-0123-456789abcdef"
WORDS = "Map(LowCardinality(String), String)"


def _column(client: Client, expression: str, rows: int = 3, **settings: str) -> list[Any]:
    """What an expression over `number` gives."""
    sql = f"SELECT {expression} AS x FROM numbers({rows})"
    body = client.raw_query(sql, settings=settings, fmt="Native")
    return native_columns(body)["x"].to_pylist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("toString(number * 1000)", [b"0", b"1000", b"2000"]),
        ("repeat('é', number * 100)", [b"", "é".encode() * 100, "é".encode() * 200]),
        ("unhex('ff00')", [b"\xff\x00"] * 3),
        ("if(number = 1, NULL, toString(number))", [b"0", None, b"2"]),
        ("if(number = 1, NULL, number)", [0, None, 2]),
        ("toUInt32(number)", [0, 1, 2]),
        ("toUInt64(18446744073709551615)", [2**64 - 1] * 3),
        ("CAST(if(number = 1, NULL, number = 2) AS Nullable(Bool))", [False, None, True]),
        (f"toUUID('{ID}')", [UUID(ID).bytes] * 3),
        ("toIPv6('2001:db8::1')", [IPv6Address("2001:db8::1").packed] * 3),
        ("if(number = 0, NULL, toIPv6('::1'))", [None, *[IPv6Address("::1").packed] * 2]),
        ("CAST(if(number = 0, NULL, 'abcdefgh') AS Nullable(FixedString(8)))", [None, b"abcdefgh", b"abcdefgh"]),
        ("toDateTime64(1, 9, 'UTC')", [datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)] * 3),
        ("toLowCardinality(toString(number % 2))", [b"0", b"1", b"0"]),
        ("toLowCardinality('')", [b""] * 3),
        ("CAST(if(number = 1, NULL, '') AS LowCardinality(Nullable(String)))", [b"", None, b""]),
        ("CAST(NULL AS LowCardinality(Nullable(String)))", [None] * 3),
        ("CAST(NULL AS Nullable(String))", [None] * 3),
        ("CAST([] AS Array(LowCardinality(String)))", [[]] * 3),
        (
            "CAST(if(number = 1, [], ['a', toString(number)]) AS Array(LowCardinality(String)))",
            [[b"a", b"0"], [], [b"a", b"2"]],
        ),
        (f"CAST(map() AS {WORDS})", [[]] * 3),
        (
            f"CAST(if(number = 1, map(), map('k', toString(number), 'l', '')) AS {WORDS})",
            [[(b"k", b"0"), (b"l", b"")], [], [(b"k", b"2"), (b"l", b"")]],
        ),
    ],
)
def test_each_type_is_read_as_it_was_written(client: Client, expression: str, values: list[Any]) -> None:
    assert _column(client, expression) == values


@pytest.mark.parametrize("distinct", [200, 300, 70_000])
def test_indexes_of_each_width_are_read(client: Client, distinct: int) -> None:
    rows = 140_000
    words = f"toLowCardinality(toString(number % {distinct}))"

    assert _column(client, words, rows, max_block_size=str(rows)) == [b"%d" % (n % distinct) for n in range(rows)]


def test_columns_go_on_from_block_to_block_and_stay_apart(client: Client) -> None:
    sql = "SELECT number AS n, toLowCardinality(toString(intDiv(number, 4))) AS w, toString(n) AS t FROM numbers(10)"

    columns = native_columns(client.raw_query(sql, settings={"max_block_size": "3"}, fmt="Native"))

    assert {name: each.num_chunks for name, each in columns.items()} == {"n": 4, "w": 4, "t": 4}
    assert columns["n"].to_pylist() == list(range(10))
    assert columns["w"].to_pylist() == [b"%d" % (n // 4) for n in range(10)]
    assert columns["t"].to_pylist() == [b"%d" % n for n in range(10)]


def test_an_answer_without_rows_has_no_columns(client: Client) -> None:
    assert native_columns(client.raw_query("SELECT event_id FROM events WHERE tenant = 'nobody'", fmt="Native")) == {}


def test_an_answer_that_breaks_off_is_no_answer(client: Client) -> None:
    columns = f"toString(number) AS a, toLowCardinality(a) AS b, CAST(map(a, a) AS {WORDS}) AS c, [b] AS d"
    whole = client.raw_query(f"SELECT {columns}, toNullable(number) AS e FROM numbers(3)", fmt="Native")
    assert set(native_columns(whole)) == set("abcde")

    for size in range(1, len(whole)):
        with pytest.raises(StoreUnavailable, match="broke off"):
            native_columns(whole[:size])


def test_why_it_broke_off_is_told_where_the_store_tells_it(client: Client) -> None:
    sent = client.raw_query("SELECT toString(number) AS a FROM numbers(3)", fmt="Native")
    why = b"__exception__\r\nCode: 241. DB::Exception: Memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)\r\n"

    for size in range(len(sent) + 1):
        with pytest.raises(StoreUnavailable, match=r"broke off: Code: 241.*Memory limit exceeded"):
            native_columns(sent[:size] + why)


@pytest.mark.parametrize("expression", ["tuple(1)", "toDateTime64(1, 3, 'UTC')", "toFloat64(1)", "[toFloat64(1)]"])
def test_a_type_that_is_not_read_is_refused(client: Client, expression: str) -> None:
    with pytest.raises(TypeError, match="not read"):
        _column(client, expression)
