from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.locate.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Destinations = Callable[..., list[dict[str, Any]]]
    Events = Callable[..., pl.DataFrame]


@pytest.mark.parametrize(
    ("claim", "entity", "control"),
    [
        ({"asn": 7474}, "Optus", "SG"),
        ({"asn": 1221}, "Telstra", "AU"),
        ({"asn": 7545}, None, None),  # nobody has verified its ownership
        ({"asn": 64500}, None, None),
        ({"provider": "azure"}, "Microsoft", "US"),
        ({"provider": "huawei_cloud"}, "Huawei Cloud", "CN"),
        ({"provider": "azure", "region": "chinaeast2"}, "21Vianet (Azure China)", "CN"),
        ({"provider": "someone"}, None, None),
        ({"entity": "Unheard of"}, "Unheard of", None),
        ({"entity": "Unheard of", "asn": 16509}, "Unheard of", None),  # its network's owner is not its owner
        ({"entity": "aws"}, "aws", "US"),
        ({"entity": "Google LLC"}, "Google LLC", "US"),
        ({"entity": "telstra group"}, "telstra group", "AU"),
        ({"entity": "TPG Internet Pty Ltd"}, "TPG Internet Pty Ltd", None),
        ({"address": "52.62.0.1"}, "AWS", "US"),
    ],
)
def test_ownership_is_known_by_declaration_provider_network_or_not_at_all(
    shipped: Context, destinations: Destinations, claim: dict[str, Any], entity: str | None, control: str | None
) -> None:
    (row,) = destinations(shipped, claim)
    assert (row["entity"], row["control_country"]) == (entity, control)


def test_the_users_registry_says_where_an_organisation_is_and_who_controls_it(
    own: Callable[..., Context], destinations: Destinations
) -> None:
    context = own(**{"entities.csv": "name,country,control_country\nAcme Pty Ltd,AU,SGP\nAWS,,AU\n"})
    acme, aws = destinations(context, {"entity": "ACME PTY LTD"}, {"asn": 16509})
    assert (acme["entity"], acme["entity_country"], acme["control_country"]) == ("ACME PTY LTD", "AU", "SG")
    assert (aws["entity_country"], aws["control_country"]) == (None, "AU")


def test_control_is_as_of_the_event(own: Callable[..., Context], destinations: Destinations) -> None:
    context = own(
        **{
            "entities.csv": "name,control_country,effective_from,effective_to\n"
            "Acme,AU,,2026-03-31\nAcme,US,2026-04-01,\nGone,AU,,2025-12-31\n"
        }
    )
    march, april = datetime(2026, 3, 31, 23, 59, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
    rows = destinations(
        context,
        {"entity": "Acme", "occurred_at": march},
        {"entity": "Acme", "occurred_at": april},
        {"entity": "Acme"},  # no time, no answer
        {"entity": "Gone", "occurred_at": april},
        {"asn": 16509},
    )
    assert [row["control_country"] for row in rows] == ["AU", "US", None, None, "US"]


def test_an_actor_is_not_the_network_it_comes_through(shipped: Context, events: Events) -> None:
    frame = events({"actor_asn": 7474, "actor_address": "52.62.0.1"}, {"actor_employer": "aws"})
    located = locate(frame, shipped)
    assert located.select("actor_entity", "actor_control_country").rows() == [(None, None), ("aws", "US")]
    assert located.get_column("actor_asn").to_list() == [7474, None]


def test_the_key_is_where_the_sender_says_else_where_its_custodian_is(
    own: Callable[..., Context], events: Events
) -> None:
    context = own(**{"entities.csv": "name,country,control_country\nKeysafe,AU,US\n"})
    frame = events(
        {"key_country": "aus", "key_custodian": "Keysafe"},
        {"key_custodian": "keysafe"},
        {"key_country": "EU", "key_custodian": "Unheard of"},
        {"key_custodian": "AWS"},  # who controls it is known, where it is registered is not
        {},
    )
    assert locate(frame, context).select("key_country", "key_country_basis").rows() == [
        ("AU", "asserted"), ("AU", "inferred"), (None, "unknown"), (None, "unknown"), (None, "unknown"),
    ]  # fmt: skip


def test_lists_of_countries_are_whole_or_unknown(shipped: Context, events: Events) -> None:
    lists = [["aus", "NO"], ["AU", "EU"], ["none"], ["None"], ["none", "AU"], []]
    located = locate(events(*({"home_jurisdictions": item, "transit_countries": item} for item in lists)), shipped)
    expected = [["AU", "NO"], [], ["none"], ["none"], [], []]
    assert located.get_column("home_jurisdictions").to_list() == expected
    assert located.get_column("transit_countries").to_list() == expected
    assert located.get_column("transit_basis").to_list() == [
        "asserted", "unknown", "asserted", "asserted", "unknown", "unknown",
    ]  # fmt: skip


def test_a_nationality_is_a_country_code(shipped: Context, events: Events) -> None:
    frame = events({"actor_nationality": "jpn"}, {"actor_nationality": "EUR"}, {})
    assert locate(frame, shipped).get_column("actor_nationality").to_list() == ["JP", None, None]
