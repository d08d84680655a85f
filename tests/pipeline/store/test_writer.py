"""An Arrow table fits the store's columns exactly, or is refused."""

from __future__ import annotations

import uuid
from datetime import date
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind
from onshore_pipeline.event_frame import EVENT_ARROW_SCHEMA
from onshore_pipeline.store.writer import SchemaRefused, expected_schema, insert

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.store.reader import Reader

MOMENT = 1_790_000_000_123_456_789
VALUES: dict[Kind, tuple[Any, Any]] = {
    Kind.TEXT: ("naïve 'text'\n\t\\", ""),
    Kind.WORD: ("word", ""),
    Kind.TIME: (MOMENT, 1),
    Kind.ADDRESS: (IPv6Address("2001:db8::1").packed, IPv6Address("::ffff:192.0.2.1").packed),
    Kind.U32: (2**32 - 1, 0),
    Kind.U64: (2**64 - 1, 0),
    Kind.BOOL: (True, False),
    Kind.WORDS: (["AU", "JP"], []),
    Kind.TEXT_MAP: ([("a", "1"), ("b", "")], []),
    Kind.ID: (uuid.UUID("00112233-4455-6677-8899-aabbccddeeff").bytes, uuid.UUID(int=0).bytes),
    Kind.TRACE_ID: (bytes(range(16)), bytes(16)),
    Kind.SPAN_ID: (bytes(range(8)), b"\xff" * 8),
    Kind.DIGEST: (bytes(range(32)), b"\xff" * 32),
}


def full_width_events() -> pa.Table:
    """Three events: every column with a value, with its emptiest value, with nothing where that is allowed."""
    columns = []
    for column, field in zip(EVENT_COLUMNS, EVENT_ARROW_SCHEMA, strict=True):
        some, least = VALUES[column.kind]
        columns.append(pa.array([some, least, None if field.nullable else least], field.type))
    return pa.table(columns, schema=EVENT_ARROW_SCHEMA).set_column(
        EVENT_ARROW_SCHEMA.get_field_index("tenant"), EVENT_ARROW_SCHEMA.field("tenant"), pa.array(["t1", "t2", "t3"])
    )


def test_every_column_of_an_event_comes_back_as_it_went_in(client: Client, reader: Reader) -> None:
    given = full_width_events()

    assert insert(client, "events", given) == 3

    found = reader.frame("SELECT * FROM events WHERE tenant IN ('t1', 't2', 't3') ORDER BY tenant")
    assert found.columns == EVENT_ARROW_SCHEMA.names
    for column in EVENT_COLUMNS:
        back = found[column.name].to_list()
        want = given[column.name].to_pylist()
        if column.kind is Kind.ID:
            want = [str(uuid.UUID(bytes=value)) for value in want]
        elif column.kind is Kind.ADDRESS:
            want = ["2001:db8::1", "192.0.2.1", None]
        elif column.kind is Kind.TIME:
            back = found[column.name].dt.timestamp("ns").to_list()
            want = [MOMENT, 1, None if not column.required else 1]
        elif column.kind is Kind.TEXT_MAP:
            back = [[(entry["key"], entry["value"]) for entry in value] for value in back]
        assert back == want, column.name


def test_columns_that_hold_nothing_in_any_event_are_null_or_empty_in_the_store(client: Client, reader: Reader) -> None:
    nothing = full_width_events().slice(2, 1)
    tenant = pa.array(["t-nothing"])
    nothing = nothing.set_column(nothing.schema.get_field_index("tenant"), EVENT_ARROW_SCHEMA.field("tenant"), tenant)

    assert insert(client, "events", nothing) == 1

    found = reader.frame("SELECT * FROM events WHERE tenant = 't-nothing'")
    assert found.columns == EVENT_ARROW_SCHEMA.names
    for column, field in zip(EVENT_COLUMNS, EVENT_ARROW_SCHEMA, strict=True):
        if field.nullable:
            assert found[column.name].to_list() == [None], column.name
        elif pa.types.is_nested(field.type):
            assert [list(value) for value in found[column.name]] == [[]], column.name


def test_a_column_with_a_default_in_the_store_takes_what_was_inserted(client: Client, reader: Reader) -> None:
    client.command(
        "CREATE TABLE defaulted (a UInt8, b Nullable(String) DEFAULT 'x', c Array(String) DEFAULT ['y'])"
        " ENGINE = MergeTree ORDER BY a"
    )
    given = pa.table(
        [pa.array([1], pa.uint8()), pa.array([None], pa.string()), pa.array([[]], pa.list_(pa.string()))],
        names=["a", "b", "c"],
    )

    insert(client, "defaulted", given)

    assert reader.frame("SELECT a, b, c FROM defaulted").rows() == [(1, None, [])]


def test_the_store_agrees_with_the_events_schema(client: Client) -> None:
    schema = expected_schema(client, "events")

    assert schema.names == EVENT_ARROW_SCHEMA.names
    for want, have in zip(EVENT_ARROW_SCHEMA, schema, strict=True):
        assert (want.type, want.nullable) == (have.type, have.nullable), want.name


def test_identifiers_keep_their_byte_order(client: Client) -> None:
    client.command("CREATE TABLE IF NOT EXISTS ids (id UUID, more Array(UUID)) ENGINE = MergeTree ORDER BY id")
    one = uuid.UUID("01234567-89ab-cdef-0123-456789abcdef")

    insert(client, "ids", pa.table({"id": pa.array([one.bytes], pa.binary(16)),
                                    "more": pa.array([[one.bytes]], pa.list_(pa.binary(16)))}))  # fmt: skip

    assert client.query("SELECT toString(id), toString(more[1]) FROM ids").result_rows == [(str(one), str(one))]


@pytest.fixture
def kinds(client: Client) -> str:
    client.command(
        "CREATE OR REPLACE TABLE kinds (n UInt64, word LowCardinality(String), maybe Nullable(String),"
        " address Nullable(IPv6), digest FixedString(4), words Array(LowCardinality(String)),"
        " tags Map(LowCardinality(String), String), day Nullable(Date32), hour DateTime64(0, 'UTC'),"
        " at DateTime64(3, 'UTC'), positions Map(UInt32, UInt64), sure Nullable(Bool), x Nullable(Float64),"
        " copy UInt64 ALIAS n) ENGINE = MergeTree ORDER BY n"
    )
    return "kinds"


def fitting() -> dict[str, pa.Array]:
    return {
        "n": pa.array([1], pa.uint64()),
        "word": pa.array(["w"]),
        "maybe": pa.array([None], pa.string()),
        "address": pa.array([None], pa.binary(16)),
        "digest": pa.array([b"abcd"], pa.binary(4)),
        "words": pa.array([["a"]], pa.list_(pa.string())),
        "tags": pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string())),
        "day": pa.array([date(1901, 2, 3)]),
        "hour": pa.array([3600], pa.timestamp("s", "UTC")),
        "at": pa.array([1], pa.timestamp("ms", "UTC")),
        "positions": pa.array([[(1, 2)]], pa.map_(pa.uint32(), pa.uint64())),
        "sure": pa.array([True]),
        "x": pa.array([1.5]),
    }


def test_a_fitting_table_is_stored(client: Client, kinds: str) -> None:
    insert(client, kinds, pa.table(fitting()))

    assert client.query(
        "SELECT n, word, maybe, words, tags, toString(day), positions, sure, x FROM kinds"
    ).result_rows == [(1, "w", None, ["a"], {"k": "v"}, "1901-02-03", {1: 2}, True, 1.5)]


@pytest.mark.parametrize(
    ("column", "array"),
    [
        ("word", pa.array(["w"], pa.large_string())),
        ("word", pa.array(["w"]).dictionary_encode()),
        ("word", pa.array(["w"], pa.string_view())),
        ("word", pa.array([b"\xff"], pa.binary())),
        ("words", pa.array([["a"]], pa.large_list(pa.large_string()))),
    ],
)
def test_another_layout_of_the_same_values_is_stored(client: Client, kinds: str, column: str, array: pa.Array) -> None:
    assert insert(client, kinds, pa.table({**fitting(), column: array})) == 1


@pytest.mark.parametrize(
    ("column", "array", "why"),
    [
        ("n", pa.array([-1], pa.int64()), "column n: is int64, must be uint64"),
        ("n", pa.array([1], pa.uint32()), "column n: is uint32, must be uint64"),
        ("n", pa.array([1.5]), "column n: is double, must be uint64"),
        ("n", pa.array([None], pa.uint64()), "column n: 1 nulls"),
        ("word", pa.array([None], pa.string()), "column word: 1 nulls"),
        ("word", pa.array([1]), "column word: is int64, must be string"),
        ("address", pa.array(["AWS Internal"]), "column address: is string, must be fixed_size_binary"),
        ("address", pa.array([b"abcd"], pa.binary(4)), "column address: is fixed_size_binary"),
        ("address", pa.array([b"abcd"], pa.binary()), "column address: is binary"),
        ("digest", pa.array([b"abc"], pa.binary(3)), "column digest: is fixed_size_binary"),
        ("words", pa.array([None], pa.list_(pa.string())), "column words: 1 nulls"),
        ("words", pa.array([["a", None]], pa.list_(pa.string())), "column words: an array with a null inside"),
        ("words", pa.array(["a"]), "column words: is string"),
        ("tags", pa.array([[("k", None)]], pa.map_(pa.string(), pa.string())), "column tags: a map with a null inside"),
        ("tags", pa.array([None], pa.map_(pa.string(), pa.string())), "column tags: 1 nulls"),
        ("hour", pa.array([1], pa.timestamp("ms", "UTC")), "column hour: is timestamp"),
        ("hour", pa.array([1], pa.timestamp("s")), "column hour: is timestamp"),
        ("at", pa.array([1], pa.timestamp("ms", "Asia/Tokyo")), "column at: is timestamp"),
        ("sure", pa.array([1], pa.uint8()), "column sure: is uint8, must be bool"),
    ],
)
def test_what_the_store_would_convert_without_a_word_is_refused(
    client: Client, kinds: str, column: str, array: pa.Array, why: str
) -> None:
    with pytest.raises(SchemaRefused, match=f"table kinds, {why}"):
        insert(client, kinds, pa.table({**fitting(), column: array}))

    assert client.command("SELECT count() FROM kinds") == 0


def test_other_columns_or_another_order_are_refused(client: Client, kinds: str) -> None:
    whole = pa.table(fitting())

    with pytest.raises(SchemaRefused, match="missing word; unknown extra"):
        insert(client, kinds, whole.drop_columns(["word"]).append_column("extra", pa.array([1])))
    with pytest.raises(SchemaRefused, match="out of order: number 1 is word, must be n"):
        insert(client, kinds, whole.select(["word", "n", *whole.column_names[2:]]))


def test_a_sliced_table_is_stored_as_it_looks(client: Client, kinds: str) -> None:
    whole = pa.concat_tables([pa.table(fitting())] * 4)

    assert insert(client, kinds, whole.slice(1, 2)) == 2
    assert client.command("SELECT count() FROM kinds") == 2


def test_no_rows_are_no_request(client: Client, kinds: str) -> None:
    assert insert(client, kinds, pa.table(fitting()).slice(0, 0)) == 0


@pytest.mark.parametrize("table", ["kinds; DROP TABLE kinds", "`kinds`", "kinds FORMAT CSV", ""])
def test_a_table_name_is_a_name(client: Client, table: str) -> None:
    with pytest.raises(SchemaRefused, match="no table name"):
        insert(client, table, pa.table({}))


def test_a_type_that_is_not_written_is_named(client: Client) -> None:
    client.command("CREATE OR REPLACE TABLE odd (d Decimal(10, 2)) ENGINE = MergeTree ORDER BY d")

    with pytest.raises(SchemaRefused, match=r"table odd, column d: Decimal\(10, 2\)"):
        insert(client, "odd", pa.table({"d": pa.array([1])}))
