"""Answers come back as frames whose values can be shown and compared."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest

from onshore_pipeline.errors import StoreUnavailable
from onshore_pipeline.store.connect import StoreRefused
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

ID = "01234567-89ab-cdef-0123-456789abcdef"


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        (f"toUUID('{ID}')", pl.String, ID),
        (f"toNullable(toUUID('{ID}'))", pl.String, ID),
        ("CAST(NULL AS Nullable(UUID))", pl.String, None),
        (f"[toUUID('{ID}')]", pl.List(pl.String), [ID]),
        ("toIPv6('2001:db8::1')", pl.String, "2001:db8::1"),
        ("toIPv6('::ffff:192.0.2.1')", pl.String, "192.0.2.1"),
        ("CAST(NULL AS Nullable(IPv6))", pl.String, None),
        ("toFixedString('0123456789abcdef', 16)", pl.Binary, b"0123456789abcdef"),
        ("toDateTime64(1, 9, 'UTC')", pl.Datetime("ns", "UTC"), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
        ("map('k', 'v')", pl.List(pl.Struct({"key": pl.String, "value": pl.String})), [{"key": "k", "value": "v"}]),
        ("toLowCardinality('word')", pl.String, "word"),
        ("['a', 'b']", pl.List(pl.String), ["a", "b"]),
        ("true", pl.Boolean, True),
        ("toUInt64(18446744073709551615)", pl.UInt64, 2**64 - 1),
        ("unhex('ff00')", pl.Binary, b"\xff\x00"),
        ("'naïve'", pl.String, "naïve"),
        ("NULL", pl.Null, None),
    ],
)  # fmt: skip
def test_values_come_back_usable(reader: Reader, expression: str, kind: Any, value: Any) -> None:
    frame = reader.frame(f"SELECT {expression} AS x")

    assert frame.schema == {"x": kind}
    assert frame["x"].to_list() == [value]


def test_an_empty_answer_keeps_its_columns(reader: Reader) -> None:
    frame = reader.frame(
        "SELECT event_id, actor_address, bytes, attributes, occurred_at FROM events WHERE tenant = 'nobody'"
    )

    assert frame.height == 0
    assert frame.columns == ["event_id", "actor_address", "bytes", "attributes", "occurred_at"]
    assert frame.schema["event_id"] == pl.String


def test_parameters_are_values_and_never_sql(reader: Reader) -> None:
    nasty = "x'; DROP TABLE events; -- \\ \t\n {a:String}"

    assert reader.rows("SELECT {v:String} AS v, {n:UInt8} + 1 AS n", {"v": nasty, "n": 1}) == [{"v": nasty, "n": 2}]
    assert reader.rows("SELECT {l:Array(String)} AS l", {"l": ["a", "it's"]}) == [{"l": ["a", "it's"]}]


def test_large_answers_come_whole(reader: Reader) -> None:
    frame = reader.frame("SELECT number AS n, toString(number) AS s FROM numbers(300000)")

    assert frame.height == 300_000
    assert frame["n"].sum() == 300_000 * 299_999 // 2


def test_threads_share_a_reader(reader: Reader) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(reader.frame(f"SELECT {n} AS n")["n"][0])) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == list(range(8))


def test_a_store_that_is_not_there_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable):
        Reader("http://127.0.0.1:1", "onshore_reader", "x").frame("SELECT 1")


def test_what_the_store_refuses_is_refused(reader: Reader) -> None:
    with pytest.raises(StoreRefused, match="nowhere"):
        reader.frame("SELECT * FROM nowhere")


def test_the_committed_views_answer_a_reader(client: Client, reader: Reader) -> None:
    views = [row[0] for row in client.query("SELECT name FROM system.tables WHERE database = 'onshore' AND engine = 'View'").result_rows]  # fmt: skip  # noqa: E501

    assert views
    for view in views:
        assert reader.frame(f"SELECT * FROM {view} LIMIT 1").width > 0, view


def test_a_closed_reader_opens_again(store_address: dict[str, Any]) -> None:
    reader = Reader(store_address["url"], **store_address["reader"])
    reader.frame("SELECT 1")
    reader.close()

    assert reader.rows("SELECT 1 AS x") == [{"x": 1}]
