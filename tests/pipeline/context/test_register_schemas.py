"""The registers that no event is judged by: one statement of their shape, for editors and for the readers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from onshore_pipeline.context.expected_sources import read_register
from onshore_pipeline.context.json_schema import schema_of
from onshore_pipeline.context.registers import DURATION, KEEP, REGISTERS
from onshore_pipeline.context.retention import read_retention
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable

READERS: Final[dict[str, Callable[[Path], object]]] = {"expected_sources": read_register, "retention": read_retention}
SOURCE: Final = {"source": "a", "tenant": "t", "heard_every": "5m", "since": "2026-11-01", "owner": "o", "why": "w"}
KEPT: Final = {"keep": "7y", "why": "law"}
ROWS: Final = {"expected_sources": SOURCE, "retention": KEPT}


def fits_schema(name: str, row: dict[str, Any]) -> bool:
    return bool(jsonschema.Draft202012Validator(schema_of(REGISTERS[name])).is_valid([row]))


def is_read(folder: Path, name: str, row: dict[str, Any]) -> bool:
    (folder / f"{name}.yaml").write_text(json.dumps([row], ensure_ascii=False), encoding="utf-8")
    try:
        READERS[name](folder)
    except ContextError:
        return False
    return True


def test_the_example_of_each_page_keeps_to_its_schema() -> None:
    for page, name in (("coverage.md", "expected_sources"), ("retention.md", "retention")):
        text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
        block = next(
            each for each in re.findall(r"(?:(?:^    .*)?\n)+", text, re.MULTILINE) if "- " in each and "why:" in each
        )
        rows = YAML(typ="safe", pure=True).load(block.replace("\n    ", "\n"))
        jsonschema.Draft202012Validator(schema_of(REGISTERS[name])).validate(json.loads(json.dumps(rows, default=str)))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("expected_sources", {}),
        ("expected_sources", {"until": None}),
        ("expected_sources", {"until": "2027-01-01T00:00:00+11:00", "late_by": "2h", "clock_within": "30s"}),
        ("expected_sources", {"resource": ["service.name=a*", "host.name=b"]}),
        ("expected_sources", {"resource": ["process.pid=7"]}),
        ("expected_sources", {"resource": ["service.name"]}),
        ("expected_sources", {"heard_every": "15 minutes"}),
        ("expected_sources", {"late_by": "0m"}),
        ("expected_sources", {"since": "yesterday"}),
        ("expected_sources", {"since": "2026-11-01T08:00:00"}),
        ("expected_sources", {"colour": "red"}),
        ("retention", {}),
        ("retention", {"domain": "model_access", "tenant": "a", "classification": "b"}),
        ("retention", {"domain": "everything"}),
        *(("retention", {"keep": keep}) for keep in ("400d", "200y", "201y", "0d", "7", "7 y", "100000d")),
    ],
)
def test_schema_and_reader_agree(tmp_path: Path, name: str, change: dict[str, Any]) -> None:
    row = {**ROWS[name], **change}
    assert fits_schema(name, row) == is_read(tmp_path, name, row)


@pytest.mark.parametrize("name", sorted(REGISTERS))
def test_both_refuse_a_row_that_leaves_out_what_it_must_say(tmp_path: Path, name: str) -> None:
    for field in REGISTERS[name].fields:
        if field.required:
            row = {column: text for column, text in ROWS[name].items() if column != field.name}
            assert not fits_schema(name, row)
            assert not is_read(tmp_path, name, row)
    nobody = {column: text for column, text in SOURCE.items() if column != "tenant"}
    assert not fits_schema("expected_sources", nobody)
    assert not is_read(tmp_path, "expected_sources", nobody)


@given(
    st.one_of(
        st.from_regex(DURATION, fullmatch=True),
        st.from_regex(KEEP, fullmatch=True),
        st.text("0159smhdy", min_size=1, max_size=6),
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_how_long_is_read_as_the_schema_says(tmp_path: Path, text: str) -> None:
    for name, column in (("expected_sources", "late_by"), ("retention", "keep")):
        row = {**ROWS[name], column: text}
        assert fits_schema(name, row) == is_read(tmp_path, name, row)
