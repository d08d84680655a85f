"""`onshore context`, in this process."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from onshore_pipeline.__main__ import app
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from pathlib import Path

TENANTS = """# version: 7
- {tenant: acme, home: [AU, NZ], valid_from: 2026-01-01}
- {tenant: acme, home: [SG], valid_from: 2026-06-01, known_from: 2026-09-01}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ONSHORE_CONTEXT_DIR", str(tmp_path))
    monkeypatch.setenv("ONSHORE_GEOIP_DIR", str(tmp_path / "none"))
    return tmp_path


def said(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["context", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    assert (result.return_value or 0) == code
    return result.stdout


def rows(*arguments: str) -> list[dict[str, Any]]:
    return list(json.loads(said(*arguments, "--json"))["registries"]["tenants"])


def test_every_file_that_cannot_be_used_is_named_with_its_line(folder: Path) -> None:
    (folder / "tenants.yaml").write_text(TENANTS)
    (folder / "datasets.csv").write_text("dataset,categories\na,health\nb,\n")
    (folder / "people.yaml").write_text("- {person: ana, country: Atlantis}\n")
    checked = json.loads(said("validate", str(folder), "--json", code=1))
    assert checked["good"] == {"tenants.yaml": 2}
    assert [(each["file"].rsplit("/", 1)[1], each["line"]) for each in checked["problems"]] == [
        ("datasets.csv", 3),
        ("people.yaml", 1),
    ]


def test_one_file_is_checked_alone_and_a_missing_one_is_an_error(folder: Path) -> None:
    (folder / "tenants.yaml").write_text(TENANTS)
    (folder / "datasets.csv").write_text("nonsense\n")
    assert said("validate", str(folder / "tenants.yaml")) == "good: tenants.yaml 2 rows; 0 problems\n"
    with pytest.raises(OnshoreError, match="does not exist: name a folder"):
        said("validate", str(folder / "nothing.yaml"))


def test_the_registers_that_judge_nothing_are_checked_with_the_others(folder: Path) -> None:
    (folder / "tenants.yaml").write_text(TENANTS)
    (folder / "retention.yaml").write_text("- {keep: 7y, why: records act}\n")
    (folder / "expected_sources.yaml").write_text("- {source: a, tenant: b, heard_every: soon, owner: c, why: d}\n")
    checked = json.loads(said("validate", str(folder), "--json", code=1))
    assert checked["good"] == {"tenants.yaml": 2, "retention.yaml": 1}
    assert "column 'since' is empty" in checked["problems"][0]["why"]
    assert said("validate", str(folder / "retention.yaml")) == "good: retention.yaml 1 row; 0 problems\n"


def test_what_only_all_files_together_get_wrong_is_found(folder: Path) -> None:
    (folder / "tenants.yaml").write_text(TENANTS)
    (folder / "tenants.csv").write_text("tenant,home\nx,AU\n")
    assert json.loads(said("validate", str(folder), "--json", code=1))["problems"][0]["why"].startswith("says the same")


def test_what_is_in_force_is_shown_with_versions_and_digests(folder: Path) -> None:
    assert "No registries of yours: set ONSHORE_CONTEXT_DIR" in said("show")
    (folder / "tenants.yaml").write_text(TENANTS)
    shown = json.loads(said("show", "--json"))
    (own,) = (each for each in shown["sources"] if each["name"] == "own/tenants.yaml")
    assert (own["version"], own["rows"]) == ("7", 2)
    assert shown["digest"] in said("show")


def test_rows_are_as_they_were_true_on_a_day_and_known_at_a_time(folder: Path) -> None:
    (folder / "tenants.yaml").write_text(TENANTS)
    assert rows("as-of", "2025-12-31") == []
    assert [row["home"] for row in rows("as-of", "2026-05-31", "tenants")] == ["AU NZ"]
    assert [row["home"] for row in rows("as-of", "2026-07-01")] == ["SG"]
    assert [(row["home"], row["line"]) for row in rows("as-of", "2026-07-01", "--known", "2026-08-31")] == [
        ("AU NZ", 2)
    ]
    assert "tenants.yaml:3: tenant acme, home SG" in said("show", "tenants")
    with pytest.raises(OnshoreError, match="'July' is no day"):
        said("as-of", "July")


def test_what_ships_is_shown_on_demand_and_marked_by_its_file(folder: Path) -> None:
    (folder / "entities.yaml").write_text("- {name: Acme, country: AU}\n")
    assert "reference/" not in said("show", "entities")
    both = said("show", "entities", "--shipped")
    assert "reference/entities.csv:4: name Sinnet (AWS China), country CN" in both
    assert both.index("reference/entities.csv") < both.index("entities.yaml:1: name Acme")
    told = json.loads(said("show", "entities", "--shipped", "--json"))["registries"]
    assert {row["file"] for row in told["entities"]} == {"reference/entities.csv", "entities.yaml"}
    every = json.loads(said("show", "--shipped", "--json"))["registries"]
    assert {"entities", "operators", "cloud_networks"} <= set(every)


def test_what_ships_and_is_dated_is_shown_on_its_days_only(folder: Path) -> None:
    del folder
    assert "group ASEAN, members BN ID KH LA MM MY PH SG TH TL VN" in said(
        "as-of", "2026-01-01", "country_groups", "--shipped"
    )
    assert "TL VN, effective_from 2025-10-26" not in said("as-of", "2025-10-25", "country_groups", "--shipped")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("operators", "You have no registry operators: docs/registries.md"),
        ("operators", "of it ship with Onshore: --shipped shows them"),
        ("cloud_networks", "cloud_networks is reference data"),
        ("datasets", "You have no registry datasets"),
    ],
)
def test_where_there_is_nothing_of_the_user_s_it_is_said_what_may_stand_there_and_what_ships(
    folder: Path, name: str, why: str
) -> None:
    del folder
    assert why in said("show", name)


def test_the_schema_of_one_registry_or_all_is_printed(folder: Path) -> None:
    del folder
    assert json.loads(said("schema", "tenants"))["title"] == "tenants"
    assert json.loads(said("schema", "retention"))["items"]["required"] == ["keep", "why"]
    assert "$schema" in json.loads(said("schema"))
    with pytest.raises(OnshoreError, match="no registry has the name nonsense; known: addresses"):
        said("schema", "nonsense")
