"""The user's registries: what may stand in a file, from when a row counts, and what was known when."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import polars as pl
import pytest
from ruamel.yaml import YAML

from onshore_pipeline.context import load
from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.json_schema import ALL, schema, schema_of
from onshore_pipeline.context.owners import operators
from onshore_pipeline.context.shipped import shipped_countries
from onshore_pipeline.errors import ContextError

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[..., Path]

KEY = "A" * 43
# A good file of every registry, in YAML.
GOOD = {
    "addresses": "- {network: 10.0.0.0/8, country: AU, entity: Acme}",
    "approvals": "- {approval: CR-1, approved_by: Kim, actor: pat, action: admin.session, valid_to: 2026-12-31}",
    "attestors": f"- {{attestor: Notary, public_key: {KEY}, countries: [AU, NZ]}}",
    "cloud_regions": "- {provider: acme, region: south-1, country: NO}",
    "collectors": "- {collector: syd-1/host, host: gpu-1.acme.example, country: AU}",
    "datasets": "- {dataset: patients, categories: [personal, health], home: [AU]}",
    "entities": "- {name: Acme, country: AU, control_country: SG, valid_from: 2026-01-01}",
    "facilities": "- {facility: SYD1, country: AU, entity: Acme}",
    "hosts": "- {host_pattern: '*.acme.example', entity: Acme, countries: [AU, NZ]}",
    "keys": "- {key: k-1, custodian: Acme, country: AU}",
    "model_endpoints": "- {host_pattern: llm.acme.example, operator: Acme, operator_parent_country: AU, country: AU}",
    "models": "- {model: acme-1, digest: 'sha256:1', weights: ['s3://acme/1/', 'gs://acme/1'], categories: none}",
    "operators": "- {asn: 64500, operator: Acme, parent_country: AU}",
    "people": "- {person: pat, employer: Acme, country: AU, nationality: NZ}",
    "tenants": "- {tenant: acme, home: [AU]}",
    "transfer_bases": "- {basis: contract, source: AU, destination: JP, category: personal}",
}


def refusal(directory: Path) -> ContextError:
    with pytest.raises(ContextError) as caught:
        load(directory)
    return caught.value


def as_csv(text: str) -> str:
    """The same rows as CSV."""
    rows = YAML(typ="safe", pure=True).load(text)
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = [[row.get(column, "") for column in columns] for row in rows]
    lines = [[" ".join(cell) if isinstance(cell, list) else str(cell) for cell in row] for row in cells]
    return "\n".join(",".join(line) for line in [columns, *lines]) + "\n"


def test_every_registry_has_a_good_file_here() -> None:
    assert set(GOOD) == set(REGISTRIES)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_registry_says_the_same_in_yaml_and_in_csv(write: Write, tmp_path: Path, name: str) -> None:
    as_yaml = load(write(**{f"{name}.yaml": GOOD[name] + "\n"}))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / f"{name}.csv").write_text(as_csv(GOOD[name]), encoding="utf-8")
    as_table = load(tmp_path / "other")
    for what in ("facilities", "entities", "operators", "regions", "own_networks"):
        assert getattr(as_yaml, what).equals(getattr(as_table, what)), what
    for what in ("datasets", "models_by_name", "models_by_digest", "weights", "keys", "people", "tenants"):
        one, other = getattr(as_yaml.registered, what), getattr(as_table.registered, what)
        assert (one is None) == (other is None)
        assert one is None or one.equals(other), what
    assert as_yaml.registered.attestors == as_table.registered.attestors
    for what in ("approvals", "transfer_bases"):
        one, other = getattr(as_yaml.registered, what), getattr(as_table.registered, what)
        assert (one and one.rules) == (other and other.rules), what


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_good_file_keeps_to_the_published_schema(name: str) -> None:
    rows = YAML(typ="safe", pure=True).load(GOOD[name])
    plain = json.loads(json.dumps(rows, default=str))
    assert list(jsonschema.Draft202012Validator(schema_of(REGISTRIES[name])).iter_errors(plain)) == []


def test_the_schemas_are_valid_and_refuse_a_column_that_is_none() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    for name, registry in ALL.items():
        jsonschema.Draft202012Validator.check_schema(schema_of(registry))
        row: dict[str, Any] = {"no such column": "x"}
        assert not jsonschema.Draft202012Validator(schema_of(registry)).is_valid([row]), name


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_registry_refuses_a_column_that_it_does_not_have(write: Write, name: str) -> None:
    error = refusal(write(**{f"{name}.yaml": "# comment\n- colour: red\n"}))
    assert (error.line, Path(error.file).name) == (2, f"{name}.yaml")
    assert "unknown column 'colour'" in error.why


@pytest.mark.parametrize("name", sorted(GOOD))
def test_a_row_without_what_names_it_is_refused_with_its_line(write: Write, name: str) -> None:
    error = refusal(write(**{f"{name}.yaml": "- note: nothing else\n"}))
    assert error.line == 1
    assert f"column '{REGISTRIES[name].required[0]}' is empty" in error.why


@pytest.mark.parametrize(
    ("name", "text", "line", "why"),
    [
        ("keys.yaml", "key: k-1\n", 1, "no list of rows"),
        ("keys.yaml", "- k-1\n", 1, "is no row"),
        ("keys.yaml", "- key: k-1\n  key: k-2\n", 2, "appears twice"),
        ("keys.yaml", "- key: [k-1\n", 2, "not YAML"),
        ("keys.yaml", "- {key: k-1}\n- key: &k k-2\n", 2, "anchors and aliases have no place"),
        ("keys.yaml", "- {key: k-1}\n- &row {key: k-2}\n", 2, "anchors and aliases have no place"),
        ("keys.yaml", "- {key: k-1}\n- !!map {key: k-2}\n", 2, "tags have no place"),
        ("keys.yaml", "- key: k-1\n  custodian: \x00\n", 2, "not YAML: the character #x0000"),
        ("keys.yaml", "- key: k-1\n  country: Atlantis\n", 2, "'Atlantis' is no country"),
        ("keys.yaml", "- key: k-1\n- key: K-1\n", 2, "another row for the same time"),
        ("keys.yaml", "- key: {a: b}\n", 1, "must be one value"),
        ("datasets.yaml", "- dataset: a\n  categories:\n", 2, "write none if there is none"),
        ("datasets.yaml", "- dataset: a\n  categories: [none, health]\n", 2, "none beside others"),
        ("datasets.yaml", "- dataset: a\n  categories: ['a;b']\n", 2, "which no item may"),
        ("datasets.csv", "dataset,categories,home\na,none,AU EU\n", 2, "'EU' is no country"),
        ("tenants.yaml", "- tenant: a\n  home: [none, AU]\n", 2, "none beside countries"),
        ("people.yaml", "- person: a\n  valid_from: 1/2/2026\n", 2, "is no date"),
        ("people.yaml", "- person: a\n  valid_from: 2026-02-01\n  valid_to: 2026-01-01\n", 3, "lies before"),
        ("people.yaml", "- person: a\n  known_from: soon\n", 2, "is no time"),
        ("attestors.yaml", "- attestor: a\n  public_key: '???'\n", 2, "base64"),
        ("attestors.yaml", "- attestor: a\n  public_key: AAAA\n", 2, "holds 3 bytes"),
        ("hosts.yaml", "- host_pattern: a.example\n  reroutes: perhaps\n", 2, "must be yes or no"),
        ("models.yaml", "- model: a\n  weights: acme/1/\n", 2, "no place of objects; write s3://BUCKET/FOLDER/"),
        ("models.yaml", "- model: a\n  weights:\n  - https://acme.example/1\n", 2, "no place of objects"),
        ("models.csv", "model,weights\na,s3://acme/1/ s3://acme/2/*\n", 2, "all below it is meant"),
        (
            "models.yaml",
            "- {model: a, weights: s3://acme/1, home: AU}\n- model: b\n  weights: s3://acme/1/\n",
            3,
            "holds the weights of 'a', too",
        ),
        ("secrets.yaml", "- a: b\n", None, "no registry has this name"),
    ],
)
def test_what_a_registry_may_not_hold_is_named_with_file_and_line(
    write: Write, name: str, text: str, line: int | None, why: str
) -> None:
    error = refusal(write(**{name: text}))
    assert Path(error.file).name == name
    assert why in error.why
    assert error.line == line


def test_where_an_alias_stands_is_named_to_the_column(write: Write) -> None:
    error = refusal(write(**{"keys.yaml": "- &row {key: k-1}\n- *row\n"}))
    assert (error.line, error.column) == (1, 3)


def test_norway_is_no_false_in_yaml(write: Write) -> None:
    assert load(write(**{"facilities.yaml": "- facility: OSL1\n  country: NO\n"})).facilities.rows() == [
        ("osl1", "NO", None)
    ]


def test_one_registry_in_two_files_is_an_error(write: Write) -> None:
    error = refusal(write(**{"keys.yaml": GOOD["keys"], "keys.csv": "key\nk-2\n"}))
    assert "keep one of the two" in error.why


def test_the_register_of_expected_sources_may_lie_beside_the_registries(write: Write) -> None:
    load(write(**{"expected_sources.yaml": "- source: x\n", "keys.yaml": GOOD["keys"]}))


def test_a_row_that_is_known_later_takes_over_the_days_that_it_speaks_about(write: Write) -> None:
    directory = write(
        **{
            "people.yaml": "- {person: pat, country: AU}\n"
            "- {person: pat, country: JP, valid_from: 2026-03-01, valid_to: 2026-03-31, known_from: 2026-05-01}\n"
        }
    )
    people = load(directory).registered.people
    assert people is not None
    assert people.sort("first").select("country", "first", "last").rows() == [
        ("AU", date.min, date(2026, 2, 28)),
        ("JP", date(2026, 3, 1), date(2026, 3, 31)),
        ("AU", date(2026, 4, 1), date.max),
    ]


def test_weights_that_a_model_no_longer_has_are_not_its_own_by_digest_either(write: Write) -> None:
    directory = write(
        **{
            "models.yaml": """
            - {model: acme-1, digest: 'sha256:old', home: AU, known_from: 2026-01-01}
            - {model: acme-1, digest: 'sha256:new', home: AU, valid_from: 2026-06-01, known_from: 2026-06-01}
            - {model: acme-2, digest: 'sha256:wrong', home: AU, known_from: 2026-01-01}
            - {model: acme-2, digest: 'sha256:right', home: AU, known_from: 2026-02-01}
            """
        }
    )
    by_digest = load(directory).registered.models_by_digest
    assert by_digest is not None
    assert set(by_digest.select("digest", "first", "last").rows()) == {
        ("sha256:old", date.min, date(2026, 5, 31)),
        ("sha256:new", date(2026, 6, 1), date.max),
        ("sha256:right", date.min, date.max),
    }


def test_what_was_known_later_is_left_out_and_the_digest_says_so(write: Write) -> None:
    directory = write(
        **{
            "entities.yaml": "- {name: Acme, control_country: AU}\n"
            "- {name: Acme, control_country: US, known_from: '2026-05-01T08:00:00Z'}\n"
        }
    )
    control = {
        moment: load(directory, known_at=moment).entities.filter(entity="acme")["control_country"].to_list()
        for moment in (datetime(2026, 5, 1, 7, tzinfo=UTC), datetime(2026, 5, 1, 8, tzinfo=UTC), None)
    }
    assert list(control.values()) == [["AU"], ["US"], ["US"]]
    assert len({load(directory, known_at=moment).digest for moment in control}) == 3


def test_an_error_that_comes_true_only_on_some_days_is_found_when_the_file_is_read(write: Write) -> None:
    directory = write(
        **{
            "facilities.yaml": "- {facility: SYD1, country: AU, valid_from: 2026-06-01}\n",
            "addresses.yaml": "- network: 10.0.0.0/8\n  facility: SYD1\n",
        }
    )
    error = refusal(directory)
    assert (Path(error.file).name, error.line) == ("addresses.yaml", 2)
    assert "facility 'syd1' is in facilities.yaml for some days only (line 1): date this row likewise" in error.why


def test_ranges_that_are_dated_as_their_facility_is_lie_there(write: Write) -> None:
    days = ("valid_to: 2026-05-31", "valid_from: 2026-06-01")
    facilities = [f"- {{facility: SYD1, country: {at}, {when}}}" for at, when in zip(("AU", "NZ"), days, strict=True)]
    addresses = [f"- {{network: 10.0.0.0/8, facility: SYD1, {when}}}" for when in days]
    context = load(write(**{"facilities.yaml": "\n".join(facilities), "addresses.yaml": "\n".join(addresses)}))
    assert [context.of_epoch(epoch).own_networks["country"].to_list() for epoch in (0, 1)] == [["AU"], ["NZ"]]


def test_a_facility_that_is_nowhere_is_missed_in_the_file_that_is_there(write: Write) -> None:
    files = {
        "facilities.yaml": "- {facility: MEL1, country: AU}\n",
        "addresses.yaml": "- {network: 10.0.0.0/8, facility: SYD1}\n",
    }
    assert "facility 'syd1' is not in facilities.yaml: add it there" in refusal(write(**files)).why


def test_a_network_number_is_the_same_one_with_zeros_in_front(write: Write) -> None:
    text = "".join(
        f"- {{asn: {number}, operator: {name}, parent_country: AU}}\n"
        for number, name in (("015169", "Acme"), ("064500", "Beta"))
    )
    rows = load(write(**{"operators.yaml": text})).operators.filter(pl.col("asn").is_in([15169, 64500]))
    assert sorted(rows.select("asn", "operator").rows()) == [(15169, "Acme"), (64500, "Beta")]
    told = operators({"own/operators.yaml": text.encode()}, ["15169", "64500"], None, shipped_countries())
    assert told == ["AS15169 Acme (AU)", "AS64500 Beta (AU)"]
    twice = text + "- {asn: 64500, operator: Gamma, parent_country: AU}\n"
    assert "'64500' has another row for the same time" in refusal(write(**{"operators.yaml": twice})).why


def test_the_schema_is_published_as_the_program_has_it() -> None:
    published = Path(__file__).parents[3] / "docs" / "schemas" / "context.schema.json"
    assert json.loads(published.read_text(encoding="utf-8")) == schema()
