"""What to send or register so that a column is no longer unknown."""

from __future__ import annotations

from typing import Final

_PARTY: Final = {
    "country": "send `onshore.{party}.country` or, on the call, `cloud.region`; or register the facility or address",
    "region": "send `cloud.region` on the call, or `onshore.{party}.region`",
    "entity": "send `onshore.{party}.entity`, or register the company behind the address or endpoint",
    "entity_country": "register the company (`{party}_entity`) with its country",
    "control_country": "register the company's ultimate parent with its country and the date from which it holds",
    "facility": "send `onshore.{party}.facility`, or register the address range",
    "address": "send `{otel}.address` as an address rather than a name",
    "asn": "send an address in `{otel}.address`; private addresses have no network",
    "host": "send `server.address`",
    "account": "send `cloud.account.id`",
    "id": "send `user.id` or `onshore.actor.id`",
}
_COLUMNS: Final = {
    "actor_country": "send `onshore.actor.country`, or `client.address` of the person or service that acted",
    "actor_nationality": "register the person, or send `onshore.actor.nationality`",
    "actor_employer": "register the person, or send `onshore.actor.employer`",
    "actor_type": "send `onshore.actor.type` (user, service, operator, vendor)",
    "home_jurisdictions": "register the data set with the jurisdictions it must stay in, or send `onshore.data.home`",
    "categories": "register the data set with its categories, or send `onshore.data.categories`",
    "classification": "register the data set's classification, or send `onshore.data.classification`",
    "dataset": "send `onshore.data.set`",
    "transfer_basis": "send `onshore.transfer.basis`, or register the agreement with the recipient",
    "approval_id": "send `onshore.approval.id`; `none` where there was no approval",
    "approval_by": "send `onshore.approval.by`",
    "approval_expires_at": "send `onshore.approval.expires`",
    "key_country": "register the key with its custodian and country, or send `onshore.key.country`",
    "key_custodian": "register the key with its custodian, or send `onshore.key.custodian`",
    "key_id": "send `onshore.key.id`",
    "encrypted_at_rest": "send `onshore.encrypted.at_rest`",
    "encrypted_in_transit": "send `onshore.encrypted.in_transit`",
    "transit_countries": "send `onshore.transit.countries` from the network's own records",
    "model_requested": "send `gen_ai.request.model`",
    "model_served": "send `gen_ai.response.model`",
    "model_endpoint": "send `server.address` on the model call",
    "bytes": "send `onshore.data.bytes`",
    "item_count": "send `onshore.data.count`",
    "reason": "send `onshore.reason`: the ticket, or why it was done",
    "object_type": "send `onshore.object.type`",
    "object_digest": "send `onshore.object.digest`",
    "occurred_at": "steps happened at one moment, so that nobody knows their order: send times as exactly as you can",
    "messages wait": "nothing: it is judged again as soon as the messages that wait are read",
    "outcome": "send `onshore.outcome` (success, failure, denied)",
    "contradictions": "two claims about a place disagree: correct the wrong sender, or have the place attested",
}
_OTEL_NAMES: Final = {"actor": "client", "source": "source", "destination": "destination"}


def what_to_send(missing: str) -> str:
    """What makes a column known; a general remedy for a column nobody has written advice for."""
    if missing in _COLUMNS:
        return _COLUMNS[missing]
    party, _, rest = missing.partition("_")
    if party in _OTEL_NAMES and rest in _PARTY:
        return _PARTY[rest].format(party=party, otel=_OTEL_NAMES[party])
    return "see what its controls need" if missing else "the control could not say which fact was missing"
