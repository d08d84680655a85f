"""The register of expected sources says who must be heard; every mistake in it has a file and a line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.context.expected_sources import Register, Sender, read_register
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from pathlib import Path

WHOLE = """# version: 2026-11-26
- source: trail of production
  tenant: acme
  collector: syd-*/cloudtrail
  source_format: aws.cloudtrail
  topic: otlp_logs
  resource: [cloud.account.id=123456789012, service.name=*-reader]
  heard_every: 15m
  late_by: 2h
  clock_within: 30s
  since: 2026-11-01
  until: 2027-01-01T00:00:00+11:00
  owner: cloud platform team
  why: who read the buckets of the health records
"""
SENDER = Sender(
    "acme", "syd-1/cloudtrail", "aws.cloudtrail", "otlp_logs",
    '{"cloud.account.id":"123456789012","host.name":"h","service.name":"s3-reader"}',
)  # fmt: skip


def read(folder: Path, text: str) -> Register:
    (folder / "expected_sources.yaml").write_text(text)
    return read_register(folder)


def test_a_whole_row_is_read_with_its_durations_and_times(tmp_path: Path) -> None:
    register = read(tmp_path, WHOLE)
    (source,) = register.sources
    assert (source.name, source.tenant, source.owner) == ("trail of production", "acme", "cloud platform team")
    assert (source.heard_every, source.late_by) == (timedelta(minutes=15), timedelta(hours=2))
    assert source.clock_within == timedelta(seconds=30)
    assert source.since == datetime(2026, 11, 1, tzinfo=UTC)
    assert source.until == datetime(2026, 12, 31, 13, tzinfo=UTC)
    assert register.version == "2026-11-26"


@pytest.mark.parametrize(
    ("change", "recognised"),
    [
        ({}, True),
        ({"tenant": "other"}, False),
        ({"collector": "mel-1/cloudtrail"}, False),
        ({"collector": "syd-1/cloudtrail/2"}, False),
        ({"topic": "otlp_spans"}, False),
        ({"resource": ""}, False),
        ({"resource": '{"cloud.account.id":"123456789012","service.name":"s3"}'}, False),
    ],
)
def test_a_sender_is_recognised_when_everything_fits(
    tmp_path: Path,
    change: dict[str, str],
    recognised: bool,  # noqa: FBT001
) -> None:
    (source,) = read(tmp_path, WHOLE).sources
    fields = {name: getattr(SENDER, name) for name in ("tenant", "collector", "source_format", "topic", "resource")}
    assert source.recognises(Sender(**{**fields, **change})) is recognised


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("heard_every: 15m", "heard_every: 15 minutes", 2, "'heard_every' is written 90s, 15m, 2h or 1d"),
        ("heard_every: 15m", "heard_every: 30s", 2, "a minute (1m) at least"),
        ("heard_every: 15m", "heard: 15m", 8, "unknown column 'heard'"),
        ("since: 2026-11-01", "since: yesterday", 2, "'since' is a day like 2026-11-01"),
        ("since: 2026-11-01", "since: 2026-11-01T08:00:00", 2, "needs a zone"),
        ("since: 2026-11-01", "since: 2028-11-01", 2, "'until' is not after 'since'"),
        ("since: 2026-11-01", "since:", 11, "column 'since' is empty"),
        ("cloud.account.id=123456789012", "process.pid=7", 2, "not recognised by process.pid; known: cloud.account.id"),
        ("cloud.account.id=123456789012", "cloud.account.id", 2, "written [KEY=TEXT, ...]"),
        ("  owner: cloud platform team\n", "", 2, "column 'owner' is empty"),
        ("  tenant: acme\n", "  tenant: acme\n  tenant: b\n", 4, "appears twice"),
        ("- source: trail", "source: trail", 1, ""),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, old: str, new: str, line: int, why: str) -> None:
    assert old in WHOLE
    with pytest.raises(ContextError) as caught:
        read(tmp_path, WHOLE.replace(old, new))
    assert str(caught.value).startswith(f"{tmp_path / 'expected_sources.yaml'}:")
    assert why in str(caught.value)
    if why:
        assert caught.value.line == line


def test_a_name_stands_once_and_something_must_recognise_a_source(tmp_path: Path) -> None:
    with pytest.raises(ContextError, match=r":15: the source 'trail of production' stands in line 2, too"):
        read(tmp_path, WHOLE + WHOLE.split("\n", 1)[1])
    with pytest.raises(ContextError, match="none of tenant, collector, source_format, topic, resource is filled"):
        read(tmp_path, "- {source: a, heard_every: 1m, since: 2026-11-01, owner: o, why: w}\n")


def test_no_folder_and_no_file_expect_nothing(tmp_path: Path) -> None:
    assert read_register(None) == read_register(tmp_path) == Register()
    assert read(tmp_path, "# nothing yet\n").sources == ()
