"""Bad files through the real `onshore collect` into a real stack: told with file, line and reason, the rest is read."""

from __future__ import annotations

import contextlib
import gzip
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psutil
import pyarrow as pa
import pytest
from pyarrow import parquet

from cloudtrail_texts import log_file, record, text_of
from running_stack import command, environment

if TYPE_CHECKING:
    from pathlib import Path

    from running_stack import RunningStack

COLLECTED_WITHIN_S: Final = 120
LOOK_EVERY_S: Final = 0.02
MIB: Final = 1 << 20
MOST_RESIDENT_BYTES: Final = 512 * MIB
FLOW: Final = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"


@dataclass(frozen=True)
class Collected:
    """What became of a file.

    Attributes:
        path: the file.
        code: how the command ended.
        report: what it printed as JSON.
        peak_bytes: the most memory it was seen to have resident.
        events: the file's events in the store, in the order of their records.
        letters: its dead letters: line and reason, in order.
    """

    path: Path
    code: int
    report: dict[str, Any]
    peak_bytes: int
    events: list[dict[str, Any]]
    letters: list[tuple[int, str]]

    @property
    def bodies(self) -> list[str]:
        return [event["body"] for event in self.events]


def collected(stack: RunningStack, kind: str, path: Path) -> Collected:
    """Run the command on a file and wait for everything in it; records = events + dead letters holds then."""
    arguments = command("collect", kind, str(path), "--data-dir", str(stack.data_dir), "--json")
    with subprocess.Popen(
        arguments, env=environment(), cwd=stack.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        peak_bytes = watched(process)
        out, errors = process.communicate(timeout=COLLECTED_WITHIN_S)
    assert out, errors
    report = json.loads(out)
    assert (report["unreadable_files"], report["unsent"], report["rejected"]) == (0, 0, 0)
    assert report["records"] == report["sent"] + report["unreadable"]
    name, like = path.name, f"{path}, line %"
    stack.wait_for(
        "SELECT count() FROM events_current WHERE attributes['log.file.name'] = {name:String}",
        report["sent"],
        name=name,
    )
    stack.wait_for(
        "SELECT count() FROM dead_letters_current WHERE stage = 'collect' AND reason LIKE {like:String}",
        report["unreadable"],
        like=like,
    )
    found = stack.reader.query(
        "SELECT body, bytes, action, attributes, occurred_at, outcome, destination_region, destination_account"
        " FROM events_current WHERE attributes['log.file.name'] = {name:String}"
        " ORDER BY kafka_partition, kafka_offset, record_index",
        parameters={"name": name},
    )
    told = stack.rows("SELECT reason FROM dead_letters_current WHERE reason LIKE {like:String}", like=like)
    letters = sorted(place_and_reason(reason, path) for (reason,) in told)
    return Collected(path, process.returncode, report, peak_bytes, list(found.named_results()), letters)


def watched(process: subprocess.Popen[str]) -> int:
    """The most memory that the process was seen to have resident until it ended."""
    peak = 0
    with contextlib.suppress(psutil.Error):
        about = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, about.memory_info().rss)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY_S)
    return peak


def place_and_reason(reason: str, path: Path) -> tuple[int, str]:
    line, _, rest = reason.removeprefix(f"{path}, line ").partition(", byte ")
    return int(line.replace(",", "")), rest.partition(": ")[2]


def write(stack: RunningStack, mark: str, content: bytes, ending: str = "json") -> Path:
    path = stack.folder / f"{mark}.{ending}"
    path.write_bytes(content)
    return path


def test_half_written_json_costs_only_itself(stack: RunningStack, mark: str) -> None:
    first, second, third = text_of(1, 2, 3)
    lines = "\n".join([first, second[:40], third, second[:50]])
    found = collected(stack, "cloudtrail", write(stack, mark, lines.encode(), "jsonl"))
    assert found.code == 1
    assert found.bodies == [first, third]
    assert [line for line, _ in found.letters] == [2, 4]
    assert found.letters[0][1].startswith("is not JSON")
    assert found.letters[1][1].startswith("the file ends in the middle of this")


def test_lines_end_as_they_like_and_are_counted(stack: RunningStack, mark: str) -> None:
    lines = [FLOW.replace("eni-1", f"eni-{number}") for number in range(5)]
    ends = ("\n", "\r\n", "\r", "\r\n\r\n", "\n")
    content = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode() + b"\xff\xfe\n"
    found = collected(stack, "flow-logs", write(stack, mark, content, "log"))
    assert found.bodies == lines
    assert [event["action"] for event in found.events] == ["network.flow"] * 5
    assert found.letters == [(7, "is not UTF-8")]


def test_json_lines_of_mixed_ends_keep_their_texts(stack: RunningStack, mark: str) -> None:
    texts = text_of(1, 2, 3, 4)
    content = "".join(text + end for text, end in zip(texts, ("\r\n", "\n", "\r", "\n\r\n"), strict=True)).encode()
    found = collected(stack, "cloudtrail", write(stack, mark, content, "jsonl"))
    assert (found.code, found.bodies, found.letters) == (0, texts, [])


def test_a_gzip_that_is_cut_in_the_middle_gives_what_is_whole(stack: RunningStack, mark: str) -> None:
    texts = text_of(*range(2000))
    packed = gzip.compress(log_file(*texts), mtime=0)
    found = collected(stack, "cloudtrail", write(stack, mark, packed[: len(packed) // 2], "json.gz"))
    assert found.code == 1
    assert 0 < len(found.bodies) < len(texts)
    assert found.bodies == texts[: len(found.bodies)]
    ((line, reason),) = found.letters
    assert line == 1
    assert "the gzip stream ends early" in reason


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_with_its_mark_is_read_and_noted(stack: RunningStack, mark: str, encoding: str) -> None:
    place = record(1, requestParameters={"key": "東京\N{SATELLITE}"})
    texts = [json.dumps(place, ensure_ascii=False), *text_of(2)]
    content = ("\ufeff" + "\r\n".join(texts)).encode(encoding)
    found = collected(stack, "cloudtrail", write(stack, mark, content, "jsonl"))
    assert (found.code, found.bodies, found.letters) == (0, texts, [])
    assert {event["attributes"]["onshore.source.encoding"] for event in found.events} == {encoding}


@pytest.mark.parametrize("kind", ["cloudtrail", "flow-logs"])
def test_a_line_of_50_mb_is_told_in_bounded_memory_and_the_others_are_read(
    stack: RunningStack, mark: str, tmp_path: Path, kind: str
) -> None:
    first, second = text_of(1, 2) if kind == "cloudtrail" else (FLOW, FLOW.replace("eni-1", "eni-2"))
    path = tmp_path / f"{mark}.log"
    with path.open("w") as file:
        file.write(first + "\n")
        file.write('{"eventVersion":"1.08","a":"' if kind == "cloudtrail" else "2 ")
        for _ in range(50):
            file.write("x" * 1_000_000)
        file.write(('"}' if kind == "cloudtrail" else "") + "\n" + second + "\n")
    found = collected(stack, kind, path)
    path.unlink()
    assert found.bodies == [first, second]
    ((line, reason),) = found.letters
    assert line == 2
    assert "longer than 8 MiB" in reason
    assert "50,000,0" in reason
    assert 0 < found.peak_bytes < MOST_RESIDENT_BYTES


def test_parquet_that_is_damaged_or_cut_is_told_and_its_whole_rows_are_read(stack: RunningStack, mark: str) -> None:
    numbers = list(range(30))
    table = pa.table({"version": [2] * 30, "srcaddr": [f"10.0.0.{number}" for number in numbers], "bytes": numbers})
    path = stack.folder / f"{mark}.parquet"
    parquet.write_table(table, path, compression="gzip", row_group_size=10)
    about = parquet.ParquetFile(path).metadata.row_group(1).column(1)
    content = bytearray(path.read_bytes())
    begin = about.dictionary_page_offset
    content[begin : begin + about.total_compressed_size] = bytes(about.total_compressed_size)
    path.write_bytes(content)
    found = collected(stack, "flow-logs", path)
    assert found.code == 1
    assert [event["bytes"] for event in found.events] == [*range(10), *range(20, 30)]
    ((line, reason),) = found.letters
    assert line == 11
    assert reason.startswith("rows 11 to 20 of the Parquet file cannot be read")
    cut = collected(stack, "flow-logs", write(stack, f"{mark}-cut", bytes(content[:-30]), "parquet"))
    assert (cut.code, cut.events) == (1, [])
    assert cut.letters[0][1].startswith("is no whole Parquet file")


def test_odd_records_of_one_file_are_read_each_on_its_own_terms(stack: RunningStack, mark: str) -> None:
    about = {"eventSource": "s3.amazonaws.com"}
    moved = {"bytesTransferredOut": 375}
    records = [
        record(1, **about, awsRegion="eu-central-1", recipientAccountId="111122223333", additionalEventData=moved),
        record(2, **about, awsRegion="us-east-1", recipientAccountId="444455556666", additionalEventData=moved),
        record(3, **about, awsRegion="eu-central-1", additionalEventData={"bytesTransferredOut": "375"}),
        record(4, **about, eventVersion="3.0", awsRegion="us-east-1", placement={"orbit": ["leo-1"]}),
        record(5, **about, awsRegion="eu-central-1", additionalEventData={"bytesTransferredOut": "many"}),
    ]
    texts = [json.dumps(each) for each in records]
    found = collected(stack, "cloudtrail", write(stack, mark, log_file(*texts)))
    assert (found.code, found.bodies, found.letters) == (0, texts, [])
    regions = [event["destination_region"] for event in found.events]
    assert regions == ["eu-central-1", "us-east-1", "eu-central-1", "us-east-1", "eu-central-1"]
    assert [event["destination_account"] for event in found.events[:2]] == ["111122223333", "444455556666"]
    assert [event["bytes"] for event in found.events] == [375, 375, 375, None, None]
    assert {event["action"] for event in found.events} == {"data.read"}
    noted = [event["attributes"].get("onshore.source.oddities") for event in found.events]
    as_text = "bytesTransferredOut as text"
    assert noted == [None, None, as_text, "eventVersion 3.0", as_text]
