"""Profiles that ship, and files of the operator's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.recipient_profile import profile_of
from onshore_pipeline.evidence.redaction import PROFILES

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_adds_to_a_profile_that_ships(tmp_path: Path) -> None:
    file = tmp_path / "oaic.yaml"
    file.write_text("name: oaic\nbase: pseudonymous\nredact: [attributes.note, contradictions]\n")
    found = profile_of(str(file), ["destination_host"])
    assert (found.name, found.pseudonyms) == ("oaic", True)
    assert found.redacted == {*PROFILES["pseudonymous"], "contradictions", "destination_host"}
    assert found.closed_keys == {"attributes": {"note"}}


def test_a_file_opens_what_its_base_closes_and_is_personal_only_where_that_is(tmp_path: Path) -> None:
    file = tmp_path / "oaic.yaml"
    file.write_text("name: oaic\nbase: minimal\nopen: [destination_host]\n")
    found = profile_of(str(file), [])
    assert found.redacted == {*PROFILES["minimal"]} - {"destination_host"}
    assert not found.pseudonyms


def test_the_smallest_profile_has_no_pseudonyms() -> None:
    assert [profile_of(name, []).pseudonyms for name in ("full", "pseudonymous", "minimal")] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("base: full\n", "name must be a text"),
        ("name: x\nredacted: [body]\n", "and nothing else"),
        ("name: x\nredact: body\n", "redact and open lists"),
        ("name: x\nopen: [reason]\n", "open: reason: no field that can be closed"),
        ("name: x\nredact: [body]\nopen: [body]\n", "or closed by redact, too"),
        ("name: x\nbase: most\n", "there are full"),
        ("name: x\nredact: [reason]\n", "stands in the sealed line"),
        ("name: [\n", "no YAML"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, why: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(OnshoreError, match=why):
        profile_of(str(tmp_path / "p.yaml"), [])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OnshoreError, match=r"nobody\.yaml: No such file"):
        profile_of(str(tmp_path / "nobody.yaml"), [])
