"""Sessions, changes, prompts and refused attempts that a law on access judges, each once in every way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.movements import AU, JP, SG, moved
from onshore_collectors.demo.scenario.template import (
    SATISFIED,
    UNDETERMINED,
    VIOLATED,
    Between,
    Expected,
    Log,
    OneOf,
    Span,
    Template,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributes = dict[str, Value]

_DONE: Final[Attributes] = {"onshore.outcome": "success"}
_VENDOR_AT_HOME: Final[Attributes] = {
    "user.id": OneOf("vendors"),
    "onshore.actor.type": "vendor",
    "onshore.actor.country": "{home}",
    "onshore.actor.entity": "{operator}",
}
_OPERATOR: Final[Attributes] = {
    "user.id": OneOf("operators"),
    "onshore.actor.type": "operator",
    "onshore.actor.entity": "{operator}",
}
_TICKET: Final[Attributes] = {"onshore.approval.id": "CHG-20901"}
_NO_TICKET: Final[Attributes] = {"onshore.approval.id": "none"}


def _data(home: str, category: str) -> Attributes:
    return {"onshore.data.home": (home,), "onshore.data.categories": (category,)}


def _done(
    action: str, name: str, expected: Expected, tenants: frozenset[str], *attributes: Mapping[str, Value]
) -> Template:
    share = 1.0 if {VIOLATED, UNDETERMINED} & set(expected.values()) else 0.1
    merged: Attributes = {"onshore.destination.country": "{home}", "onshore.destination.facility": "{site}", **_DONE}
    for group in attributes:
        merged |= group
    shape = Log(action, "privileged access")
    return Template(name, "infrastructure", shape, "bastion", expected, share, merged, rhythm="office", tenants=tenants)


_CONTROL_SYSTEM: Final = {**_OPERATOR, **_data("AU", "soci_operational")}
_GOVERNMENT_SYSTEM: Final = {**_VENDOR_AT_HOME, **_data("AU", "au_government")}
_FACILITY: Final = {**_VENDOR_AT_HOME, **_data("JP", "jp_espa_facility")}
_DEFENCE_CLOUD: Final = {**_OPERATOR, **_data("US", "us_dod"), "onshore.actor.entity": "AWS"}
_OWN_VENDOR: Final[Expected] = {"SOV-01-01": SATISFIED, "SOV-01-02": SATISFIED}

_SESSIONS: Final = (
    _done(
        "admin.session",
        "control system reached at home",
        {"AU-SOCI6E-01": SATISFIED, "SOV-01-01": SATISFIED, "SOV-01-02": SATISFIED},
        *(AU, _CONTROL_SYSTEM, {"onshore.actor.country": "AU"}),
    ),
    _done(
        "admin.session",
        "control system reached from abroad",
        {"AU-SOCI6E-01": VIOLATED, "SOV-01-01": VIOLATED, "SOV-01-02": SATISFIED},
        *(AU, _CONTROL_SYSTEM, {"onshore.actor.country": "IN"}),
    ),
    _done(
        "admin.session",
        "control system reached nobody knows from where",
        {"AU-SOCI6E-01": UNDETERMINED, "SOV-01-01": UNDETERMINED, "SOV-01-02": SATISFIED},
        *(AU, _CONTROL_SYSTEM, {"client.address": "100.64.18.9"}),
    ),
    _done(
        "admin.session",
        "provider on a government system, approved",
        {"AU-ISMBG-01": SATISFIED, "SOV-08-01": SATISFIED, **_OWN_VENDOR},
        *(AU, _GOVERNMENT_SYSTEM, _TICKET),
    ),
    _done(
        "admin.session",
        "provider on a government system, not approved",
        {"AU-ISMBG-01": VIOLATED, "SOV-08-01": VIOLATED, **_OWN_VENDOR},
        *(AU, _GOVERNMENT_SYSTEM, _NO_TICKET),
    ),
    _done(
        "admin.session",
        "provider on a government system, and nobody knows whether approved",
        {"AU-ISMBG-01": UNDETERMINED, "SOV-08-01": UNDETERMINED, **_OWN_VENDOR},
        *(AU, _GOVERNMENT_SYSTEM),
    ),
    _done(
        "config.change",
        "outside maintenance that was notified",
        {"JP-ESPA52-01": SATISFIED},
        *(JP, _FACILITY, _TICKET),
    ),
    _done(
        "config.change",
        "outside maintenance that was not notified",
        {"JP-ESPA52-01": VIOLATED},
        *(JP, _FACILITY, _NO_TICKET),
    ),
    _done(
        "config.change",
        "outside maintenance, and nobody knows whether notified",
        {"JP-ESPA52-01": UNDETERMINED},
        *(JP, _FACILITY),
    ),
    _done(
        "admin.session",
        "defence cloud reached from Texas",
        {"US-NDAA1692-01": SATISFIED, "SOV-01-01": SATISFIED, "SOV-01-02": SATISFIED},
        *(SG, _DEFENCE_CLOUD, {"onshore.actor.country": "US"}),
    ),
    _done(
        "admin.session",
        "defence cloud reached from China",
        {"US-NDAA1692-01": VIOLATED, "SOV-01-01": VIOLATED, "SOV-01-02": SATISFIED},
        *(SG, _DEFENCE_CLOUD, {"onshore.actor.country": "CN"}),
    ),
    _done(
        "admin.session",
        "defence cloud reached nobody knows from where",
        {"US-NDAA1692-01": UNDETERMINED, "SOV-01-01": UNDETERMINED, "SOV-01-02": SATISFIED},
        *(SG, _DEFENCE_CLOUD, {"client.address": "100.64.18.9"}),
    ),
)


def _prompt(name: str, share: float, expected: Expected, *attributes: Mapping[str, Value]) -> Template:
    """A prompt with personal information of Australia."""
    merged: Attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "vllm",
        "gen_ai.request.model": OneOf("models"),
        "user.id": OneOf("people"),
        **_data("AU", "personal"),
    }
    for group in attributes:
        merged |= group
    shape = Span("chat", "client", Between(60, 4000))
    return Template(name, "model_access", shape, "assistant", expected, share, merged, rhythm="office", tenants=AU)


_OUR_ENDPOINT: Final[Attributes] = {
    "server.address": "vllm.{site}.{domain}",
    "onshore.destination.country": "{home}",
    "onshore.destination.entity": "{operator}",
}
_NO_BASIS: Final[Attributes] = {"onshore.transfer.basis": "none"}
_PROMPTS: Final = (
    _prompt(
        "prompt with patient notes to our own model",
        0.5,
        {"AU-APP8-02": SATISFIED, "SOV-04-01": SATISFIED, "SOV-04-02": SATISFIED},
        *(_OUR_ENDPOINT, _NO_BASIS),
    ),
    _prompt(
        "prompt with patient notes to the United States",
        1,
        {"AU-APP8-02": VIOLATED, "SOV-04-01": VIOLATED, "SOV-04-02": VIOLATED},
        *({"server.address": "bedrock-runtime.us-east-1.amazonaws.com"}, _NO_BASIS),
    ),
    _prompt(
        "prompt with patient notes to a global endpoint",
        1,
        {"AU-APP8-02": UNDETERMINED, "SOV-04-01": UNDETERMINED, "SOV-04-02": VIOLATED},
        *({"server.address": "api.openai.com"}, _NO_BASIS),
    ),
)


def _refused(name: str, expected: Expected, *attributes: Mapping[str, Value]) -> Template:
    """An export of bulk data that a gateway denied."""
    said: Attributes = {"onshore.outcome": "denied", "onshore.actor.country": "US", **_data("US", "us_bulk_sensitive")}
    share = 0.1 if SATISFIED in expected.values() else 1.0
    return moved("data.export", name, share, expected, said, *attributes, data="", tenants=SG)


_REFUSALS: Final = (
    _refused(
        "export of bulk data to Canada, refused", {"US-DSP1104-01": SATISFIED}, {"onshore.destination.country": "CA"}
    ),
    _refused(
        "export of bulk data to Macau, refused", {"US-DSP1104-01": VIOLATED}, {"onshore.destination.country": "MO"}
    ),
    _refused(
        "export of bulk data nobody knows where to, refused",
        {"US-DSP1104-01": UNDETERMINED},
        {"server.address": "upload.broker.example"},
    ),
)


def _google(name: str, expected: Expected, reason: str) -> Template:
    """An entry of Google's Access Transparency as an exporter sends it; `reason` is JSON."""
    entry = (
        '{"jsonPayload": {"@type": "type.googleapis.com/google.cloud.audit.TransparencyLog",'
        ' "product": ["Cloud Storage"],'
        ' "location": {"principalPhysicalLocationCountry": "AU", "principalEmployingEntity": "Google LLC"},'
        f' "reason": {reason}}}}}'
    )
    said: Attributes = {"log.record.format": "gcp.access_transparency", **_data("AU", "none")}
    share = 1.0 if {VIOLATED, UNDETERMINED} & set(expected.values()) else 0.1
    shape = Log("", entry)
    return Template(name, "infrastructure", shape, "collector", expected, share, said, tenants=AU)


# They sit at home, and their employer belongs to a group abroad.
_GOOGLE: Final[Expected] = {"SOV-01-01": SATISFIED, "SOV-01-02": VIOLATED}

_PROVIDER: Final = (
    _google(
        "provider helps with a case of the customer's",
        {"SOV-14-01": SATISFIED, "SOV-08-01": UNDETERMINED, **_GOOGLE},
        '[{"type": "CUSTOMER_INITIATED_SUPPORT", "detail": "Case 4711"}]',
    ),
    _google(
        "provider opens data because of a legal order",
        {"SOV-14-01": VIOLATED, "SOV-08-01": UNDETERMINED, **_GOOGLE},
        '[{"type": "THIRD_PARTY_DATA_REQUEST"}]',
    ),
    _google("provider gives no reason", {"SOV-14-01": UNDETERMINED, "SOV-08-01": UNDETERMINED, **_GOOGLE}, "[]"),
)

LAWS_OF_ACCESS: Final = (*_SESSIONS, *_PROMPTS, *_REFUSALS, *_PROVIDER)
