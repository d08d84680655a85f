"""The published form of vendors' tickets: what it allows is what is read, and what it refuses is still an event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker

from sample_messages import Sample
from source_samples import events_of, samples_of

SCHEMA = json.loads(
    (Path(__file__).parents[3] / "docs" / "schemas" / "vendor-ticket.schema.json").read_text(encoding="utf-8")
)
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=FormatChecker())
REFUSED = {"half a step", "wrong kinds"}


def record(sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sample.body)
    return found


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert all(VALIDATOR.is_valid(example) for example in SCHEMA["examples"])


@pytest.mark.parametrize("sample", samples_of("vendor.ticket"), ids=lambda sample: str(sample.about))
def test_samples_are_what_the_schema_says(sample: Sample) -> None:
    if sample.about not in REFUSED:
        assert list(VALIDATOR.iter_errors(record(sample))) == []


def test_a_step_of_the_wrong_kind_is_refused_by_the_schema_and_still_an_event() -> None:
    (wrong,) = (sample for sample in samples_of("vendor.ticket") if sample.about == "wrong kinds")
    assert not VALIDATOR.is_valid(record(wrong))
    (event,) = events_of([wrong], "vendor.ticket")
    assert event["actor_type"] == "vendor"


@pytest.mark.parametrize("step", SCHEMA["properties"]["step"]["enum"])
def test_every_step_of_the_schema_is_an_action(step: str) -> None:
    body = {"ticket": "1", "vendor": "v", "step": step, "time": "2026-07-10T11:45:00Z"}
    (event,) = events_of([Sample(json.dumps(body))], "vendor.ticket")
    assert event["action"] == {"access.start": "admin.session", "data.send": "data.export"}.get(
        step, step if step.startswith("access.") else "support.ticket"
    )
