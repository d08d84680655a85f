"""What is hashed and written row by row, against the standard library."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import evidence_reference as reference
from onshore_pipeline.compiled import address_of, compiled
from onshore_pipeline.evidence import merkle, rows, sha256
from onshore_pipeline.evidence.row_code import Spelling
from onshore_pipeline.evidence.rows import Part
from onshore_pipeline.evidence.self_check import check_compiled

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from numpy.typing import NDArray

# FIPS 180-4's own examples, as NIST publishes them.
ONE_BLOCK = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
TWO_BLOCKS = "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"


def digest(values: list[bytes]) -> list[bytes]:
    found = rows.digests([Part(pl.Series(values, dtype=pl.Binary))], len(values))
    return [row.tobytes() for row in found]


def test_the_standards_examples_come_out() -> None:
    texts = [b"abc", b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"]
    assert [each.hex() for each in digest(texts)] == [ONE_BLOCK, TWO_BLOCKS]


def test_every_length_around_the_padding_is_hashed_right() -> None:
    values = [bytes(range(256))[:size] for size in range(200)]
    assert digest(values) == [hashlib.sha256(value).digest() for value in values]


@given(st.lists(st.binary(max_size=300), max_size=6))
@settings(deadline=None)
def test_any_bytes_are_hashed_as_the_standard_library_does(values: list[bytes]) -> None:
    assert digest(values) == [hashlib.sha256(value).digest() for value in values]


@pytest.mark.parametrize("of_blocks", [sha256._digest_by_arithmetic, sha256._digest_of_blocks])
def test_every_processor_gets_the_same_digest(of_blocks: Callable[[int, int, int], None]) -> None:
    @compiled
    def run(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        of_blocks(address_of(data), data.size // 64, address_of(out))

    data = np.random.default_rng(180).integers(0, 256, 64 * 9, dtype=np.uint8)
    unpadded = data.tobytes()[: 64 * 9 - 9]
    data[-9] = 0x80
    data[-8:] = np.frombuffer((len(unpadded) * 8).to_bytes(8, "big"), np.uint8)
    out = np.zeros(32, np.uint8)
    run(data, out)
    assert out.tobytes() == hashlib.sha256(unpadded).digest()


@given(st.lists(st.none() | st.text(max_size=20), min_size=1, max_size=8))
@settings(deadline=None)
def test_text_is_escaped_as_json_and_null_is_what_the_part_says(values: list[str | None]) -> None:
    parts = [Part(pl.Series(values, dtype=pl.String), Spelling.JSON, b'{"a":"', b'"}', b"{}")]
    spelled = [
        "{}" if value is None else json.dumps({"a": value}, ensure_ascii=False, separators=(",", ":"))
        for value in values
    ]
    assert rows.texts(parts, len(values)).to_list() == spelled
    hashed = [row.tobytes() for row in rows.digests(parts, len(values))]
    assert hashed == [hashlib.sha256(text.encode()).digest() for text in spelled]


def test_every_control_character_is_escaped_as_rfc_8785_says() -> None:
    text = "".join(map(chr, range(0x20))) + '"\\/\x7f\u2028'
    escaped = (
        r"\u0000\u0001\u0002\u0003\u0004\u0005\u0006\u0007\b\t\n\u000b\f\r\u000e\u000f"
        r"\u0010\u0011\u0012\u0013\u0014\u0015\u0016\u0017\u0018\u0019\u001a\u001b\u001c\u001d\u001e\u001f"
        r"\"\\" + "/\x7f\u2028"
    )
    assert rows.texts([Part(pl.Series([text]), Spelling.JSON)], 1).to_list() == [escaped]


def test_parts_take_values_by_index_in_hex_and_only_where_known() -> None:
    table = np.array([[1, 171], [255, 0]], np.uint8)
    parts = [
        Part(table, Spelling.HEX, b"<", b">", b"-", index=np.array([1, 0, 1]), known=np.array([False, True])),
        Part(None, lead=b"|"),
        Part(pl.Series([b"\x00\xf0", None, b""], dtype=pl.Binary), Spelling.HEX, missing=b"?"),
    ]
    assert rows.texts(parts, 3).to_list() == ["<ff00>|00f0", "-|?", "<ff00>|"]


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=8))
@settings(deadline=None)
@example([-(2**63), 2**63 - 1, 0, -1, 9, 10, -10])
def test_integers_are_spelled_in_decimal(values: list[int]) -> None:
    signed = np.array(values, np.int64)
    for numbers, spelling in ((signed, Spelling.SIGNED), (signed.view(np.uint64), Spelling.UNSIGNED)):
        part = Part(numbers.view(np.uint8).reshape(-1, 8), spelling)
        assert rows.texts([part], len(values)).to_list() == [str(number) for number in numbers.tolist()]


@given(st.lists(st.none() | st.lists(st.text(max_size=40), max_size=3), min_size=1, max_size=6), st.integers(0, 3))
@settings(deadline=None)
def test_lists_of_texts_are_json_arrays_wherever_their_column_begins(values: list[list[str] | None], cut: int) -> None:
    cut = min(cut, len(values) - 1)
    column = pl.Series(values, dtype=pl.List(pl.String))[cut:]
    spelled = [
        "-" if texts is None else json.dumps(texts, ensure_ascii=False, separators=(",", ":")) for texts in values[cut:]
    ]
    assert rows.texts([Part(column, Spelling.TEXTS, missing=b"-")], len(column)).to_list() == spelled


@given(st.lists(st.binary(max_size=70), min_size=1, max_size=5))
@settings(deadline=None)
def test_bytes_of_any_size_are_spelled_in_hex(values: list[bytes]) -> None:
    part = Part(pl.Series(values, dtype=pl.Binary), Spelling.HEX)
    assert rows.texts([part], len(values)).to_list() == [value.hex() for value in values]


def test_a_slice_of_a_column_is_read_where_it_begins() -> None:
    values = pl.Series(["first", "second", None, "fourth"])[1:]
    assert rows.texts([Part(values, missing=b"-")], 3).to_list() == ["second", "-", "fourth"]


@given(st.lists(st.dictionaries(st.text(max_size=6), st.text(max_size=90), max_size=5), min_size=1, max_size=5))
@settings(deadline=None)
def test_roots_of_maps_are_those_of_the_written_format(maps: list[dict[str, str]]) -> None:
    ordered = [sorted(each.items(), key=lambda pair: pair[0].encode()) for each in maps]
    pairs = [pair for each in ordered for pair in each]
    salts = np.arange(16 * len(maps), dtype=np.uint32).astype(np.uint8).reshape(-1, 16)
    found = rows.map_roots(
        b"attributes",
        salts,
        np.array([len(each) for each in ordered]),
        pl.Series([key for key, _ in pairs], dtype=pl.String),
        pl.Series([value for _, value in pairs], dtype=pl.String),
    )
    for root, salt, each in zip(found, salts, maps, strict=True):
        assert root.tobytes() == (
            bytes.fromhex(reference.map_root(salt.tobytes(), "attributes", each)) if each else bytes(32)
        )


@pytest.mark.parametrize(
    ("part", "name", "wrong"),
    [
        (rows, "digests", lambda _, count: np.zeros((count, 32), np.uint8)),
        (rows, "map_roots", lambda *_: np.zeros((1, 32), np.uint8)),
        (merkle, "roots", lambda _, sizes: np.zeros((len(sizes), 32), np.uint8)),
    ],
)
def test_a_check_finds_machine_code_that_computes_wrongly(
    part: ModuleType, name: str, wrong: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    check_compiled()
    monkeypatch.setattr(part, name, wrong)
    with pytest.raises(sha256.CompiledWrongly, match="compiled-"):
        check_compiled()


def test_a_row_of_many_megabytes_is_hashed_in_memory_that_is_still_there() -> None:
    value = bytes(50_000_000)  # the allocator hands memory of this size back at once: a write behind that would crash
    row = rows.digests([Part(pl.Series([value], dtype=pl.Binary), lead=b"\x00")], 1)[0]
    assert row.tobytes() == hashlib.sha256(b"\x00" + value).digest()


def test_threads_that_hash_at_once_do_not_share_memory() -> None:
    values = [pl.Series([f"{thread}-{row}" * (1 + row % 50) for row in range(3000)]) for thread in range(4)]
    counts = np.full(300, 10)
    salts = np.zeros((300, 16), np.uint8)

    def work(column: pl.Series) -> list[bytes]:
        roots = [rows.map_roots(b"a", salts, counts, column, column).tobytes() for _ in range(5)]
        hashes = [rows.digests([Part(column, Spelling.JSON)], 3000).tobytes() for _ in range(5)]
        trees = [merkle.roots(np.frombuffer(hashes[0], np.uint8).reshape(-1, 32), counts).tobytes() for _ in range(5)]
        return [*roots, *hashes, *trees]

    alone = [work(column) for column in values]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, values)) == alone
    expected = [hashlib.sha256(text.encode()).digest() for text in values[0]]
    assert alone[0][5] == b"".join(expected)


@pytest.mark.parametrize("of_two", [sha256._two_by_arithmetic, sha256._two_digests])
def test_two_at_once_are_each_hashed_right(of_two: Callable[[int, int, int, int, int], None]) -> None:
    @compiled
    def run(data: NDArray[np.uint8], out: NDArray[np.uint8]) -> None:
        one, first = address_of(data), address_of(out)
        of_two(one, one + 128, 2, first, first + 32)

    contents = [bytes([letter]) * 100 for letter in b"ab"]
    padded = b"".join(each + b"\x80" + bytes(19) + (800).to_bytes(8, "big") for each in contents)
    out = np.zeros(64, np.uint8)
    run(np.frombuffer(padded, np.uint8), out)
    assert out.tobytes() == b"".join(hashlib.sha256(each).digest() for each in contents)


def test_machine_code_that_was_kept_is_not_used_after_a_change_in_another_module(tmp_path: Path) -> None:
    package = tmp_path / "onshore_pipeline"
    shutil.copytree(Path(rows.__file__).parents[1], package, ignore=shutil.ignore_patterns("__pycache__"))
    program = (
        "import numpy as np, polars as pl; from onshore_pipeline.evidence import rows;"
        "print(rows.map_roots(b'n', np.zeros((1, 16), np.uint8), np.array([1]), pl.Series(['four\\\\b']),"
        " pl.Series(['c'])).tobytes().hex(), rows.__file__)"
    )

    def root() -> tuple[str, str]:
        told = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
        root, place = told.stdout.split()
        return root, place

    before = root()
    assert before == root() == (reference.map_root(bytes(16), "n", {"four\\b": "c"}), str(package / "evidence/rows.py"))
    source = package / "compiled.py"
    text = source.read_text()
    assert "for escaped in b'\"\\\\':" in text
    source.write_text(text.replace("for escaped in b'\"\\\\':", "for escaped in b'\"':"))
    assert root() != before
