from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.normalise import onshore_attributes

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

UTC = dt.UTC
COUNTED = {"bytes": 1048576, "item_count": 12, "collector_sequence": 7}


def test_every_attribute_reaches_its_column(batch: Batch) -> None:
    texts = {key: f"the {column}" for column, key in onshore_attributes.TEXTS.items()}
    event = batch.log(
        {
            **texts,
            "onshore.domain": "data_movement",
            "onshore.action": "data.export",
            "onshore.outcome": "denied",
            "onshore.actor.type": "vendor",
            "onshore.transfer.basis": "contract",
            "onshore.approval.id": "CHG-1",
            "onshore.approval.by": "m.lim",
            "onshore.approval.expires": "2027-06-30T23:59:59.123456789+10:00",
            "onshore.transit.countries": ["ID", "SG"],
            "onshore.data.categories": ["Personal", "health"],
            "onshore.data.home": "AU, nz",
            "onshore.data.bytes": COUNTED["bytes"],
            "onshore.data.count": COUNTED["item_count"],
            "onshore.encrypted.at_rest": True,
            "onshore.encrypted.in_transit": False,
            "onshore.collector.id": "syd-1/host-17",
            "onshore.collector.sequence": COUNTED["collector_sequence"],
        }
    ).event()
    assert {column: event[column] for column in onshore_attributes.TEXTS} == {
        column: f"the {column}" for column in onshore_attributes.TEXTS
    }
    assert (event["domain"], event["action"], event["outcome"]) == ("data_movement", "data.export", "denied")
    assert (event["actor_type"], event["transfer_basis"]) == ("vendor", "contract")
    assert (event["approval_id"], event["approval_by"]) == ("CHG-1", "m.lim")
    assert event["approval_expires_at"] == dt.datetime(2027, 6, 30, 13, 59, 59, 123456, tzinfo=UTC)
    assert event["transit_countries"] == ["ID", "SG"]
    assert event["categories"] == ["personal", "health"]
    assert event["home_jurisdictions"] == ["AU", "nz"]
    assert {column: event[column] for column in COUNTED} == COUNTED
    assert (event["encrypted_at_rest"], event["encrypted_in_transit"]) == (True, False)
    assert event["collector_id"] == "syd-1/host-17"


@pytest.mark.parametrize("size", ["12kB", -1, 1.5, True, [1], "", "+5", str(2**64)])
def test_a_size_that_is_none_is_unknown_and_its_text_stays(batch: Batch, size: object) -> None:
    normalised = batch.log({"onshore.data.bytes": size, "onshore.action": "data.copy"}).normalised()
    (event,) = normalised.events.to_dicts()
    assert event["bytes"] is None
    assert event["action"] == "data.copy"
    assert "onshore.data.bytes" in normalised.attributes["key"].to_list()


def test_the_largest_size_is_kept(batch: Batch) -> None:
    assert batch.log({"onshore.data.bytes": str(2**64 - 1)}).event()["bytes"] == 2**64 - 1


@pytest.mark.parametrize("value", ["yes", 1, "", [True]])
def test_a_flag_that_is_neither_true_nor_false_is_unknown(batch: Batch, value: object) -> None:
    assert batch.log({"onshore.encrypted.at_rest": value}).event()["encrypted_at_rest"] is None


@pytest.mark.parametrize("stated", [["none"], "None", ["NONE"], "none"])
def test_an_explicit_none_is_a_value(batch: Batch, stated: object) -> None:
    keys = ("onshore.data.categories", "onshore.data.home", "onshore.transit.countries")
    event = batch.log({**dict.fromkeys(keys, stated), "onshore.transfer.basis": "None"}).event()
    assert event["categories"] == event["home_jurisdictions"] == event["transit_countries"] == ["none"]
    assert event["transfer_basis"] == "none"


@pytest.mark.parametrize(
    "stated", [[], "", ",", ["none", "AU"], [1, 2], "[", {"a": 1.5}, {"a": 1, "b": "personal"}, {}, ["", " "]]
)
def test_a_list_that_makes_no_sense_is_unknown(batch: Batch, stated: object) -> None:
    event = batch.log({"onshore.data.home": stated, "onshore.data.categories": stated}).event()
    assert event["home_jurisdictions"] == event["categories"] == []


@pytest.mark.parametrize(
    ("stated", "expected"),
    [("Data_Movement", "data_movement"), ("finance", "model_access"), ("", "model_access")],
)
def test_an_unknown_domain_falls_back_to_the_actions(batch: Batch, stated: str, expected: str) -> None:
    normalised = batch.log({"onshore.domain": stated, "onshore.action": "model.invoke"}).normalised()
    assert normalised.events["domain"].to_list() == [expected]
    assert normalised.attributes.filter(key="onshore.domain")["text"].to_list() == [stated]


@pytest.mark.parametrize(
    ("stated", "expected"), [("SUCCESS", "success"), (" Denied", "denied"), ("ok", "unknown"), ("", "unknown")]
)
def test_an_outcome_is_one_of_four(batch: Batch, stated: str, expected: str) -> None:
    assert batch.log({"onshore.outcome": stated}).event()["outcome"] == expected


def test_an_actor_of_unknown_type_has_no_type_that_a_condition_could_decide_by(batch: Batch) -> None:
    assert batch.log({"onshore.actor.type": "unknown", "onshore.actor.id": "x"}).event()["actor_type"] is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2027-06-30", dt.datetime(2027, 6, 30, tzinfo=UTC)),
        ("2027-06-30T10:00:00", None),
        ("soon", None),
        ("9999-12-31T23:59:59Z", dt.datetime(2262, 4, 11, 23, 47, 16, 854775, tzinfo=UTC)),
    ],
)
def test_an_approval_ends_when_it_says_and_never_wraps_into_the_past(
    batch: Batch, text: str, expected: dt.datetime | None
) -> None:
    assert batch.log({"onshore.approval.expires": text}).event()["approval_expires_at"] == expected


def test_onshore_attributes_win_over_standard_ones(batch: Batch) -> None:
    event = batch.log(
        {"onshore.actor.id": "a", "user.id": "b", "onshore.destination.region": "r1", "cloud.region": "r2"}
    ).event()
    assert (event["actor_id"], event["destination_region"]) == ("a", "r1")


def test_a_collector_may_name_itself_on_its_resource(batch: Batch) -> None:
    batch.message({"onshore.collector.id": "host-1", "onshore.collector.sequence": 5})
    first, second = batch.log().log({"onshore.collector.id": "host-2"}).events()
    assert (first["collector_id"], first["collector_sequence"]) == ("host-1", 5)
    assert second["collector_id"] == "host-2"


def test_what_decoding_notes_does_not_make_a_record_one_of_ours(batch: Batch) -> None:
    event = batch.log({"onshore.wire.trace_id": "00", "cloud.region": "r"}).event()
    assert event["destination_region"] is None
