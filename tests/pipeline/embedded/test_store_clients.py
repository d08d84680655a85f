"""An unmodified clickhouse-connect against the embedded store."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pyarrow as pa
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError


@pytest.fixture(params=[True, False, "lz4", "zstd", "gzip"])
def client(store: Any, request: pytest.FixtureRequest) -> Any:
    return store.client(compress=request.param)


def test_rows_go_in_and_come_back(client: Any) -> None:
    client.command(
        "CREATE OR REPLACE TABLE c (id UUID, n UInt64, s Nullable(String), l Array(LowCardinality(String)),"
        " m Map(String, UInt8), at DateTime64(9, 'UTC'), ip Nullable(IPv6)) ENGINE = MergeTree ORDER BY n"
    )
    given = [
        [uuid4(), 1, "it's", ["a", "b"], {"k": 1}, datetime(2026, 1, 2, tzinfo=UTC), None],
        [uuid4(), 2, None, [], {}, datetime(1999, 1, 2, tzinfo=UTC), "2001:db8::1"],
    ]

    summary = client.insert("c", given)
    found = client.query("SELECT * FROM c WHERE n >= {least:UInt64} ORDER BY n", parameters={"least": 1})

    assert summary.written_rows == 2
    assert found.column_names == ("id", "n", "s", "l", "m", "at", "ip")
    assert [row[:5] for row in found.result_rows] == [tuple(row[:5]) for row in given]
    assert isinstance(found.result_rows[0][0], UUID)


def test_arrow_goes_in_and_comes_back(client: Any) -> None:
    client.command("CREATE OR REPLACE TABLE a (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
    given = pa.table({"n": pa.array(range(100_000), pa.uint64()), "s": ["x" * 10] * 100_000})

    client.insert_arrow("a", given)

    found = client.query_arrow("SELECT * FROM a ORDER BY n")
    assert found.num_rows == 100_000
    assert found["n"].to_pylist() == given["n"].to_pylist()
    with client.query_arrow_stream("SELECT * FROM a ORDER BY n") as stream:
        assert sum(batch.num_rows for batch in stream) == 100_000
    with client.query_arrow_stream("SELECT * FROM a WHERE n > 1000000") as stream:
        assert sum(batch.num_rows for batch in stream) == 0


def test_errors_keep_their_code(client: Any) -> None:
    with pytest.raises(DatabaseError) as refused:
        client.query("SELECT * FROM nowhere")

    assert (refused.value.code, refused.value.name) == (60, "UNKNOWN_TABLE")


def test_an_error_while_streaming_is_raised(store: Any) -> None:
    client = store.client(compress=False)

    with (
        pytest.raises(StreamFailureError, match="395"),
        client.query_row_block_stream("SELECT throwIf(number = 900000) FROM numbers(1000000)") as stream,
    ):
        for _ in stream:
            pass


def test_a_read_only_user_gets_a_working_client(store: Any) -> None:
    client = store.client("reader")

    assert client.query("SELECT count() FROM facts").result_rows == [(3,)]
    assert client.query("SELECT id FROM facts WHERE word = {w:String}", parameters={"w": "two"}).result_rows == [(2,)]
    assert client.query("SELECT * FROM facts LIMIT 0").column_names == ("id", "word", "at")
    assert client.query("SELECT 1", settings={"max_execution_time": 5}).result_rows == [(1,)]
    with pytest.raises(DatabaseError, match="497"):
        client.insert("facts", [[9, "x", datetime.now(UTC)]], column_names=["id", "word", "at"])


def test_many_threads_at_once_get_their_own_answers(store: Any) -> None:
    wrong: list[object] = []

    def ask(number: int) -> None:
        client = store.client("writer" if number % 2 else "reader", autogenerate_session_id=False)
        for step in range(8):
            start = number * 1000 + step
            if step % 4 == 3:
                with pytest.raises(DatabaseError):
                    client.query("SELECT number, throwIf(number = 150000) FROM numbers(200000)")
                continue
            rows = client.query(f"SELECT number + {start} FROM numbers(2000)").result_rows
            if len(rows) != 2000 or rows[0][0] != start:
                wrong.append((start, rows[:1]))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not wrong
