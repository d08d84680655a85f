from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.pipeline.normalise.conftest import Batch

SYDNEY = {
    "cloud.region": "ap-southeast-2",
    "cloud.provider": "aws",
    "cloud.account.id": "111",
    "host.id": "i-1",
    "host.name": "gw-1",
    "service.name": "gateway",
}
INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5


def place(event: dict[str, Any], party: str) -> tuple[str | None, str | None, str | None]:
    return event[f"{party}_region"], event[f"{party}_provider"], event[f"{party}_account"]


def v4(*octets: int) -> bytes:
    return bytes(10) + b"\xff\xff" + bytes(octets)


@pytest.mark.parametrize("kind", [None, INTERNAL, CLIENT, PRODUCER])
def test_the_resource_of_a_calling_span_is_the_source(batch: Batch, kind: int | None) -> None:
    batch.message(SYDNEY).span({"server.address": "db.example"}, span_kind=kind)
    event = batch.event()
    assert place(event, "source") == ("ap-southeast-2", "aws", "111")
    assert (event["source_id"], event["source_host"]) == ("i-1", "gw-1")
    assert place(event, "destination") == (None, None, None)
    assert event["destination_host"] == "db.example"


def test_the_resource_of_a_serving_span_is_the_destination(batch: Batch) -> None:
    batch.message(SYDNEY).span({"client.address": "198.51.100.7", "network.peer.address": "10.0.0.9"}, span_kind=SERVER)
    event = batch.event()
    assert place(event, "destination") == ("ap-southeast-2", "aws", "111")
    assert place(event, "source") == (None, None, None)
    assert event["source_address"] == v4(198, 51, 100, 7)
    assert event["destination_address"] is None


def test_a_consumer_gets_data_from_the_broker(batch: Batch) -> None:
    event = batch.message(SYDNEY).span({"server.address": "broker-1"}, span_kind=CONSUMER).event()
    assert (event["source_host"], event["destination_region"]) == ("broker-1", "ap-southeast-2")
    assert event["destination_host"] == "gw-1"


def test_a_region_on_the_call_is_the_destinations_and_never_mixed_with_the_resource(batch: Batch) -> None:
    event = batch.message(SYDNEY).span({"cloud.region": "us-east-1"}, span_kind=CLIENT).event()
    assert place(event, "source") == ("ap-southeast-2", "aws", "111")
    assert place(event, "destination") == ("us-east-1", None, None)
    other = batch.message(SYDNEY).span({"cloud.region": "us-east-1"}, span_kind=SERVER).events()[1]
    assert place(other, "destination") == ("us-east-1", None, None)


def test_a_region_on_a_record_that_is_no_call_is_nobodys(batch: Batch) -> None:
    event = batch.message(SYDNEY).log({"cloud.region": "us-east-1"}).event()
    assert event["destination_region"] is None
    assert event["source_region"] == "ap-southeast-2"


def test_the_resource_is_the_source_of_a_declared_event_without_explicit_source(batch: Batch) -> None:
    batch.message(SYDNEY).log({"onshore.action": "data.copy", "onshore.destination.country": "SG"})
    event = batch.event()
    assert place(event, "source") == ("ap-southeast-2", "aws", "111")
    assert event["destination_declared_country"] == "SG"


@pytest.mark.parametrize(
    "explicit",
    [
        {"onshore.source.country": "JP"},
        {"onshore.source.region": "ap-northeast-1"},
        {"onshore.source.facility": "tyo-1"},
        {"client.address": "203.0.113.1"},
    ],
)
def test_an_explicit_source_is_not_mixed_with_the_resource(batch: Batch, explicit: dict[str, str]) -> None:
    event = batch.message(SYDNEY).log({"onshore.action": "data.copy", **explicit}).event()
    assert (event["source_provider"], event["source_account"], event["source_id"]) == (None, None, None)
    assert event["source_region"] == explicit.get("onshore.source.region")


def test_the_resource_may_say_where_its_emitter_is(batch: Batch) -> None:
    batch.message(
        {"onshore.source.country": "MY", "onshore.source.facility": "kul-1", "onshore.source.entity": "straits"}
    )
    event = batch.log({"onshore.action": "data.copy"}).event()
    assert (event["source_declared_country"], event["source_facility"]) == ("MY", "kul-1")
    assert event["source_entity"] == "straits"


def test_a_caller_named_by_a_log_leaves_the_resource_to_nobody(batch: Batch) -> None:
    event = batch.message(SYDNEY).log({"source.address": "203.0.113.1"}).event()
    assert (event["source_region"], event["destination_region"]) == (None, None)


def test_an_own_flow_starts_at_the_resource(batch: Batch) -> None:
    batch.message(SYDNEY).log(
        {"onshore.action": "network.flow", "source.address": "10.0.0.5", "destination.address": "8.8.8.8"}
    )
    event = batch.event()
    assert (event["source_region"], event["source_address"]) == ("ap-southeast-2", v4(10, 0, 0, 5))
    assert event["destination_address"] == v4(8, 8, 8, 8)


def test_name_and_address_of_a_destination_are_both_kept(batch: Batch) -> None:
    batch.span({"server.address": "api.example", "network.peer.address": "192.0.2.1"}, span_kind=CLIENT)
    event = batch.event()
    assert (event["destination_host"], event["destination_address"]) == ("api.example", v4(192, 0, 2, 1))


def test_deprecated_network_names_stand_in(batch: Batch) -> None:
    event = batch.span({"net.peer.name": "old.example", "net.peer.ip": "192.0.2.2"}, span_kind=CLIENT).event()
    assert (event["destination_host"], event["destination_address"]) == ("old.example", v4(192, 0, 2, 2))


@pytest.mark.parametrize("key", ["user.id", "enduser.id", "user.email"])
def test_a_named_user_is_the_actor(batch: Batch, key: str) -> None:
    event = batch.message(SYDNEY).span({key: "aiko"}, span_kind=CLIENT).event()
    assert (event["actor_id"], event["actor_type"], event["actor_region"]) == ("aiko", "user", None)


def test_a_calling_service_without_user_acts_from_where_it_runs(batch: Batch) -> None:
    event = batch.message(SYDNEY).span(span_kind=CLIENT).event()
    assert (event["actor_id"], event["actor_type"]) == ("gateway", "service")
    assert (event["actor_region"], event["actor_provider"], event["actor_account"]) == ("ap-southeast-2", "aws", "111")


def test_a_caller_acts_from_its_address_unless_the_record_says_otherwise(batch: Batch) -> None:
    batch.log({"client.address": "203.0.113.1", "user.id": "aiko"})
    batch.log({"client.address": "203.0.113.1", "user.id": "aiko", "onshore.actor.country": "JP"})
    seen, told = batch.events()
    assert seen["actor_address"] == v4(203, 0, 113, 1)
    assert (told["actor_address"], told["actor_declared_country"]) == (None, "JP")


def test_a_geographic_country_describes_the_party_that_its_prefix_names(batch: Batch) -> None:
    batch.log({"source.geo.country.iso_code": "JP", "destination.geo.country_iso_code": "SG"})
    batch.log({"client.address": "203.0.113.1", "geo.country.iso_code": "MY"})
    batch.log({"geo.country.iso_code": "MY"})
    both, caller, nobody = batch.events()
    assert (both["source_declared_country"], both["destination_declared_country"]) == ("JP", "SG")
    assert caller["source_declared_country"] == "MY"
    assert nobody["source_declared_country"] is None


def test_a_country_on_the_resource_is_the_emitters(batch: Batch) -> None:
    event = batch.message({"geo.country.iso_code": "AU"}).span(span_kind=CLIENT).event()
    assert event["source_declared_country"] == "AU"


@pytest.mark.parametrize(("sent", "stored"), [("oracle_cloud", "oci"), ("GCP", "gcp"), ("firmus", "firmus")])
def test_providers_are_spelled_as_in_the_region_table(batch: Batch, sent: str, stored: str) -> None:
    event = batch.message({"cloud.provider": sent, "cloud.region": "x"}).span(span_kind=CLIENT).event()
    assert event["source_provider"] == stored


def test_no_place_is_claimed_to_be_observed(batch: Batch) -> None:
    event = batch.message(SYDNEY).span(span_kind=CLIENT).event()
    assert not [name for name in event if "observed" in name.split("_")[1:] or name == "sensor"]
