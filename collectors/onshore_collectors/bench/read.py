"""`onshore bench read`: CloudTrail files into requests, a step at a time, beside `json.loads` and `json.dumps`.

Both read the same unpacked bytes in this process, in turn, file by file, round after round; the medians are told. The
other program does less: its records have lost their exact text, and it stops at the first file that is not whole.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from onshore_collectors.bench.trails import packed_files
from onshore_collectors.files.batch import Batch
from onshore_collectors.files.cloudtrail import RULES
from onshore_collectors.files.json_records import read_json
from onshore_collectors.files.pieces import RawRecord
from onshore_collectors.files.unpacking import unpack
from onshore_pipeline.bench.machine import machine
from onshore_pipeline.bench.measured import Laps, an_event, middle
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_collectors.files.pieces import Piece

_A_FILE: Final = 2_000  # records; CloudTrail writes a file every five minutes, or when it has some megabytes
_CHUNK_BYTES: Final = 1 << 18
_STEPS: Final = ("unpack", "parse", "request")
_PROGRAM: Final = ("loads", "dumps")
_ORIGIN: Final = (("log.file.name", "bench.json.gz"),)


def bench_read(records: int, *, alone: bool, rounds: int) -> dict[str, Any]:
    """Measure the steps of reading, ours and the plain program's in turn.

    Args:
        records: in all files together.
        alone: leave the plain program out.
        rounds: how often.

    Raises:
        OnshoreError: a step did not give all records; nothing is told then.
    """
    about = machine()
    files = packed_files(records, _A_FILE)
    ours, theirs, size = list[dict[str, Any]](), list[dict[str, Any]](), 0
    _round(files[:1], records=min(_A_FILE, records), alone=alone)  # warm: first use of each library
    for _ in range(rounds):
        laps, plain, size = _round(files, records=records, alone=alone)
        ours.append(_told(laps, records, _STEPS, "parse"))
        theirs.append(_told(plain, records, _PROGRAM, *_PROGRAM))
    told, other = middle(ours), None if alone else middle(theirs)
    return {
        "bench": "read",
        "records": records,
        "bytes_a_record": round(size / records),
        **told,
        "baseline": other,
        "ratio": None if other is None else {kind: _ratio(other, told, kind) for kind in ("cpu", "wall")},
        "rounds": {"onshore": ours, "baseline": None if alone else theirs},
        "machine": about,
    }


def _round(files: Sequence[bytes], *, records: int, alone: bool) -> tuple[Laps, Laps, int]:
    """Laps of both, and the bytes that were unpacked."""
    laps, plain = Laps(), Laps()
    read = compared = size = 0
    for packed in files:
        laps("between")
        chunks = list(unpack(packed[at : at + _CHUNK_BYTES] for at in range(0, len(packed), _CHUNK_BYTES)))
        laps("unpack")
        pieces = list(read_json(iter(chunks), RULES))
        laps("parse")
        read += sum(1 for _ in _requests(pieces))
        laps("request")
        unpacked = b"".join(chunks)
        size += len(unpacked)
        if not alone:
            compared += _plain(unpacked, plain)
    if read != records or compared != (0 if alone else records):
        raise OnshoreError(f"of {records:,} records {read:,} were read, {compared:,} by the plain program")
    return laps, plain, size


def _requests(pieces: Sequence[Piece]) -> Iterator[RawRecord]:
    """The records, each once it is in a request."""
    batch = Batch({"service.name": "onshore-bench"}, "onshore.bench", "zstd")
    for piece in pieces:
        assert isinstance(piece, RawRecord)
        if not batch.has_room(len(piece.text)):
            batch.payloads()
            batch.clear()
        batch.put(piece, _ORIGIN)
        yield piece
    batch.payloads()


def _plain(unpacked: bytes, laps: Laps) -> int:
    laps("between")
    parsed = json.loads(unpacked)["Records"]
    laps("loads")
    texts = [json.dumps(record) for record in parsed]
    laps("dumps")
    return len(texts)


def _told(laps: Laps, records: int, steps: Sequence[str], *counted: str) -> dict[str, Any]:
    """Of `counted`: µs a record, and records a second of one core; of all `steps`: µs a record."""
    cpu, wall = (sum(spent.get(name, 0.0) for name in counted) for spent in (laps.cpu_s, laps.wall_s))
    return {
        "records_a_cpu_second": round(records / max(cpu, 1e-9)),
        "cpu_us_a_record": an_event(cpu, records),
        "wall_us_a_record": an_event(wall, records),
        "cpu_us_a_record_by_step": {name: an_event(laps.cpu_s.get(name, 0.0), records) for name in steps},
    }


def _ratio(theirs: dict[str, Any], ours: dict[str, Any], kind: str) -> float:
    name = f"{kind}_us_a_record"
    return round(float(theirs[name]) / max(float(ours[name]), 0.01), 2)
