from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from onshore_pipeline.domain.event import DOMAINS, OUTCOMES
from onshore_pipeline.normalise import onshore_attributes

PUBLISHED = Path(__file__).parents[3] / "docs" / "semantic-conventions.yaml"


@pytest.fixture(scope="module")
def published() -> dict[str, Any]:
    (group,) = YAML(typ="safe", pure=True).load(PUBLISHED)["groups"]
    return {attribute["id"]: attribute for attribute in group["attributes"]}


def members(attribute: dict[str, Any]) -> set[str]:
    return {member["value"] for member in attribute["type"]["members"]}


def test_exactly_the_attributes_that_are_read_are_published(published: dict[str, Any]) -> None:
    assert set(published) == set(onshore_attributes.KEYS)


def test_every_published_attribute_says_what_it_is(published: dict[str, Any]) -> None:
    for name, attribute in published.items():
        assert attribute["brief"], name
        assert attribute["examples"], name
        assert attribute["stability"] == "development", name


def test_the_published_types_are_those_that_are_read(published: dict[str, Any]) -> None:
    counts = {*onshore_attributes.COUNTS.values(), "onshore.collector.sequence"}
    expected = {
        **dict.fromkeys(counts, "int"),
        **dict.fromkeys(onshore_attributes.FLAGS.values(), "boolean"),
        **dict.fromkeys(onshore_attributes.LISTS.values(), "string[]"),
    }
    enumerated = {"onshore.domain", "onshore.outcome", "onshore.actor.type"}
    for name, attribute in published.items():
        if name not in enumerated:
            assert attribute["type"] == expected.get(name, "string"), name


def test_the_published_enumerations_are_those_of_the_event(published: dict[str, Any]) -> None:
    assert members(published["onshore.domain"]) == set(DOMAINS)
    assert members(published["onshore.outcome"]) == set(OUTCOMES)
