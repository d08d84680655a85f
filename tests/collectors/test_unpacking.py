"""Packed files give their bytes, however they are cut into chunks, and say where they end early."""

from __future__ import annotations

import bz2
import gzip
from typing import TYPE_CHECKING

import pytest
import zstandard

from onshore_collectors.files.source_files import SourceFile, find_files
from onshore_collectors.files.unpacking import CutShort, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Pack = Callable[[bytes], bytes]

PACKERS: dict[str, Pack] = {"gzip": gzip.compress, "bzip2": bz2.compress, "zstd": zstandard.compress}
CONTENT = b"".join(b"%d: a record\n" % number for number in range(200_000))  # some mebibytes

packed_by = pytest.mark.parametrize(("name", "pack"), PACKERS.items(), ids=PACKERS)


def chunks(packed: bytes, size: int) -> list[bytes]:
    return [packed[at : at + size] for at in range(0, len(packed), size)]


@packed_by
@pytest.mark.parametrize("size", [700, 1 << 18])
def test_packed_bytes_are_unpacked_in_parts(name: str, pack: Pack, size: int) -> None:
    del name
    parts = list(unpack(iter(chunks(pack(CONTENT), size))))
    assert b"".join(parts) == CONTENT
    assert len(parts) > 1


@packed_by
@pytest.mark.parametrize("size", [1, 1 << 18])
def test_streams_behind_each_other_are_one(name: str, pack: Pack, size: int) -> None:
    del name
    packed = pack(b"one\n") + pack(b"two\n") + pack(b"") + pack(b"three\n")
    assert b"".join(unpack(iter(chunks(packed, size)))) == b"one\ntwo\nthree\n"


@packed_by
@pytest.mark.parametrize("size", [701, 1 << 18])
def test_what_came_before_an_early_end_is_given(name: str, pack: Pack, size: int) -> None:
    packed, given = pack(b"one\n") + pack(CONTENT)[:-20], list[bytes]()
    with pytest.raises(CutShort, match=f"the {name} stream ends early"):
        given.extend(unpack(iter(chunks(packed, size))))
    whole = b"".join(given)
    assert whole.startswith(b"one\n")
    assert CONTENT.startswith(whole[4:])


@packed_by
def test_damage_is_told(name: str, pack: Pack) -> None:
    packed = bytearray(pack(CONTENT))
    packed[len(packed) // 2 :] = bytes(255 - byte for byte in packed[len(packed) // 2 :])
    with pytest.raises(CutShort, match=f"the {name} stream "):
        list(unpack(iter(chunks(bytes(packed), 4096))))


@packed_by
def test_a_few_packed_bytes_do_not_become_much_memory_at_once(name: str, pack: Pack) -> None:
    del name
    most = max(map(len, unpack(iter(chunks(pack(bytes(100 << 20)), 1 << 18)))))
    assert most <= 16 << 20


def test_what_is_not_packed_is_given_as_it_is() -> None:
    assert list(unpack(iter([b"BZ", b"i", b"p"]))) == [b"BZip"]
    assert list(unpack(iter([]))) == [b""]


def test_packed_logs_are_found_in_folders_by_their_names(tmp_path: Path) -> None:
    for suffix, pack in ((".gz", gzip.compress), (".bz2", bz2.compress), (".zst", zstandard.compress)):
        (tmp_path / f"a.json{suffix}").write_bytes(pack(b"{}"))
    (tmp_path / "a.tar.zst").touch()
    found = find_files([str(tmp_path)])
    assert [each.name.rpartition("/")[2] for each in found.files] == ["a.json.bz2", "a.json.gz", "a.json.zst"]
    assert found.ignored == 1
    assert [b"".join(SourceFile(each.name).chunks(lambda _: None)) for each in found.files] == [b"{}"] * 3
