"""A waiver needs two people with keys of their own, and ends by itself."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from onshore_pipeline.findings import waivers
from onshore_pipeline.findings.life import Deed
from onshore_pipeline.findings.people_keys import KeyUnusable, read_people, read_private, usable_people
from onshore_pipeline.findings.waivers import Waiver, in_force, signed_text, statement_of, waivers_of

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
KEYS = {name: Ed25519PrivateKey.generate() for name in ("rina", "omar", "eve")}
PEOPLE = {name: key.public_key().public_bytes_raw() for name, key in KEYS.items()}
TOLD = {
    "id": "w-1", "tenant": "acme", "control": "AU-APP8-01", "where": {"dataset": "patients"}, "reason": "agreed",
    "proposed_by": "rina", "expires": (NOW + timedelta(days=30)).isoformat(),
}  # fmt: skip
FOUND = {"dataset": "patients", "destination_country": "US"}
_NUMBERS = count()


def deed(
    action: str, who: str, *, signer: str | None = None, signed_as: str | None = None, after_h: float = 0,
    tenant: str = "acme", **changed: object,
) -> Deed:  # fmt: skip
    statement = statement_of(TOLD | changed)
    signature = KEYS[signer or who].sign(signed_text(signed_as or action, statement))
    attributes = {
        waivers.WAIVER_ID: "w-1",
        waivers.STATEMENT: statement,
        waivers.SIGNATURE: base64.b64encode(signature).decode(),
    }
    number = str(next(_NUMBERS))
    return Deed(number, number, tenant, action, who, "", attributes, NOW + timedelta(hours=after_h))


def proposed(**changed: object) -> Deed:
    return deed(waivers.PROPOSE, "rina", **changed)  # type: ignore[arg-type]


def only(*deeds: Deed) -> Waiver:
    (found,) = waivers_of(deeds, PEOPLE)
    return found


def test_it_holds_from_its_approval_until_it_expires() -> None:
    found = only(proposed(), deed(waivers.APPROVE, "omar", after_h=1))
    assert (found.proposed_by, found.approved_by) == ("rina", "omar")
    assert in_force([found], "acme", "AU-APP8-01", FOUND, NOW + timedelta(days=29)) is found
    assert in_force([found], "acme", "AU-APP8-01", FOUND, NOW + timedelta(days=30)) is None
    assert found.state(NOW + timedelta(days=30)) == "expired"


def test_a_proposal_alone_holds_nothing() -> None:
    assert in_force([only(proposed())], "acme", "AU-APP8-01", FOUND, NOW) is None


@pytest.mark.parametrize(
    ("tenant", "control", "fingerprint"),
    [
        ("globex", "AU-APP8-01", FOUND),
        ("acme", "AU-APP8-02", FOUND),
        ("acme", "AU-APP8-01", {"dataset": "orders"}),
        ("acme", "AU-APP8-01", {}),
    ],
)
def test_it_holds_for_nothing_beyond_its_scope(tenant: str, control: str, fingerprint: dict[str, str]) -> None:
    found = only(proposed(), deed(waivers.APPROVE, "omar"))
    assert in_force([found], tenant, control, fingerprint, NOW) is None


@pytest.mark.parametrize(
    ("approval", "why"),
    [
        (deed(waivers.APPROVE, "rina"), "cannot approve"),
        (deed(waivers.APPROVE, "omar", signer="eve"), "the signature is not omar's"),
        (deed(waivers.APPROVE, "omar", signed_as=waivers.PROPOSE), "the signature is not omar's"),
        (deed(waivers.APPROVE, "omar", reason="another"), "another statement was signed"),
        (deed(waivers.APPROVE, "omar", tenant="globex"), "for tenant globex"),
        (deed(waivers.APPROVE, "omar", after_h=31 * 24), "expired already"),
    ],
)
def test_an_approval_that_does_not_count_is_refused_and_kept(approval: Deed, why: str) -> None:
    found = only(proposed(), approval)
    assert found.approved_at is None
    assert why in found.refused[0]
    assert found.refused_ids == (approval.action_id,)


def test_a_person_without_a_registered_key_approves_nothing() -> None:
    without = {name: key for name, key in PEOPLE.items() if name != "omar"}
    (found,) = waivers_of([proposed(), deed(waivers.APPROVE, "omar")], without)
    assert "no public key of omar" in found.refused[0]


def test_one_key_under_two_names_is_one_person() -> None:
    people = PEOPLE | {"omar": PEOPLE["rina"]}
    (found,) = waivers_of([proposed(), deed(waivers.APPROVE, "omar", signer="rina")], people)
    assert (found.approved_at, "who proposed it" in found.refused[0]) == (None, True)


@pytest.mark.parametrize(
    "changed",
    [{"expires": ""}, {"expires": NOW.isoformat()}, {"expires": "2026-12-24"}, {"proposed_by": "omar"}, {"reason": ""},
     {"where": {"dataset": 1}}, {"where": None}, {"tenant": "globex"}, {"id": "w-2"}],
)  # fmt: skip
def test_a_proposal_that_says_too_little_or_something_else_is_none(changed: dict[str, object]) -> None:
    assert waivers_of([proposed(**changed)], PEOPLE) == []


def test_a_proposal_that_somebody_else_signed_is_none() -> None:
    assert waivers_of([deed(waivers.PROPOSE, "rina", signer="eve")], PEOPLE) == []


def test_a_second_proposal_under_the_same_id_changes_nothing() -> None:
    found = only(proposed(), proposed(where={}), deed(waivers.APPROVE, "omar"))
    assert (dict(found.where), found.approved_by) == ({"dataset": "patients"}, "omar")


def test_whoever_revokes_it_ends_it_at_once() -> None:
    found = only(proposed(), deed(waivers.APPROVE, "omar"), deed(waivers.REVOKE, "eve", after_h=1))
    assert (found.state(NOW + timedelta(hours=2)), found.revoked_by) == ("revoked", "eve")
    assert in_force([found], "acme", "AU-APP8-01", FOUND, NOW + timedelta(hours=2)) is None


def test_a_key_that_others_may_read_is_refused_without_being_quoted(tmp_path: Path) -> None:
    file = tmp_path / "rina.key"
    file.write_bytes(KEYS["rina"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    file.chmod(0o644)
    with pytest.raises(KeyUnusable, match="others may read"):
        read_private(file)
    file.chmod(0o600)
    assert read_private(file).public_key().public_bytes_raw() == PEOPLE["rina"]
    file.write_text("secret words")
    with pytest.raises(KeyUnusable) as refused:
        read_private(file)
    assert "secret" not in str(refused.value).replace(str(file), "")
    with pytest.raises(KeyUnusable, match="openssl genpkey"):
        read_private(tmp_path / "missing")


def test_public_keys_are_read_by_person(tmp_path: Path) -> None:
    assert read_people(tmp_path / "none") == {}
    public = KEYS["rina"].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "rina.pem").write_bytes(public)
    assert read_people(tmp_path) == {"rina": PEOPLE["rina"]}
    (tmp_path / "omar.pem").write_text("none")
    with pytest.raises(KeyUnusable, match=r"omar\.pem: no public key in PEM; write one with: openssl pkey"):
        read_people(tmp_path)
    people, [unusable] = usable_people(tmp_path)
    assert people == {"rina": PEOPLE["rina"]}
    assert "omar.pem" in str(unusable)


def test_what_is_signed_is_one_line_of_json_and_names_what_the_signer_does() -> None:
    statement = statement_of({"b": "ü", "a": 1})
    assert (statement, json.loads(statement)) == ('{"a":1,"b":"ü"}', {"a": 1, "b": "ü"})
    assert signed_text(waivers.APPROVE, statement) == 'onshore waiver 1\nwaiver.approve\n{"a":1,"b":"ü"}'.encode()
