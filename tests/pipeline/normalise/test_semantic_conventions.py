from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from onshore_collectors.files import reading
from onshore_pipeline import coverage_facts, coverage_names
from onshore_pipeline.domain import unreadable
from onshore_pipeline.domain.event import DOMAINS, OUTCOMES
from onshore_pipeline.normalise import onshore_attributes, source_fields

ROOT = Path(__file__).parents[3]
PUBLISHED = ROOT / "docs" / "semantic-conventions.yaml"
WHOLE_NUMBERS = {unreadable.LINE, unreadable.POSITION, unreadable.BYTES}
# What readers, exporters and normalisers say about how records came here.
COLLECTING = {
    unreadable.REASON,
    *WHOLE_NUMBERS,
    reading.ENCODING,
    coverage_names.LOSSES,
    source_fields.ODDITIES,
    coverage_names.RUN,
    *coverage_facts._STATED,
}
# Names of the same form that are none of an attribute: of instrumentation scopes, and of the demo's own.
NO_ATTRIBUTES = re.compile(r"onshore\.(collectors|demo)\..*")

Attributes = dict[str, Any]


@pytest.fixture(scope="module")
def groups() -> dict[str, Attributes]:
    """Attributes by group and id."""
    found = YAML(typ="safe", pure=True).load(PUBLISHED)["groups"]
    return {group["id"]: {attribute["id"]: attribute for attribute in group["attributes"]} for group in found}


@pytest.fixture(scope="module")
def published(groups: dict[str, Attributes]) -> Attributes:
    """Those that a sender of events may use."""
    return groups["registry.onshore"]


@pytest.fixture(scope="module")
def collecting(groups: dict[str, Attributes]) -> Attributes:
    """Those that say how a record came here."""
    return groups["registry.onshore.collecting"]


def members(attribute: dict[str, Any]) -> set[str]:
    return {member["value"] for member in attribute["type"]["members"]}


def test_exactly_the_attributes_that_are_read_are_published(published: Attributes, collecting: Attributes) -> None:
    assert set(published) == set(onshore_attributes.KEYS)
    assert set(collecting) == COLLECTING


def test_no_attribute_of_ours_is_written_anywhere_that_is_not_published(groups: dict[str, Attributes]) -> None:
    sources = [path for part in ("collectors", "pipeline", "dashboard") for path in (ROOT / part).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r'"(onshore(?:\.[a-z_]+){2,})"', path.read_text())}
    assert len(named) > len(COLLECTING)
    known = {name for attributes in groups.values() for name in attributes}
    assert {name for name in named - known if not NO_ATTRIBUTES.fullmatch(name)} == set()


def test_every_published_attribute_says_what_it_is(groups: dict[str, Attributes]) -> None:
    for attributes in groups.values():
        for name, attribute in attributes.items():
            assert attribute["brief"], name
            assert attribute["examples"], name
            assert attribute["stability"] == "development", name


def test_the_published_types_are_those_that_are_read(published: Attributes, collecting: Attributes) -> None:
    counts = {*onshore_attributes.COUNTS.values(), "onshore.collector.sequence", *WHOLE_NUMBERS}
    expected = {
        **dict.fromkeys(counts, "int"),
        **dict.fromkeys(onshore_attributes.FLAGS.values(), "boolean"),
        **dict.fromkeys(onshore_attributes.LISTS.values(), "string[]"),
    }
    enumerated = {"onshore.domain", "onshore.outcome", "onshore.actor.type"}
    for name, attribute in (published | collecting).items():
        if name not in enumerated:
            assert attribute["type"] == expected.get(name, "string"), name


def test_the_published_enumerations_are_those_of_the_event(published: Attributes) -> None:
    assert members(published["onshore.domain"]) == set(DOMAINS)
    assert members(published["onshore.outcome"]) == set(OUTCOMES)
