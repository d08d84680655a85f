"""ClickHouse's HTTP interface as curl, browsers and exporters meet it."""

from __future__ import annotations

import gzip
import http.client
import json
import struct
import threading
import time
from typing import Any
from urllib.parse import urlencode

import lz4.block
import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from onshore_pipeline.embedded import bodies
from onshore_pipeline.embedded.engine_session import EngineError
from onshore_pipeline.embedded.statements import find_insert


@pytest.fixture
def table(store: Any, request: pytest.FixtureRequest) -> str:
    name = "t_" + "".join(letter if letter.isalnum() else "_" for letter in request.node.name)[:80]
    store.ask(f"CREATE OR REPLACE TABLE {name} (id UInt64, word String) ENGINE = MergeTree ORDER BY id")
    return name


def rows(store: Any, table: str) -> str:
    return str(store.ask(f"SELECT * FROM {table} ORDER BY id").body.decode())


@pytest.mark.parametrize("path", ["/ping", "/replicas_status", "/"])
def test_ping_needs_no_password(store: Any, path: str) -> None:
    answer = store.ask(user=None, method="GET", path=path)

    assert (answer.status, answer.body) == (200, b"Ok.\n")


@pytest.mark.parametrize("path", ["/", "/ping"])
@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:8123"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:1"},
        {"Host": ""},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8501"},
    ],
)
def test_requests_that_a_web_page_could_send_are_refused(store: Any, path: str, headers: dict[str, str]) -> None:
    assert store.ask("SELECT 1", path=path, headers=headers, method="POST" if path == "/" else "GET").status == 403


def test_a_wrong_password_is_refused_as_clickhouse_does_it(store: Any) -> None:
    answer = store.ask("SELECT 1", user=None, headers={"X-ClickHouse-User": "onshore", "X-ClickHouse-Key": "no"})

    assert (answer.status, answer.code) == (403, 516)
    assert store.ask("SELECT 1", user=None).code == 516
    assert store.ask("SELECT 1", user=None, headers={"Authorization": "Basic !!"}).code == 516


def test_user_and_password_may_come_in_headers_or_in_the_address(store: Any) -> None:
    who = store.users["reader"]

    by_header = {"X-ClickHouse-User": who["user"], "X-ClickHouse-Key": who["password"]}
    assert store.ask("SELECT 1", user=None, headers=by_header).body == b"1\n"
    assert store.ask("SELECT 1", user=None, path=f"/?{urlencode(who)}").body == b"1\n"


@pytest.mark.parametrize(
    ("statement", "status", "code"),
    [
        ("SELECT nothing", 404, 47),
        ("SELECT * FROM nowhere", 404, 60),
        ("SELEC 1", 400, 62),
        ("", 400, 62),
        ("SELECT 1; SELECT 2", 400, 62),
        ("SELECT throwIf(1)", 500, 395),
        ("SELECT 1 INTO OUTFILE '/tmp/onshore-attack.txt'", 403, 497),
        ("INSERT INTO facts FROM INFILE '/etc/passwd' FORMAT CSV", 403, 497),
    ],
)
def test_errors_carry_clickhouses_text_and_code(store: Any, statement: str, status: int, code: int) -> None:
    answer = store.ask(statement)

    assert (answer.status, answer.code) == (status, code), answer.body.decode()
    assert answer.body.startswith(f"Code: {code}. DB::Exception: ".encode())


def test_get_changes_nothing(store: Any, table: str) -> None:
    answer = store.ask(method="GET", query=f"DROP TABLE {table}")

    assert (answer.status, answer.code) == (403, 164)
    assert store.ask(method="GET", query=f"SELECT count() FROM {table}").body == b"0\n"


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        ({"query": "INSERT INTO {t} FORMAT JSONEachRow"}, b'{"id":1,"word":"a"}\n{"id":2,"word":"b"}'),
        ({"query": "INSERT INTO {t} FORMAT RowBinary"}, struct.pack("<QB1sQB1s", 1, 1, b"a", 2, 1, b"b")),
        ({"query": "INSERT INTO {t} VALUES"}, b"(1, 'a'), (2, 'b')"),
        ({"query": "INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"}, b""),
        ({"query": "INSERT INTO {t} (word, id) FORMAT CSV"}, b'"a",1\n"b",2\n'),
        ({"query": "INSERT INTO {t} FORMAT CSV\n1,a\n"}, b"2,b\n"),
        ({}, b"INSERT INTO {t} FORMAT CSV\n1,a\n2,b\n"),
        ({}, b"INSERT INTO {t} FORMAT CSV 1,a\n2,b\n"),
        ({}, b"/* x */ insert into {t} (id, word) values (1, 'a'), (2, 'b')"),
        ({}, b"INSERT INTO {t} SELECT number + 1, ['a', 'b'][number + 1] FROM numbers(2)"),
        ({"async_insert": "1", "wait_for_async_insert": "0"}, b"INSERT INTO {t} VALUES (1, 'a'), (2, 'b')"),
        ({"query": "INSERT INTO {table:Identifier} FORMAT CSV", "param_table": "{t}"}, b"1,a\n2,b\n"),
    ],
)
def test_rows_come_in_every_way_that_clickhouse_takes(
    store: Any, table: str, arguments: dict[str, str], body: bytes
) -> None:
    sent = {name: value.replace("{t}", table) for name, value in arguments.items()}

    answer = store.ask(body.replace(b"{t}", table.encode()), **sent)

    assert answer.status == 200, answer.body.decode()
    assert rows(store, table) == "1\ta\n2\tb\n"


def test_an_insert_says_how_many_rows_it_wrote(store: Any, table: str) -> None:
    answer = store.ask(b"1,a\n2,b\n", query=f"INSERT INTO {table} FORMAT CSV")

    assert json.loads(answer.headers["x-clickhouse-summary"])["written_rows"] == "2"


def test_an_insert_with_a_bad_row_writes_none(store: Any, table: str) -> None:
    answer = store.ask(b"1,a\nx,b\n", query=f"INSERT INTO {table} FORMAT CSV")

    assert answer.status == 400
    assert rows(store, table) == ""


def native_blocks(data: bytes, method: int) -> bytes:
    """ClickHouse's own compression, two blocks, with checksums that nobody compares."""
    out = b""
    for part in (data[:3], data[3:]):
        packed = part
        if method == 0x82:
            packed = lz4.block.compress(part, store_size=False)
        elif method == 0x90:
            packed = zstandard.ZstdCompressor().compress(part)
        out += bytes(16) + struct.pack("<BII", method, len(packed) + 9, len(part)) + packed
    return out


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", zstandard.ZstdCompressor().compress)],
)
def test_bodies_come_compressed(store: Any, table: str, encoding: str, compress: Any) -> None:
    answer = store.ask(
        compress(b"1,a\n2,b\n"), headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT CSV"
    )

    assert answer.status == 200, answer.body.decode()
    assert rows(store, table) == "1\ta\n2\tb\n"


@pytest.mark.parametrize("method", [0x82, 0x90, 0x02])
def test_bodies_come_in_clickhouses_own_blocks(store: Any, table: str, method: int) -> None:
    answer = store.ask(native_blocks(b"1,a\n2,b\n", method), query=f"INSERT INTO {table} FORMAT CSV", decompress="1")

    assert answer.status == 200, answer.body.decode()
    assert rows(store, table) == "1\ta\n2\tb\n"


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", b"no gzip"), ("lz4", b"no lz4"), ("zstd", b"no zstd"), ("gzip", gzip.compress(b"1,a\n", mtime=0)[:-3])],
)
def test_a_damaged_body_is_a_clear_error(store: Any, table: str, encoding: str, body: bytes) -> None:
    answer = store.ask(body, headers={"Content-Encoding": encoding}, query=f"INSERT INTO {table} FORMAT CSV")

    assert (answer.status, answer.code) == (400, 354), answer.body.decode()
    assert rows(store, table) == ""


def test_an_unknown_encoding_is_a_clear_error(store: Any) -> None:
    answer = store.ask("SELECT 1", headers={"Content-Encoding": "snappy"})

    assert answer.status == 400
    assert b"lz4, zstd or gzip" in answer.body


@pytest.mark.parametrize("more", [-1, 1], ids=["in memory", "moved to a file"])
def test_all_rows_of_a_large_body_are_there_wherever_it_lies(store: Any, table: str, more: int) -> None:
    word = b"w" * (1 << 20)
    words = bodies.IN_MEMORY_BYTES // len(word) + more
    body = b"".join(b"%d,%s\n" % (number, word) for number in range(words))

    answer = store.ask(body, query=f"INSERT INTO {table} FORMAT CSV")

    assert answer.status == 200, answer.body.decode()
    found = store.ask(f"SELECT count(), sum(id), min(length(word)), max(length(word)) FROM {table}").body
    assert found == b"%d\t%d\t%d\t%d\n" % (words, sum(range(words)), len(word), len(word))


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("INSERT INTO {} FORMAT CSV", b"1,a\n2,b\n"),
        ("INSERT INTO {} FORMAT CSV\n", b"1,a\n2,b\n"),
        ("INSERT INTO {} FORMAT CSV\n1,a\n", b"2,b\n"),
        ("INSERT INTO {}", b"FORMAT CSV\n1,a\n2,b\n"),
        ("", b"INSERT INTO {} FORMAT CSV 1,a\n2,b\n"),
    ],
)
def test_a_statement_and_its_rows_may_be_parted_anywhere(store: Any, table: str, query: str, body: bytes) -> None:
    answer = store.ask(body.replace(b"{}", table.encode()), query=query.format(table))

    assert answer.status == 200, answer.body.decode()
    assert rows(store, table) == "1\ta\n2\tb\n"


def test_a_bomb_is_cut_off(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(bodies, "MAX_DECOMPRESSED_BYTES", 10_000_000)
    for encoding, pack in (("gzip", gzip.compress), ("lz4", lz4.frame.compress), ("zstd", zstandard.compress)):
        bomb = tmp_path / "bomb"
        bomb.write_bytes(pack(bytes(50_000_000)))
        with bomb.open("rb") as file, pytest.raises(EngineError, match="larger than 10000000 bytes decompressed"):
            for _ in bodies.Body(file, encoding, blocks=False).rest():
                pass


def test_a_block_that_claims_gigabytes_is_refused(store: Any, table: str) -> None:
    block = bytes(16) + struct.pack("<BII", 0x82, 20, 0xFFFFFFF0) + bytes(11)

    answer = store.ask(block, query=f"INSERT INTO {table} FORMAT CSV", decompress="1")

    assert answer.code == 354


@pytest.mark.parametrize(
    ("accepted", "unpack"),
    [
        ("gzip", gzip.decompress),
        ("lz4, zstd", lz4.frame.decompress),
        ("zstd, gzip", lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data)),
    ],
)
def test_answers_go_compressed_where_the_client_asks(store: Any, accepted: str, unpack: Any) -> None:
    statement = "SELECT number FROM numbers(200000)"

    answer = store.ask(statement, headers={"Accept-Encoding": accepted}, enable_http_compression="1")

    assert unpack(answer.body) == store.ask(statement).body


def test_an_error_in_the_middle_of_an_answer_is_told(store: Any) -> None:
    with pytest.raises(http.client.IncompleteRead) as broken:
        store.ask("SELECT number, throwIf(number = 900000) FROM numbers(1000000)")

    assert b"__exception__" in broken.value.partial
    assert b"Code: 395" in broken.value.partial


def test_a_failed_query_leaves_nothing_in_the_next_answer(store: Any) -> None:
    for _ in range(5):
        store.ask("SELECT number, throwIf(number = 150000) FROM numbers(200000)", wait_end_of_query="1")

        assert store.ask("SELECT 7").body == b"7\n"
        assert store.ask("SELECT 7", wait_end_of_query="1").body == b"7\n"


@pytest.mark.alone
def test_a_delete_over_many_small_parts_is_no_matter_of_seconds(store: Any, table: str) -> None:
    """Whoever sweeps, restores or rolls up waits for each; the engine's own pauses would make it 2 to 3 s."""
    for number in range(10):
        store.ask(f"INSERT INTO {table} SELECT {number}, toString(number) FROM numbers(9)")

    took_s = []
    for word in range(4):
        began = time.monotonic()
        store.ask(f"DELETE FROM {table} WHERE word = '{word}'")
        took_s.append(time.monotonic() - began)

    assert store.ask(f"SELECT count() FROM {table}").body == b"50\n"
    assert min(took_s) < 1.2


def test_a_long_read_does_not_hold_up_inserts(store: Any, table: str) -> None:
    slow = "SELECT count() FROM numbers(1000000000000) WHERE NOT ignore(sipHash64(number))"
    readers = [
        threading.Thread(target=store.ask, args=(slow,), kwargs={"user": "reader", "max_execution_time": "2"})
        for _ in range(7)
    ]
    for reader in readers:
        reader.start()

    answer = store.ask("1,a\n", query=f"INSERT INTO {table} FORMAT CSV")

    assert answer.status == 200
    assert any(reader.is_alive() for reader in readers)
    for reader in readers:
        reader.join()


def test_parameters_come_in_the_address_and_in_a_form(store: Any) -> None:
    statement = "SELECT {x:UInt8} + 1, {s:String}"
    form = b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in {"query": statement, "param_x": "4", "param_s": "it's"}.items()
    )

    assert store.ask(statement, param_x="4", param_s="it's").body == b"5\tit\\'s\n"
    answer = store.ask(form + b"--b--\r\n", headers={"Content-Type": "multipart/form-data; boundary=b"})
    assert answer.body == b"5\tit\\'s\n"


def test_a_temporary_table_sent_along_is_refused(store: Any) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x"\r\n\r\n1\r\n--b--\r\n'

    answer = store.ask(form, headers={"Content-Type": "multipart/form-data; boundary=b"}, query="SELECT * FROM x")

    assert (answer.status, answer.code) == (501, 48)


def test_another_database_is_refused_and_default_is_ours(store: Any) -> None:
    assert store.ask("SELECT currentDatabase()", database="default").body == b"onshore\n"
    assert store.ask("SELECT 1", database="system").code == 81


def test_the_format_may_stand_in_the_address_or_in_the_statement(store: Any) -> None:
    assert store.ask("SELECT 1 AS x", default_format="JSONEachRow").body == b'{"x":1}\n'
    assert store.ask("SELECT 1 AS x", headers={"X-ClickHouse-Format": "CSVWithNames"}).body == b'"x"\n1\n'
    assert store.ask("SELECT 1 AS x FORMAT Values", default_format="CSV").headers["x-clickhouse-format"] == "Values"


@given(
    before=st.sampled_from(["", " ", "/* FORMAT x */ ", "-- VALUES\n", "\n\t"]),
    columns=st.sampled_from(["", " (a, `FORMAT`)", ' ("VALUES")', " (a, b) SETTINGS x = 'FORMAT y'"]),
    data=st.binary(max_size=50).filter(lambda data: not data[:1].isspace()),
)
def test_the_rows_begin_behind_the_statement(before: str, columns: str, data: bytes) -> None:
    statement = f"{before}INSERT INTO t{columns} "

    found = find_insert(statement.encode() + b"FORMAT Native\n" + data)

    assert found is not None
    assert (found.statement + found.settings, found.format) == (statement, "Native")
    assert (statement.encode() + b"FORMAT Native\n" + data)[found.data_at :] == data
