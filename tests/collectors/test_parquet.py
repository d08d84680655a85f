"""Flow logs delivered as Parquet: the same events as their text, once, and told where a file is no whole flow log."""

from __future__ import annotations

import gzip
import io
import json
import signal
from typing import TYPE_CHECKING, Any, Final

import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from file_collecting import collecting
from onshore_collectors.__main__ import main
from onshore_collectors.files.flow_logs import FIELDS_KEY
from onshore_collectors.files.parquet import read_flow_parquet
from onshore_collectors.files.pieces import Piece, RawRecord, Unreadable
from onshore_pipeline.normalise.aws_vpcflow_fields import VERSION_2
from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode
from source_samples import fidelity_of, golden_events, samples_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tests.collectors.conftest import Inbox

# The types that AWS documents for its Parquet files; all other fields are texts.
NUMBERS: Final = {
    "version": pa.int32(),
    "srcport": pa.int32(),
    "dstport": pa.int32(),
    "protocol": pa.int32(),
    "packets": pa.int64(),
    "bytes": pa.int64(),
    "start": pa.int64(),
    "end": pa.int64(),
    "tcp-flags": pa.int32(),
    "traffic-path": pa.int32(),
    "encryption-status": pa.int32(),
}
FORMAT: Final = "aws.vpcflow"
# What tells how an event came and when, not what happened.
OF_THE_WAY: Final = ("row", "message", "resource", "record_index", "observed_at")


def columns_of(heading: str, lines: Sequence[str]) -> pa.Table:
    """Lines as AWS would deliver them in columns: underscores in names, nothing where a line has a dash."""
    columns = {}
    for name, words in zip(heading.split(), zip(*(line.split() for line in lines), strict=True), strict=True):
        said = [None if word == "-" else word for word in words]
        column = pa.array(said, pa.string())
        columns[name.replace("-", "_")] = column.cast(NUMBERS[name]) if name in NUMBERS else column
    return pa.table(columns)


def with_arrow(table: pa.Table, path: Path) -> None:
    parquet.write_table(table, path, compression="gzip", row_group_size=3)


def with_polars(table: pa.Table, path: Path) -> None:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    frame.write_parquet(path, compression="gzip", row_group_size=3)


def samples() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Golden lines by their heading, each with its golden event."""
    by_heading: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    for sample, event in zip(samples_of(FORMAT), golden_events(FORMAT), strict=True):
        heading = sample.attributes.get(FIELDS_KEY, " ".join(VERSION_2))
        if len(sample.body.split()) == len(heading.split()) and not sample.resource:
            by_heading.setdefault(heading, []).append((sample.body, event))
    return by_heading


def collected(inbox: Inbox, folder: Path, path: Path) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The events of a file, in order, and their attributes; without what tells the way that they came."""
    here = ["--otlp", inbox.endpoint, "--data-dir", str(folder / "data")]
    assert main(["collect", "flow-logs", str(path), *here]) == 0
    normalised = normalise(decode([(each.topic, each.value, "otlp_proto") for each in inbox.messages()]))
    attributes: dict[int, dict[str, str]] = {}
    for row, key, text in normalised.attributes.iter_rows():
        if key not in {"log.file.name", "onshore.source.encoding"}:
            attributes.setdefault(row, {})[key] = text
    events = [each for each in normalised.events.to_dicts() if each["source_format"] == FORMAT]
    told = [attributes[each["row"]] for each in events]
    return [{name: each[name] for name in each if name not in OF_THE_WAY} for each in events], told


def rows_of(path: Path) -> list[Piece]:
    return list(read_flow_parquet(str(path), lambda _: None))


def a_log(folder: Path, rows: int, group: int, **more: pa.Array) -> Path:
    """A small log of numbered flows."""
    table = pa.table(
        {
            "version": pa.array([2] * rows, pa.int32()),
            "srcaddr": [f"10.0.{number >> 8}.{number & 255}" for number in range(rows)],
            "bytes": pa.array(range(rows), pa.int64()),
            **more,
        }
    )
    path = folder / "flows.log.parquet"
    parquet.write_table(table, path, compression="gzip", row_group_size=group, store_schema=False)
    return path


# --- the same events ---


@pytest.mark.parametrize("write", [with_arrow, with_polars])
@pytest.mark.parametrize("heading", samples(), ids=lambda heading: f"{len(heading.split())} fields")
def test_text_and_parquet_of_the_same_records_give_the_same_events(
    inbox: Inbox, tmp_path: Path, heading: str, write: Callable[[pa.Table, Path], None]
) -> None:
    lines, golden = zip(*samples()[heading], strict=True)
    (tmp_path / "a.log").write_text("\n".join([heading, *lines]) + "\n")
    write(columns_of(heading, lines), tmp_path / "a.log.parquet")
    as_text = collected(inbox, tmp_path, tmp_path / "a.log")
    as_columns = collected(inbox, tmp_path, tmp_path / "a.log.parquet")
    assert as_columns == as_text
    assert [event["body"] for event in as_columns[0]] == list(lines)
    for event, expected in zip(as_columns[0], golden, strict=True):
        shown = {name: value for name, value in expected.items() if name not in {"attributes", "occurred_at"}}
        seen = {name: event[name] for name in shown}
        assert {name: value.hex() if isinstance(value, bytes) else value for name, value in seen.items()} == shown


def test_every_field_of_a_parquet_file_is_one_whose_fate_is_told() -> None:
    named = {name for heading in samples() for name in heading.split()}
    assert named >= set(NUMBERS)
    fidelity = fidelity_of(FORMAT)
    assert named <= set(fidelity.fields) | set(fidelity.paths)


def test_rows_say_that_they_came_as_parquet(inbox: Inbox, tmp_path: Path) -> None:
    here = ["--otlp", inbox.endpoint, "--data-dir", str(tmp_path / "data")]
    assert main(["collect", "flow-logs", str(a_log(tmp_path, 2, 2)), *here]) == 0
    told = [inbox.attributes(each) for each in inbox.log_records()]
    assert [each["onshore.source.encoding"] for each in told] == ["parquet"] * 2
    assert [each[FIELDS_KEY] for each in told] == ["version srcaddr bytes"] * 2


@pytest.mark.parametrize(
    "column",
    [
        pa.array(["OK", None, "", "NODATA"]).dictionary_encode(),
        pa.array([b"OK", None, b"", b"NODATA"], pa.binary()),
        pa.array(["OK", None, "", "NODATA"], pa.large_string()),
    ],
    ids=["dictionary", "bytes", "large text"],
)
def test_texts_are_read_however_they_are_stored(tmp_path: Path, column: pa.Array) -> None:
    pieces = rows_of(a_log(tmp_path, 4, 4, log_status=column))
    assert [piece.text.split()[-1] for piece in pieces if isinstance(piece, RawRecord)] == ["OK", "-", "-", "NODATA"]


# --- once ---


def test_a_reader_that_is_killed_goes_on_behind_the_rows_that_were_sent(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    path = a_log(tmp_path / "logs", 3000, 700)
    expected = [piece.text for piece in rows_of(path) if isinstance(piece, RawRecord)]
    assert len(expected) == 3000
    with collecting(tmp_path) as both:
        both.start_receiver()
        for _ in range(3):
            dying = both.collect("flow-logs", tmp_path / "logs", "--failpoint", "11.acknowledged:kill")
            dying.communicate(timeout=60)
            assert dying.returncode == -signal.SIGKILL
        report = both.finish("flow-logs", tmp_path / "logs")
        assert report["skipped"] > 0
        assert report["skipped"] + report["sent"] == 3000
        assert both.bodies() == expected
        assert both.finish("flow-logs", tmp_path / "logs")["sent"] == 0


def test_a_file_that_was_still_being_copied_is_read_when_it_is_whole(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = a_log(tmp_path, 4, 4)
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    here = ["--otlp", inbox.endpoint, "--data-dir", str(tmp_path / "data")]
    assert main(["collect", "flow-logs", str(path), *here]) == 1
    assert "is no whole Parquet file" in capsys.readouterr().err
    path.write_bytes(whole)
    assert main(["collect", "flow-logs", str(path), *here]) == 0
    assert len(inbox.log_records()) == 4


# --- bad files ---


def test_a_damaged_row_group_costs_only_itself(tmp_path: Path) -> None:
    path = a_log(tmp_path, 30, 10)
    group = parquet.ParquetFile(path).metadata.row_group(1).column(1)
    content = bytearray(path.read_bytes())
    begin = group.dictionary_page_offset or group.data_page_offset
    content[begin : begin + group.total_compressed_size] = bytes(group.total_compressed_size)
    path.write_bytes(content)
    pieces = rows_of(path)
    numbers = [int(piece.text.split()[2]) for piece in pieces if isinstance(piece, RawRecord)]
    assert numbers == [*range(10), *range(20, 30)]
    (told,) = [piece for piece in pieces if isinstance(piece, Unreadable)]
    assert told.line == 11
    assert told.reason.startswith("rows 11 to 20 of the Parquet file cannot be read: ")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"name": ["a"], "age": [1]}, "is Parquet, but no flow log: has the columns name, age"),
        ({}, "is Parquet, but no flow log: has the columns nothing"),
        ({"srcaddr": ["a"], "hops": [["b"]]}, "in its column hops: a flow log holds texts and whole numbers"),
        ({"srcaddr": ["a"], "share": [0.5]}, "has double in its column share"),
        ({"srcaddr": ["a"], "a column": [1]}, "has a column whose name is no field's: 'a column'"),
    ],
)
def test_wrong_columns_are_named(tmp_path: Path, table: dict[str, list[object]], reason: str) -> None:
    parquet.write_table(pa.table(table), tmp_path / "a.parquet")
    (told,) = rows_of(tmp_path / "a.parquet")
    assert isinstance(told, Unreadable)
    assert reason in told.reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"10.0.0.1 10.0.0.2", "has a value with white space in it"),
        (b"10.0.0.1\n", "has a value with white space in it"),
        (b"\xff", "is not UTF-8"),
        (b"x" * (9 << 20), "is longer than 8 MiB"),
    ],
    ids=["blank", "line end", "bytes", "long"],
)
def test_a_row_that_is_no_line_is_told_and_the_others_are_given(tmp_path: Path, value: bytes, reason: str) -> None:
    pieces = rows_of(a_log(tmp_path, 3, 3, dstaddr=pa.array([b"10.0.0.1", value, b"10.0.0.3"], pa.binary())))
    assert [isinstance(piece, RawRecord) for piece in pieces] == [True, False, True]
    told = pieces[1]
    assert isinstance(told, Unreadable)
    assert told.line == 2
    assert told.reason.startswith(f"row 2 of the Parquet file {reason}")


def test_parquet_where_it_cannot_be_read_is_told_once(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_log(tmp_path, 300, 300)
    packed = tmp_path / "flows.parquet.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    here = ["--otlp", inbox.endpoint, "--data-dir", str(tmp_path / "data"), "--json"]

    def problems(*arguments: str) -> list[str]:
        assert main(["collect", *arguments, *here]) == 1
        report = json.loads(capsys.readouterr().out)
        assert (report["records"], report["unreadable"]) == (1, 1)
        return [problem["reason"] for problem in report["problems"]]

    assert problems("cloudtrail", str(path)) == [
        "is Parquet, which only flow logs are read from (`onshore collect flow-logs`)"
    ]
    in_a_stream = "is Parquet in a stream or packed once more; name the unpacked file, for it is read from its end"
    assert problems("flow-logs", str(packed)) == [in_a_stream]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert problems("flow-logs", "-") == [in_a_stream]


def test_a_folder_of_parquet_files_is_one_of_flow_logs(
    inbox: Inbox, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    a_log(tmp_path, 2, 2)
    here = ["--otlp", inbox.endpoint, "--data-dir", str(tmp_path / "data")]
    assert main(["collect", "vpn", str(tmp_path), *here]) == 2
    assert "none of 1 files there ends with" in capsys.readouterr().err
    assert main(["collect", "flow-logs", str(tmp_path), *here]) == 0
    assert "2 sent" in capsys.readouterr().out
    assert main(["collect", "file", "--format", FORMAT, str(tmp_path), *here]) == 0
    assert "2 sent" in capsys.readouterr().out
