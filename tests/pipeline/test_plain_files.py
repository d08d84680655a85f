"""A pipe in the place of a file that people write is refused, and never waited for."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.context import load
from onshore_pipeline.context.expected_sources import read_register
from onshore_pipeline.context.retention import read_retention
from onshore_pipeline.controls.activations import read_activations
from onshore_pipeline.findings.people_keys import read_people, read_private
from onshore_pipeline.plain_files import NO_FILE, read_plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Reader = Callable[[Path], object]


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("expected_sources.yaml", lambda pipe: read_register(pipe.parent)),
        ("retention.yaml", lambda pipe: read_retention(pipe.parent)),
        ("activations.csv", read_activations),
        ("rina.pem", lambda pipe: read_people(pipe.parent)),
        ("private.pem", read_private),
    ],
    ids=["expected sources", "retention", "activations", "people's keys", "private key"],
)
def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path, name: str, read: Reader) -> None:
    pipe = tmp_path / name
    os.mkfifo(pipe, 0o600)
    with pytest.raises(Exception, match=NO_FILE) as refused:
        read(pipe)
    assert name in str(refused.value)


def test_a_pipe_among_the_registries_is_none_of_them(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "facilities.yaml")
    assert not [each for each in load(tmp_path).sources if each.name.startswith("own/")]


def test_a_file_behind_a_link_is_read_and_no_more_of_it_than_asked_for(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abcdef")
    (tmp_path / "link").symlink_to("file")
    assert read_plain(tmp_path / "link") == b"abcdef"
    assert read_plain(tmp_path / "link", 3) == b"abc"
