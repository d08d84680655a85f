"""What registries say where an event does not; and 'none' where one knows the parties and has no row for them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from onshore_pipeline.locate.locate import locate

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]
    Own = Callable[..., Context]

WHEN = datetime(2026, 6, 1, tzinfo=UTC)
TRANSFER = {
    "domain": "data_movement",
    "action": "data.export",
    "occurred_at": WHEN,
    "source_declared_country": "AU",
    "destination_declared_country": "JP",
    "dataset": "patients",
}


def located(context: Context, events: Events, **row: Any) -> dict[str, Any]:
    (found,) = locate(events({"occurred_at": WHEN, **row}), context).rows(named=True)
    return dict(found)


@pytest.mark.parametrize(
    ("given", "basis"),
    [
        ({}, "contract"),
        ({"destination_declared_country": "CN"}, "none"),  # all parties are known, and no row is about them
        ({"destination_declared_country": None}, None),  # nobody knows where it went
        ({"source_declared_country": None}, None),
        ({"dataset": None}, None),
        ({"dataset": None, "categories": ["health"], "destination_declared_country": "CN"}, "none"),
        ({"transfer_basis": "consent"}, "consent"),  # what the event says stands
        ({"domain": "infrastructure"}, None),  # nothing is transferred
        ({"occurred_at": datetime(2025, 12, 31, tzinfo=UTC)}, "none"),  # the contract began later
    ],
)
def test_a_transfer_basis_is_found_none_or_unknown(
    own: Own, events: Events, given: dict[str, Any], basis: str | None
) -> None:
    context = own(
        **{
            "transfer_bases.yaml": "- {basis: contract, source: AU, destination: JP, dataset: patients, "
            "valid_from: 2026-01-01}\n"
        }
    )
    assert located(context, events, **(TRANSFER | given))["transfer_basis"] == basis


def test_without_a_registry_of_bases_the_basis_stays_unknown(shipped: Context, events: Events) -> None:
    assert located(shipped, events, **TRANSFER)["transfer_basis"] is None


APPROVALS = (
    "- {approval: CR-1, approved_by: Kim, actor: pat, action: admin.session, valid_to: 2026-06-30}\n"
    "- {approval: CR-2, approved_by: Lee, actor: pat, action: admin.session, dataset: patients, valid_to: 2026-06-15}\n"
)


@pytest.mark.parametrize(
    ("given", "approval", "by"),
    [
        ({"actor_id": "PAT", "action": "admin.session"}, "CR-1", "Kim"),
        ({"actor_id": "pat", "action": "admin.session", "dataset": "patients"}, "CR-2", "Lee"),
        ({"actor_id": "kim", "action": "admin.session"}, "none", "none"),
        ({"actor_id": None, "action": "admin.session"}, None, None),
        ({"actor_id": "pat", "action": "data.export"}, "none", "none"),
        ({"actor_id": "Pat", "action": "admin.session", "approval_id": "cr-1"}, "cr-1", "Kim"),
        ({"actor_id": None, "action": "admin.session", "approval_id": "CR-1"}, "CR-1", None),
        ({"actor_id": "lee", "action": "access.approve", "approval_id": "CR-1"}, "CR-1", "Kim"),  # a step of it
        ({"actor_id": "kim", "action": "admin.session", "approval_id": "CR-9"}, "CR-9", None),
    ],
)
def test_an_approval_is_found_none_or_unknown(
    own: Own, events: Events, given: dict[str, Any], approval: str | None, by: str | None
) -> None:
    row = located(own(**{"approvals.yaml": APPROVALS}), events, **given)
    assert (row["approval_id"], row["approval_by"]) == (approval, by)
    ends = {"CR-1": datetime(2026, 7, 1, tzinfo=UTC), "CR-2": datetime(2026, 6, 16, tzinfo=UTC)}
    assert row["approval_expires_at"] == ends.get((approval or "").upper())


@pytest.mark.parametrize(
    "given",
    [
        {"actor_id": "kim", "action": "admin.session"},
        {"actor_id": "pat", "action": "data.export"},
        {"actor_id": None, "action": "data.export"},
        {"actor_id": "pat", "action": "admin.session", "dataset": "weather", "approval_id": "CR-2"},
    ],
)
def test_an_approval_that_was_given_to_another_or_for_something_else_is_none_of_this_event(
    own: Own, events: Events, given: dict[str, Any]
) -> None:
    row = located(own(**{"approvals.yaml": APPROVALS}), events, **({"approval_id": "CR-1"} | given))
    assert (row["approval_by"], row["approval_expires_at"]) == ("none", None)
    assert row["approval_id"] == {"approval_id": "CR-1", **given}["approval_id"]  # what the event says stands
    said = located(own(), events, **({"approval_id": "CR-1", "approval_by": "Lee"} | given))
    assert said["approval_by"] == "Lee"


RENEWED = (
    "- {approval: A1, approved_by: Lee, valid_from: 2026-05-01, valid_to: 2026-06-30}\n"
    "- {approval: A1, approved_by: Kim, valid_to: 2026-03-31}\n"
)


@pytest.mark.parametrize(
    ("day", "by", "ends"),
    [
        (datetime(2026, 6, 1, tzinfo=UTC), "Lee", datetime(2026, 7, 1, tzinfo=UTC)),
        (datetime(2026, 3, 31, 23, tzinfo=UTC), "Kim", datetime(2026, 4, 1, tzinfo=UTC)),
        (datetime(2026, 4, 15, tzinfo=UTC), "Kim", datetime(2026, 4, 1, tzinfo=UTC)),  # it had ended
        (datetime(2026, 8, 1, tzinfo=UTC), "Lee", datetime(2026, 7, 1, tzinfo=UTC)),
        (None, "Kim", datetime(2026, 4, 1, tzinfo=UTC)),
    ],
)
def test_an_approval_that_an_event_names_is_the_one_of_its_day_else_the_last_that_ended(
    own: Own, events: Events, day: datetime | None, by: str, ends: datetime
) -> None:
    row = located(own(**{"approvals.yaml": RENEWED}), events, approval_id="a1", occurred_at=day)
    assert (row["approval_id"], row["approval_by"], row["approval_expires_at"]) == ("a1", by, ends)


def test_an_approval_that_begins_later_says_who_will_give_it(own: Own, events: Events) -> None:
    context = own(**{"approvals.yaml": "- {approval: A1, approved_by: Lee, valid_from: 2026-07-01}\n"})
    row = located(context, events, approval_id="A1")
    assert (row["approval_by"], row["approval_expires_at"]) == ("Lee", None)


@pytest.mark.parametrize(
    "given",
    [
        {"actor_id": "mallory;pat;"},  # several values in one text
        {"actor_id": "pat\x1fadmin.session\x1f"},
        {"actor_id": '"pat"'},
        {"actor_id": 'x", "actor_id": "pat'},
        {"actor_id": "\x00"},  # no way to say that the actor is unknown
    ],
)
def test_no_text_of_an_event_reads_as_another_column_or_as_several_values(
    own: Own, events: Events, given: dict[str, Any]
) -> None:
    row = located(own(**{"approvals.yaml": APPROVALS}), events, **({"action": "admin.session"} | given))
    assert (row["approval_id"], row["approval_by"]) == ("none", "none")


def test_a_category_is_one_value_whatever_it_holds(own: Own, events: Events) -> None:
    context = own(**{"transfer_bases.yaml": "- {basis: contract, source: AU, destination: JP, category: health}\n"})
    transfer = TRANSFER | {"dataset": None}
    found = {
        name: located(context, events, **transfer, categories=[name])["transfer_basis"]
        for name in ("Health", "x;health", "health;", "x\x1fhealth")
    }
    assert found == {"Health": "contract", "x;health": "none", "health;": "none", "x\x1fhealth": "none"}


def test_people_have_an_employer_a_nationality_and_a_place_on_the_day(own: Own, events: Events) -> None:
    context = own(
        **{
            "people.yaml": "- {person: pat, employer: Acme, country: AU, nationality: NZ, valid_to: 2026-05-31}\n"
            "- {person: pat, employer: Bolt, country: JP, nationality: NZ, valid_from: 2026-06-01}\n"
        }
    )
    before = located(context, events, actor_id="Pat", occurred_at=datetime(2026, 5, 31, 23, tzinfo=UTC))
    after = located(context, events, actor_id="Pat")
    named = ("actor_employer", "actor_entity", "actor_country", "actor_nationality")
    assert [before[name] for name in named] == ["Acme", "Acme", "AU", "NZ"]
    assert [after[name] for name in named] == ["Bolt", "Bolt", "JP", "NZ"]


def test_datasets_and_tenants_say_what_data_is_and_where_it_must_stay(own: Own, events: Events) -> None:
    context = own(
        **{
            "datasets.yaml": "- {dataset: patients, categories: [health, personal], "
            "classification: secret, home: [AU]}\n"
            "- {dataset: weather, categories: none}\n",
        }
    )
    patients, weather = (located(context, events, dataset=name) for name in ("Patients", "weather"))
    assert (patients["categories"], patients["classification"]) == (["health", "personal"], "secret")
    assert patients["home_jurisdictions"] == ["AU"]
    assert (weather["categories"], weather["home_jurisdictions"]) == (["none"], [])
    said = located(context, events, dataset="patients", categories=["logs"], home_jurisdictions=["JP"])
    assert (said["categories"], said["home_jurisdictions"]) == (["logs"], ["JP"])


def test_a_key_is_where_its_registry_or_its_own_name_says(own: Own, events: Events) -> None:
    context = own(
        **{
            "keys.yaml": "- {key: k-1, custodian: Acme, country: AU}\n"
            "- {key: 'arn:aws:kms:ap-northeast-1:1:key/2', country: AU}\n"
        }
    )
    keys = ("k-1", "arn:aws:kms:ap-southeast-2:1:key/1", "arn:aws:kms:ap-northeast-1:1:key/2", "k-9")
    rows = [located(context, events, key_id=key) for key in keys]
    assert [(row["key_country"], row["key_country_basis"]) for row in rows] == [
        ("AU", "asserted"),
        ("AU", "asserted"),
        (None, "asserted"),
        (None, "unknown"),
    ]
    assert rows[0]["key_custodian"] == "Acme"
    assert rows[2]["contradictions"] == ["key:registered=AU,resource=ap-northeast-1"]


def test_a_key_in_a_region_of_several_countries_is_asserted_whatever_comes_with_it(
    shipped: Context, events: Events
) -> None:
    several = "projects/p/locations/eur4/keyRings/r/cryptoKeys/k"
    for keys in ([several], [several, "arn:aws:kms:ap-southeast-2:1:key/1"]):
        row = locate(events(*({"key_id": key} for key in keys)), shipped).row(0, named=True)
        assert (row["key_country"], row["key_country_basis"]) == (None, "asserted"), keys


def test_what_is_cut_by_days_holds_on_its_days_and_rows_stay_in_order(own: Own, events: Events) -> None:
    context = own(
        **{
            "facilities.yaml": "- {facility: DC1, country: AU, valid_to: 2026-03-31}\n"
            "- {facility: DC1, country: JP, valid_from: 2026-04-01}\n"
        }
    )
    days = [
        datetime(2026, 5, 1, tzinfo=UTC),
        datetime(2026, 3, 31, 23, tzinfo=UTC),
        None,
        datetime(2026, 4, 1, tzinfo=UTC),
    ]
    frame = events(*({"destination_facility": "dc1", "occurred_at": day} for day in days))
    found = locate(frame, context)
    assert found["destination_country"].to_list() == ["JP", "AU", None, "JP"]
    assert found["row"].to_list() == [0, 1, 2, 3]
    assert locate(frame.clear(), context).is_empty()
