"""CloudTrail files of every kind and state, record by record."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrail_texts import log_file, record, text_of
from onshore_collectors.files.cloudtrail import RULES
from onshore_collectors.files.json_records import read_json
from onshore_collectors.files.kinds import KINDS
from onshore_collectors.files.pieces import Digest, Piece, RawRecord, Unreadable
from onshore_collectors.files.source_files import find_files
from onshore_collectors.files.unpacking import unpack
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Sequence


def read(content: bytes, chunk: int = 1 << 20) -> list[Piece]:
    return list(read_json((content[at : at + chunk] for at in range(0, len(content), chunk)), RULES))


def texts(pieces: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, RawRecord)]


def unreadable(pieces: Sequence[Piece]) -> list[Unreadable]:
    return [piece for piece in pieces if isinstance(piece, Unreadable)]


# --- what a file holds ---

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.lists(
    st.tuples(JSON_VALUES, st.booleans(), st.sampled_from([None, 1, "\t"])).map(
        lambda drawn: json.dumps(record(0, requestParameters=drawn[0]), ensure_ascii=drawn[1], indent=drawn[2])
    ),
    max_size=5,
)
SPACES = st.text(alphabet=" \t\r\n", max_size=3)


@settings(deadline=None)
@given(records=RECORDS, space=SPACES, chunk=st.integers(1, 400), first=st.booleans())
def test_every_record_keeps_its_exact_text(records: list[str], space: str, chunk: int, *, first: bool) -> None:
    inside = f"{space},{space}".join(records)
    other = "" if first else f'{space}"a"{space}:{space}[1, {{}}],'
    content = f'{space}{{{other}{space}"Records"{space}:{space}[{space}{inside}{space}]{space}}}{space}'
    pieces = read(content.encode(), chunk)
    assert texts(pieces) == records
    assert not unreadable(pieces)


@settings(deadline=None)
@given(records=RECORDS, chunk=st.integers(1, 400), ending=st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_json_lines_and_lists_keep_their_exact_text(records: list[str], chunk: int, ending: str) -> None:
    lines = ending.join(records).encode()
    if lines:
        assert texts(read(b"\xef\xbb\xbf" + lines, chunk)) == records
    assert texts(read(b"[" + ",".join(records).encode() + b"]", chunk)) == records


@settings(deadline=None)
@given(cut=st.integers(1, 10_000), chunk=st.integers(1, 400))
def test_wherever_a_file_is_cut_what_is_whole_is_given_and_the_cut_is_told(cut: int, chunk: int) -> None:
    records = [*text_of(1, 2), json.dumps(record(3, requestParameters={"key": "é東"}), ensure_ascii=False)]
    content = log_file(*records)
    cut = cut % (len(content) - 1) + 1
    pieces = read(content[:cut], chunk)
    whole = [number for number in range(3) if len(log_file(*records[: number + 1])) - 2 <= cut]
    assert texts(pieces) == [records[number] for number in whole]
    assert len(unreadable(pieces)) == 1


@settings(deadline=None)
@given(cut=st.integers(0, 10_000), chunk=st.integers(1, 400))
def test_wherever_a_packed_file_is_cut_the_cut_is_told(cut: int, chunk: int) -> None:
    records = text_of(1, 2, 3)
    packed = gzip.compress(log_file(*records), mtime=0)
    packed = packed[: cut % (len(packed) - 2) + 2]
    parts = (packed[at : at + chunk] for at in range(0, len(packed), chunk) or [0])
    pieces = list(read_json(unpack(parts), RULES))
    assert texts(pieces) == records[: len(texts(pieces))]
    (problem,) = unreadable(pieces)
    assert "gzip stream ends early" in problem.reason


@pytest.mark.parametrize(
    ("broken", "good", "reason"),
    [
        ('{"eventVersion":"1.08",,"eventID":"x"}', [1, 2], "is not JSON: Expecting property name"),
        ('{"eventVersion":"1.08","a":{"b":1}', [1, 2], "is not JSON: Expecting"),
        ('{"eventVersion":"1.08","a":"b}', [1, 2], "is not JSON"),
        ('"a text"', [1, 2], "is no JSON object"),
        ("17", [1, 2], "is no JSON object"),
        ("[" * 100_000, [1, 2], "nested too deeply"),
    ],
)
def test_a_broken_record_is_told_with_its_place_and_the_others_are_given(
    broken: str, good: list[int], reason: str
) -> None:
    first, second = text_of(*good)
    content = log_file(first, broken, second)
    pieces = read(content, 64)
    assert texts(pieces) == [first, second]
    (problem,) = unreadable(pieces)
    assert content[problem.position :].startswith(broken.encode())
    assert reason in problem.reason


def test_the_place_is_in_bytes_even_behind_other_scripts() -> None:
    first = json.dumps(record(1, requestParameters="東京" * 500), ensure_ascii=False)
    content = log_file(first, "{broken", *text_of(2))
    (problem,) = unreadable(read(content, 100))
    assert content[problem.position :].startswith(b"{broken")


def test_broken_json_lines_are_told_one_by_one() -> None:
    first, second, third = text_of(1, 2, 3)
    lines = [first, "{broken", second, '{"name": "other"}', third, '{"eventVersion": "1']
    pieces = read("\n".join(lines).encode(), 50)
    assert texts(pieces) == [first, second, third]
    assert [problem.reason.partition(";")[0] for problem in unreadable(pieces)] == [
        "is not JSON: Expecting property name enclosed in double quotes",
        "is no CloudTrail record: holds name",
        "the file ends in the middle of this",
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file ends before anything stands in it"),
        (b" \n", "the file ends before anything stands in it"),
        (b"\x00\xff\x10", "is not JSON"),
        (b'{"Resources": []}', "is no CloudTrail record: holds Resources"),
        (b"{}", "is no CloudTrail record: holds nothing"),
        (b"17", "is JSON, but no CloudTrail record"),
        (b'{"Records":[]', "the file ends before its closing brace"),
        (b'{"Records":[]]', "the file goes on wrongly after its records"),
        (b'{"Records":[],"a"', "the file ends"),
    ],
)
def test_a_file_that_is_no_log_is_told(content: bytes, reason: str) -> None:
    (problem,) = read(content)
    assert isinstance(problem, Unreadable)
    assert reason in problem.reason


def test_a_record_that_is_not_utf8_is_told_and_the_others_are_given() -> None:
    first, second = text_of(1, 2)
    raw = b'{"Records":[' + first.encode() + b',{"eventVersion":"1.08","a":"\xff"},' + second.encode() + b"]}"
    pieces = read(raw)
    assert texts(pieces) == [first, second]
    assert [problem.reason for problem in unreadable(pieces)] == ["is not UTF-8"]


def test_a_file_without_records_is_whole_and_empty() -> None:
    assert read(b'{"Records":[]}') == []


def test_a_digest_file_is_recognised() -> None:
    digest = {"awsAccountId": "1", "digestStartTime": "2023-07-10T11:00:00Z", "logFiles": [{"hashValue": "ab"}] * 3}
    text = json.dumps(digest, indent=2)
    assert read(text.encode()) == [Digest(3, text)]


def test_time_and_id_are_read_where_they_are_usable() -> None:
    pieces = read(
        log_file(
            json.dumps(record(1)),
            json.dumps(record(2, eventTime="2023-07-10T11:42:36", eventID=5)),
            json.dumps(record(3, eventTime=None)),
        )
    )
    known = [(piece.uid, piece.time_ns) for piece in pieces if isinstance(piece, RawRecord)]
    assert known == [("id-1", 1_688_989_356_000_000_000), ("5", None), ("id-3", None)]


def test_gzip_members_and_padding_are_read_to_the_end() -> None:
    lines = [(text + "\n").encode() for text in text_of(1, 2)]
    packed = b"".join(gzip.compress(line) for line in lines) + bytes(1000)
    assert texts(list(read_json(unpack(iter([packed[:20], packed[20:]])), RULES))) == text_of(1, 2)


# --- which files ---


def test_folders_patterns_and_files_are_found_once(tmp_path: Path) -> None:
    for name in ("b/2.json.gz", "b/1.json", "a.jsonl", "notes.txt", "b/.hidden.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = find_files([str(tmp_path), str(tmp_path / "b/*.json"), str(tmp_path / "notes.txt"), "-"])
    names = [each.name.removeprefix(str(tmp_path) + "/") for each in found.files]
    assert names == ["a.jsonl", "b/1.json", "b/2.json.gz", "notes.txt", "-"]
    assert found.ignored == 2


def test_rotated_files_are_found_and_read_from_the_oldest_on(tmp_path: Path) -> None:
    told = ["a.log.10.gz", "a.log.2.gz", "a.log.1", "a.log", "b.log-20261126.gz", "b.log-20261127", "b.log"]
    told += ["c.log.2026-11-27", "c.log", "d-1.json", "d-2.json"]
    for name in [*told, "e.tar.1", "f.txt-20261127", "g.1"]:
        (tmp_path / name).touch()
    found = find_files([str(tmp_path)])
    assert [Path(each.name).name for each in found.files] == told
    assert found.ignored == 3
    named = [str(tmp_path / name) for name in sorted(told)]  # as a shell expands a.log*
    assert find_files(named).files == found.files


def test_the_names_of_a_folders_logs_depend_on_the_kind(tmp_path: Path) -> None:
    for name in ("postgresql-1.csv", "postgresql-1.json", "postgresql-1.log", "postgresql-1.csv.1.gz"):
        (tmp_path / name).touch()
    (kind,) = [each for each in KINDS if each.name == "pgaudit"]
    found = find_files([str(tmp_path)], kind.suffixes)
    assert [Path(each.name).name for each in found.files] == [
        "postgresql-1.csv.1.gz",
        "postgresql-1.csv",
        "postgresql-1.json",
    ]


def test_a_folder_in_which_nothing_fits_is_an_error_that_says_what_would(tmp_path: Path) -> None:
    (tmp_path / "postgresql.csv").touch()
    with pytest.raises(OnshoreError, match=r"none of 1 files there ends with \.json, .*\.log; name files or a pattern"):
        find_files([str(tmp_path)])


@pytest.mark.parametrize("path", ["nothing.json", "*.nothing"])
def test_a_path_that_leads_nowhere_is_an_error(tmp_path: Path, path: str) -> None:
    with pytest.raises(OnshoreError, match="no such file or folder"):
        find_files([str(tmp_path / path)])
