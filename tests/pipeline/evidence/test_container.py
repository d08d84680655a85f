"""The bundle's container as it is written."""

from __future__ import annotations

import ctypes
import os
import zipfile
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.evidence.container import BundleFile, write_container

if TYPE_CHECKING:
    from pathlib import Path

_MIB = 1 << 20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "fallocate64"), reason="only Linux leaves holes in files")
def test_large_files_give_their_disk_back_while_they_are_copied(tmp_path: Path) -> None:
    spooled, kept = tmp_path / "events", tmp_path / "the same file by another name"
    content = os.urandom(_MIB) * 130
    spooled.write_bytes(content)
    os.link(spooled, kept)
    target = tmp_path / "bundle.zip"
    write_container(target, [BundleFile("README.txt", b"first"), BundleFile("events.ndjson", spooled)])
    with zipfile.ZipFile(target) as bundle:
        assert bundle.testzip() is None
        assert bundle.read("events.ndjson") == content
    assert not spooled.exists()
    assert kept.stat().st_size == len(content)
    assert kept.stat().st_blocks * 512 < 4 * _MIB, "two portions of 64 MiB were given back"


def test_a_container_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "bundle.zip"
    with pytest.raises(FileNotFoundError):
        write_container(target, [BundleFile("README.txt", b"first"), BundleFile("events.ndjson", tmp_path / "gone")])
    assert list(tmp_path.iterdir()) == []
