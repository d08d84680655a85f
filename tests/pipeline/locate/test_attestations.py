"""Signed statements about places: only what a registered attestor signed is attested."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from place_statements import ANOTHER, PUBLIC, statement

if TYPE_CHECKING:
    from collections.abc import Callable

    from onshore_pipeline.context import Context

    Destinations = Callable[..., list[dict[str, Any]]]
    Own = Callable[..., Context]

WHEN = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.fixture
def attestors(own: Own) -> Context:
    return own(**{"attestors.yaml": f"- {{attestor: Notary, public_key: {PUBLIC}, countries: [AU, JP]}}\n"})


def place(context: Context, destinations: Destinations, text: str, **given: Any) -> tuple[str | None, str, list[str]]:
    row = {"host": "gpu-7", "attestation": text, "occurred_at": WHEN, **given}
    (found,) = destinations(context, row)
    return found["country"], found["country_basis"], found["contradictions"]


def test_a_statement_whose_signature_is_verified_is_attested(attestors: Context, destinations: Destinations) -> None:
    assert place(attestors, destinations, statement()) == ("AU", "attested", [])


@pytest.mark.parametrize(
    ("text", "basis"),
    [
        (statement(key=ANOTHER), "asserted"),  # somebody else's key
        (statement({"iss": "Nobody"}), "asserted"),
        (statement({"country": "NZ"}), "asserted"),  # the attestor may not speak for it
        (statement({"exp": WHEN.timestamp() - 1}), "asserted"),
        (statement({"iat": WHEN.timestamp() + 1}), "asserted"),
        (statement()[:-4] + "AAAA", "asserted"),
        (statement(alg="none"), "unknown"),
        (statement(crit=["exp"]), "unknown"),
        (statement({"sub": "gpu-8"}), "unknown"),  # it speaks about something else
        (statement({"country": "Atlantis"}), "unknown"),
        ("a.b.c", "unknown"),
        ("no statement", "unknown"),
        ("é.é.é", "unknown"),
        ("x" * 10_000, "unknown"),
    ],
)
def test_what_is_not_verified_is_never_attested(
    attestors: Context, destinations: Destinations, text: str, basis: str
) -> None:
    country, found, _ = place(attestors, destinations, text)
    assert found == basis
    assert (country is None) == (basis == "unknown")


@pytest.mark.parametrize(("iat", "exp"), [(WHEN.timestamp(), None), (None, WHEN.timestamp()), (None, None)])
def test_a_statement_counts_on_its_bounds(
    attestors: Context, destinations: Destinations, iat: float | None, exp: float | None
) -> None:
    bounds = {name: value for name, value in (("iat", iat), ("exp", exp)) if value is not None}
    assert place(attestors, destinations, statement(bounds))[1] == "attested"


@pytest.mark.parametrize(
    ("subject", "given"),
    [
        ("gpu-7", {"host": "GPU-7"}),
        ("i-1", {"id": "i-1"}),
        ("syd1", {"facility": "SYD1"}),
        ("192.0.2.7", {"address": "192.0.2.7"}),
        ("2001:db8::7", {"address": "2001:db8::7"}),
    ],
)
def test_a_statement_names_a_party_by_id_host_facility_or_address(
    attestors: Context, destinations: Destinations, subject: str, given: dict[str, str]
) -> None:
    found = place(attestors, destinations, statement({"sub": subject}), **{"host": None, **given})
    assert found[:2] == ("AU", "attested")


def test_a_statement_that_contradicts_what_is_declared_leaves_the_place_open(
    attestors: Context, destinations: Destinations
) -> None:
    country, basis, contradictions = place(attestors, destinations, statement(), declared_country="US")
    assert (country, basis) == (None, "asserted")
    assert contradictions == ["destination:attested=AU,declared=US"]


def test_a_statement_counts_only_while_its_attestor_does(own: Own, destinations: Destinations) -> None:
    context = own(
        **{"attestors.yaml": f"- {{attestor: Notary, public_key: {PUBLIC}, valid_to: 2026-05-31}}\n"},
    )
    assert place(context, destinations, statement())[1] == "asserted"
    before = datetime(2026, 5, 31, 23, tzinfo=UTC)
    assert place(context, destinations, statement(), occurred_at=before)[1] == "attested"


def test_an_attestor_of_two_periods_counts_in_both_and_not_between(own: Own, destinations: Destinations) -> None:
    rows = ("valid_to: 2026-03-31", "valid_from: 2026-05-01, countries: [AU]")
    text = "".join(f"- {{attestor: Notary, public_key: {PUBLIC}, {row}}}\n" for row in rows)
    days = [datetime(2026, month, 15, tzinfo=UTC) for month in (3, 4, 6)]
    context = own(**{"attestors.yaml": text})
    found = [place(context, destinations, statement(), occurred_at=day)[1] for day in days]
    assert found == ["attested", "asserted", "attested"]
