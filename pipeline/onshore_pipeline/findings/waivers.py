"""Waivers: two people agree, with their own keys and until a day, that findings of a kind wait. Pure.

A waiver changes what people are asked to do, and nothing else: no event, verdict or count knows of it. What was signed
is the statement as it was recorded, byte for byte, with the word for what the signer does in front.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from onshore_pipeline.findings.life import moment
from onshore_pipeline.findings.people_keys import is_signed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from onshore_pipeline.findings.life import Deed

PROPOSE, APPROVE, REVOKE = "waiver.propose", "waiver.approve", "waiver.revoke"
WAIVER_ID, STATEMENT, SIGNATURE = "onshore.waiver.id", "onshore.waiver.statement", "onshore.waiver.signature"
_CONTEXT: Final = "onshore waiver 1"
_TEXTS: Final = ("id", "tenant", "control", "reason", "proposed_by", "expires")
# As verify.py reads it, which must say the same of a waiver.
_TIME: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{3}([0-9]{3})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)

WaiverState = Literal["proposed", "approved", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Waiver:
    """One waiver as the log tells it.

    Attributes:
        where: what a finding's fingerprint must have, column by column; empty: every finding of the control.
        statement: what both people signed.
        refused: what was tried with it in vain: who, what, and why not; `refused_ids` are those actions' ids.
    """

    waiver_id: str
    tenant: str
    control: str
    where: Mapping[str, str]
    reason: str
    expires: datetime
    statement: str
    proposed_by: str
    proposed_at: datetime
    approved_by: str = ""
    approved_at: datetime | None = None
    revoked_by: str = ""
    revoked_at: datetime | None = None
    revoked_reason: str = ""
    refused: tuple[str, ...] = ()
    refused_ids: tuple[str, ...] = ()

    def state(self, now: datetime) -> WaiverState:
        """Where it stands."""
        if self.revoked_at is not None:
            return "revoked"
        if now >= self.expires:
            return "expired"
        return "approved" if self.approved_at is not None else "proposed"

    def held(self, at: datetime) -> bool:
        """Whether it was in force at a moment, as is known by now."""
        begun = self.approved_at is not None and self.approved_at <= at
        return begun and at < self.expires and (self.revoked_at is None or at < self.revoked_at)

    def covers(self, tenant: str, control: str, fingerprint: Mapping[str, str]) -> bool:
        """Whether a finding is one of those it is about."""
        return (tenant, control) == (self.tenant, self.control) and all(
            fingerprint.get(column) == value for column, value in self.where.items()
        )


def statement_of(told: Mapping[str, Any]) -> str:
    """What people sign: one line of JSON, names sorted."""
    return json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def signed_text(action: str, statement: str) -> bytes:
    """The bytes under a signature: a proposal's cannot stand for an approval."""
    return f"{_CONTEXT}\n{action}\n{statement}".encode()


def waivers_of(deeds: Iterable[Deed], people: Mapping[str, bytes]) -> list[Waiver]:
    """Every waiver that somebody proposed and signed, in the order of the log.

    Args:
        deeds: actions whose names begin with `waiver.`, in the order of the log.
        people: public keys by person.
    """
    found: dict[str, Waiver] = {}
    for deed in deeds:
        waiver_id = deed.attributes.get(WAIVER_ID, "")
        known = found.get(waiver_id)
        if deed.action == PROPOSE:
            proposed = _proposed(deed, people) if known is None else None
            if proposed is not None:
                found[waiver_id] = proposed
        elif known is not None and deed.action in {APPROVE, REVOKE}:
            refused = refusal(known, deed, people)
            found[waiver_id] = _tried(known, deed, refused) if refused else _done(known, deed)
    return list(found.values())


def _proposed(deed: Deed, people: Mapping[str, bytes]) -> Waiver | None:
    told = parsed(deed.attributes.get(STATEMENT, ""))
    if told is None or signature_refusal(deed, people):
        return None
    expires = moment(told["expires"]) if _TIME.fullmatch(told["expires"]) else None
    same = told["id"] == deed.attributes.get(WAIVER_ID) and told["proposed_by"] == deed.who
    if expires is None or expires <= deed.at or not same or told["tenant"] != deed.tenant:
        return None
    return Waiver(
        told["id"], told["tenant"], told["control"], told["where"], told["reason"], expires,
        deed.attributes[STATEMENT], deed.who, deed.at,
    )  # fmt: skip


def parsed(statement: str) -> dict[str, Any] | None:
    """A statement read; None where it is none."""
    try:
        told = json.loads(statement)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not all(isinstance(told.get(name), str) and told[name] for name in _TEXTS):
        return None
    where = told.get("where")
    is_where = isinstance(where, dict) and all(isinstance(value, str) for value in where.values())
    return told if is_where else None


def signature_refusal(deed: Deed, people: Mapping[str, bytes]) -> str:
    """Why a deed's signature does not count; '' when it does."""
    public = people.get(deed.who)
    if public is None:
        return f"no public key of {deed.who} is registered"
    text = signed_text(deed.action, deed.attributes.get(STATEMENT, ""))
    return "" if is_signed(public, deed.attributes.get(SIGNATURE, ""), text) else f"the signature is not {deed.who}'s"


def refusal(waiver: Waiver, deed: Deed, people: Mapping[str, bytes]) -> str:
    """Why an approval or revocation has no effect; '' when it has one."""
    if deed.tenant != waiver.tenant:
        return f"it was recorded for tenant {deed.tenant}"
    if deed.attributes.get(STATEMENT) != waiver.statement:
        return "another statement was signed"
    return signature_refusal(deed, people) or _untimely(waiver, deed) or _same_person(waiver, deed, people)


def _untimely(waiver: Waiver, deed: Deed) -> str:
    state = waiver.state(deed.at)
    fit = ("proposed", "approved") if deed.action == REVOKE else ("proposed",)
    return "" if state in fit else f"the waiver was {state} already"


def _same_person(waiver: Waiver, deed: Deed, people: Mapping[str, bytes]) -> str:
    if deed.action == REVOKE:
        return ""
    if deed.who == waiver.proposed_by:
        return "who proposed a waiver cannot approve it"
    if people[deed.who] == people.get(waiver.proposed_by):
        return f"{deed.who} signs with the key of {waiver.proposed_by}, who proposed it"
    return ""


def _tried(waiver: Waiver, deed: Deed, why: str) -> Waiver:
    said = f"{deed.at:%Y-%m-%d %H:%M} UTC {deed.action.partition('.')[2]} by {deed.who}: {why}"
    return replace(waiver, refused=(*waiver.refused, said), refused_ids=(*waiver.refused_ids, deed.action_id))


def _done(waiver: Waiver, deed: Deed) -> Waiver:
    if deed.action == APPROVE:
        return replace(waiver, approved_by=deed.who, approved_at=deed.at)
    return replace(waiver, revoked_by=deed.who, revoked_at=deed.at, revoked_reason=deed.reason)


def in_force(
    waivers: Iterable[Waiver], tenant: str, control: str, fingerprint: Mapping[str, str], now: datetime
) -> Waiver | None:
    """The waiver that holds for a finding and ends last; None where none does."""
    holding = [each for each in waivers if each.state(now) == "approved" and each.covers(tenant, control, fingerprint)]
    return max(holding, key=lambda each: each.expires, default=None)
