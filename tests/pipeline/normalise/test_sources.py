"""Every source format against its samples: the events as checked by hand, and what becomes of every field."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from onshore_pipeline.normalise.shapes import SHAPES
from sample_messages import OTLP
from source_samples import changes, events_of, fidelity_of, formats, golden_events, samples_of

FORMATS = formats()
each_format = pytest.mark.parametrize("source_format", FORMATS)


def listed(said: dict[str, Any], what: str) -> set[str]:
    names = said.get(what, ())
    return {names} if isinstance(names, str) else set(names)


def test_every_format_has_samples() -> None:
    assert {*(shape.format for shape in SHAPES), *OTLP} == set(FORMATS)


def test_every_format_says_what_it_proves() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sources.md").read_text(encoding="utf-8")
    tables = page.partition("## Infrastructure")[2]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in tables.splitlines() if line[:2] == "| "]
    told = {name for source, *_ in rows for name in re.findall("`([^`]+)`", source)}
    assert set(FORMATS) <= told
    assert all(len(row) == 4 and all(row) for row in rows)
    ways = " ".join(row[1] for row in rows)
    assert all(f"`onshore collect {name}`" in ways for name in ("host", "gpu", "sockets"))


@each_format
def test_samples_become_the_events_that_were_checked(source_format: str) -> None:
    samples = samples_of(source_format)
    for sample, event, golden in zip(
        samples, events_of(samples, source_format), golden_events(source_format), strict=True
    ):
        assert event == golden, sample.about


@each_format
def test_a_sample_alone_is_the_event_that_it_is_among_others(source_format: str) -> None:
    samples = samples_of(source_format)
    together = events_of(samples, source_format)
    assert [event for sample in samples for event in events_of([sample], source_format)] == together


@each_format
def test_every_field_becomes_what_is_said_of_it(source_format: str) -> None:
    fidelity = fidelity_of(source_format)
    found = changes(source_format, fidelity)
    assert sorted(found) == sorted(fidelity.paths), "fields of the samples, and fields that are spoken of"
    for path, (columns, attributes) in found.items():
        said = fidelity.paths[path]
        assert ("raw" in said) == (not columns and not attributes), (path, columns, attributes)
        assert said.get("raw", "why") not in ("", "WHY", None), path
        assert listed(said, "column") == columns, path
        assert listed(said, "attribute") == attributes, path
