"""What the registries say about law and administration, as of the event and by the digest that its log entry names."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline import assembly
from onshore_pipeline.axis_facts import carriers_of, context_of, files_of, stated_of
from onshore_pipeline.domain.axes import Stated, axes_of
from onshore_pipeline.store.reader import Reader

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTITIES = """# version: 7
- {name: Acme Singapore, country: SG, law: [US, SG], valid_from: 2020-01-01}
- {name: Acme Singapore, country: SG, law: [JP], valid_from: 2019-01-01, valid_to: 2019-12-31}
- {name: Guess, country: SG, law: [US], confidence: check}
- {name: Harbour Keys, country: AU, law: [none]}
- {name: Vault Pty, country: AU, control_country: US, valid_from: 2020-01-01}
- {name: Vault Pty, country: AU, control_country: AU, valid_to: 2019-12-31}
"""
OPERATORS = (
    "asn,operator,parent_country,valid_from,valid_to\n64500,Acme Net,MY,2020-01-01,\n64500,Old Net,AU,,2019-12-31\n"
)
FACILITIES = "facility,country,administered_from\nSIN1,SG,IN AU\nMEL1,AU,\n"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    folder = tmp_path_factory.mktemp("axes")
    (folder / "context").mkdir()
    (folder / "context" / "entities.yaml").write_text(ENTITIES)
    (folder / "context" / "facilities.csv").write_text(FACILITIES)
    (folder / "context" / "operators.csv").write_text(OPERATORS)
    with running_pipeline(folder / "data") as running:
        running.settings = running.settings.model_copy(update={"context_dir": folder / "context"})
        running.judgement = assembly.judgement(running.settings)
        yield running


@pytest.fixture(scope="module")
def event(pipeline: Pipeline) -> dict[str, Any]:
    moved = otlp.movement() | {
        "onshore.destination.entity": "acme SINGAPORE", "onshore.destination.facility": "sin1",
        "onshore.source.entity": "Guess", "onshore.source.facility": "MEL1",
    }  # fmt: skip
    pipeline.send("otlp_logs", [otlp.logs([moved])])
    pipeline.work()
    pipeline.sequence()
    columns = "toString(topic_id) AS topic, kafka_partition, kafka_offset, toString(attempt_id) AS attempt, occurred_at"
    parties = "destination_entity, destination_facility, source_entity, source_facility"
    (row,) = reader(pipeline).rows(f"SELECT {columns}, {parties} FROM events_current")
    return row


def reader(pipeline: Pipeline) -> Reader:
    known = json.loads((pipeline.settings.data_dir / "credentials.json").read_text())["reader"]
    return Reader(pipeline.url, known["user"], known["password"])


def digest(pipeline: Pipeline, event: dict[str, Any]) -> str:
    return context_of(
        reader(pipeline), event["topic"], event["kafka_partition"], event["kafka_offset"], event["attempt"]
    )


def test_law_and_administration_follow_from_the_rows_of_the_day(pipeline: Pipeline, event: dict[str, Any]) -> None:
    named = digest(pipeline, event)
    assert named == pipeline.judgement.context.digest
    said = stated_of(reader(pipeline), event, named)
    file = next(each for each in pipeline.judgement.context.sources if each.name == "own/facilities.csv")
    assert said == {
        ("destination", "governing-law reach"): Stated(("SG", "US"), "own/entities.yaml:2", "7"),
        ("destination", "registration"): Stated(("SG",), "own/entities.yaml:2", "7"),
        ("destination", "administration location"): Stated(("AU", "IN"), "own/facilities.csv:2", file.sha256[:12]),
    }
    earlier = stated_of(reader(pipeline), {**event, "occurred_at": "2019-05-01 00:00:00"}, named)
    assert earlier["destination", "governing-law reach"].countries == ("JP",)


def test_what_is_said_to_be_none_or_has_no_row_or_no_digest_adds_nothing(
    pipeline: Pipeline, event: dict[str, Any]
) -> None:
    named = digest(pipeline, event)
    key = {"occurred_at": event["occurred_at"], "key_custodian": "somebody", "actor_entity": "nobody knows"}
    assert stated_of(reader(pipeline), key, named) == {}
    assert stated_of(reader(pipeline), event, "") == {}
    assert stated_of(reader(pipeline), event, "00" * 32) == {}


def test_every_file_that_the_registries_were_made_of_has_a_version(pipeline: Pipeline, event: dict[str, Any]) -> None:
    files = files_of(reader(pipeline), digest(pipeline, event))
    known = {each.name: each.version or each.sha256[:12] for each in pipeline.judgement.context.sources}
    assert files == known
    assert files["own/entities.yaml"] == "7"
    assert files_of(reader(pipeline), "") == {}


def test_what_a_place_and_an_owner_follow_from_is_kept_with_the_event(
    pipeline: Pipeline, event: dict[str, Any]
) -> None:
    told = "SELECT toString(provenance) AS told FROM events_current WHERE kafka_offset = {offset:UInt64}"
    [row] = reader(pipeline).rows(told, {"offset": event["kafka_offset"]})
    assert row["told"] == "source=declared/sent destination=declared+facility/sent"


KEY_PARENT, KEY_REGISTERED = ("key", "ultimate parent's country"), ("key", "registration")


def test_who_controls_a_key_s_custodian_follows_from_the_user_s_rows_of_the_day(
    pipeline: Pipeline, event: dict[str, Any]
) -> None:
    named = digest(pipeline, event)
    key = {"occurred_at": event["occurred_at"], "key_custodian": "VAULT PTY"}
    assert stated_of(reader(pipeline), key, named) == {
        KEY_PARENT: Stated(("US",), "own/entities.yaml:6", "7"),
        KEY_REGISTERED: Stated(("AU",), "own/entities.yaml:6", "7"),
    }
    earlier = stated_of(reader(pipeline), {**key, "occurred_at": "2019-05-01 00:00:00"}, named)
    assert earlier[KEY_PARENT].countries == ("AU",)
    nameless = stated_of(reader(pipeline), {**key, "key_custodian": "Harbour Keys"}, named)
    assert nameless == {KEY_REGISTERED: Stated(("AU",), "own/entities.yaml:5", "7")}


@pytest.mark.parametrize("custodian", ["aws", "AWS", "Amazon.com Inc.", "gcp", "Microsoft", "azure"])
def test_a_cloud_s_key_is_reached_by_the_law_of_who_controls_the_cloud(
    pipeline: Pipeline, event: dict[str, Any], custodian: str
) -> None:
    key = {
        "occurred_at": event["occurred_at"],
        "key_custodian": custodian,
        "key_country": "AU",
        "key_country_basis": "asserted",
    }
    said = stated_of(reader(pipeline), key, digest(pipeline, event))
    assert (said[KEY_PARENT].countries, said[KEY_PARENT].basis) == (("US",), "inferred")
    assert said[KEY_PARENT].source.startswith("reference/")
    axes = {axis.axis: axis for axis in axes_of(key, "c0" * 32, said) if axis.subject == "key"}
    assert axes["ultimate parent's country"].values == ("US",)
    reach = axes["governing-law reach"]
    assert (reach.values, reach.basis, reach.note) == (("AU", "US"), "inferred", "at least these")
    assert said[KEY_PARENT].source in reach.source


def test_a_party_s_owner_is_told_by_the_row_that_says_so(pipeline: Pipeline, event: dict[str, Any]) -> None:
    party = {
        "occurred_at": event["occurred_at"],
        "destination_entity": "AWS",
        "destination_control_country": "US",
        "source_entity": "Vault Pty",
        "source_entity_country": "AU",
        "source_control_country": "CN",  # as another release knew it
    }
    said = stated_of(reader(pipeline), party, digest(pipeline, event))
    told = {(axis.subject, axis.axis): axis for axis in axes_of(party, "c0" * 32, said)}
    parent = told["destination", "ultimate parent's country"]
    version = next(
        each.version for each in pipeline.judgement.context.sources if each.name == "reference/providers.csv"
    )
    assert (parent.values, parent.basis, parent.version) == (("US",), "inferred", version)
    assert parent.source.startswith("reference/providers.csv:")
    assert told["source", "ultimate parent's country"].source == "registries and reference data"
    assert "own/entities.yaml:6" in told["source", "governing-law reach"].source


def test_whose_networks_carried_it_is_told_beside_the_way_and_never_as_where(
    pipeline: Pipeline, event: dict[str, Any]
) -> None:
    named, occurred = digest(pipeline, event), event["occurred_at"]
    told = carriers_of(reader(pipeline), "64500,15169, 4200000001,15169,x", occurred, named)
    assert told == ("AS64500 Acme Net (MY)", "AS15169 Google (US)", "AS4200000001 (of unknown operator)")
    assert carriers_of(reader(pipeline), "64500", "2019-05-01 00:00:00", named) == ("AS64500 Old Net (AU)",)
    assert carriers_of(reader(pipeline), "64500", occurred, "") == ("AS64500 (of unknown operator)",)
    assert carriers_of(reader(pipeline), "", occurred, named) == ()
    way = [axis for axis in axes_of({}, named, carriers=told) if axis.axis == "transit path"]
    assert {axis.values for axis in way} == {()}
    assert {axis.subject for axis in way if axis.note} == {"source", "destination"}
    assert {axis.note for axis in way if axis.note} == {f"carried by {', '.join(told)}"}
