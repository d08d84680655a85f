"""Infrastructure: machines and their state, administration, keys, the network.

SOV-01-01 asks where the person of an admin session sits, SOV-01-02 who controls the employer, SOV-08-01 if a vendor
has an approval, SOV-05-01 where a key is held, SOV-05-02 who uses it, SOV-09-01 where names are resolved. States,
flows, requests and changes are judged by no control.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.template import (
    SATISFIED,
    UNDETERMINED,
    VIOLATED,
    Between,
    Expected,
    Gauge,
    Log,
    OneOf,
    Rhythm,
    Span,
    State,
    Template,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_pipeline.domain.verdict import Verdict

_DONE: Final[dict[str, Value]] = {"onshore.outcome": "success"}
_NO_CATEGORY: Final[dict[str, Value]] = {"onshore.data.categories": ("none",)}
_HOME_DATA: Final[dict[str, Value]] = {"onshore.data.home": ("{home}",), **_NO_CATEGORY}
_OPERATOR: Final[dict[str, Value]] = {
    "user.id": OneOf("operators"),
    "onshore.actor.type": "operator",
    "onshore.actor.entity": "{operator}",
}
_VENDOR: Final[dict[str, Value]] = {
    "user.id": OneOf("vendors"),
    "onshore.actor.type": "vendor",
    "onshore.actor.entity": "OVHcloud",
    "onshore.approval.id": "CHG-20417",
}
_SOMEBODY: Final[dict[str, Value]] = {
    "user.id": OneOf("vendors"),
    "onshore.actor.type": "vendor",
    "onshore.actor.country": "{home}",
}
_ON_SITE: Final[dict[str, Value]] = {
    "onshore.destination.country": "{home}",
    "onshore.destination.facility": "{site}",
}


def _log(
    name: str,
    share: float,
    expected: Expected,
    emitter: str,
    shape: Log,
    *attributes: Mapping[str, Value],
    rhythm: Rhythm = "steady",
) -> Template:
    merged: dict[str, Value] = {}
    for group in (_DONE, *attributes):
        merged |= group
    return Template(name, "infrastructure", shape, emitter, expected, share, merged, rhythm=rhythm)


def _session(name: str, share: float, expected: Expected, *attributes: Mapping[str, Value]) -> Template:
    shape = Log("admin.session", "session opened")
    return _log(name, share, expected, "bastion", shape, _ON_SITE, *attributes, rhythm="office")


def _command(name: str, share: float, expected: Expected, *attributes: Mapping[str, Value]) -> Template:
    shape = Log("admin.command", "command run with privileges")
    return _log(name, share, expected, "bastion", shape, _ON_SITE, *attributes, rhythm="office")


def _key(name: str, share: float, expected: Expected, action: str, attributes: Mapping[str, Value]) -> Template:
    by: dict[str, Value] = {"onshore.actor.id": "svc-vault", "onshore.actor.country": "{home}"}
    said: dict[str, Value] = {"onshore.key.id": OneOf("keys"), **by, **attributes}
    return _log(name, share, expected, "vault", Log(action, "key service"), said)


def _name(name: str, share: float, verdict: Verdict, attributes: Mapping[str, Value]) -> Template:
    return _log(
        name, share, {"SOV-09-01": verdict}, "network", Log("dns.query", "name resolved"), _HOME_DATA, attributes
    )


_EVERYDAY: Final = (
    _session(
        "operator at home opens a session",
        1.5,
        {"SOV-01-01": SATISFIED, "SOV-01-02": SATISFIED},
        *(_OPERATOR, _HOME_DATA, {"onshore.actor.country": "{home}", "client.address": "10.20.4.17"}),
    ),
    _command(
        "operator at home runs a command",
        3,
        {"SOV-01-01": SATISFIED, "SOV-01-02": SATISFIED},
        *(_OPERATOR, _HOME_DATA, {"onshore.actor.country": "{home}"}),
    ),
    _session(
        "session of somebody abroad is denied",
        0.2,
        {},
        *(_VENDOR, _HOME_DATA),
        {"onshore.actor.country": "{vendor_country}", "onshore.outcome": "denied"},
    ),
    _key(
        "key used that is held at home",
        4,
        {"SOV-05-01": SATISFIED, "SOV-05-02": SATISFIED},
        "key.use",
        {**_HOME_DATA, "onshore.key.country": "{home}", "onshore.key.custodian": "{tenant}"},
    ),
    _key(
        "key rotated that is held at home",
        0.2,
        {"SOV-05-01": SATISFIED, "SOV-05-02": SATISFIED},
        "key.rotate",
        {**_HOME_DATA, "onshore.key.country": "{home}", "onshore.key.custodian": "{tenant}"},
    ),
    _log(
        "flow between machines",
        5,
        {},
        "network",
        Log("network.flow", "flow ended"),
        {
            "source.address": "10.20.7.31",
            "destination.address": "10.20.9.12",
            "network.transport": "tcp",
            "onshore.data.bytes": Between(1000, 80_000_000),
            "onshore.data.categories": ("none",),
        },
    ),
    _log(
        "configuration changed",
        0.5,
        {},
        "bastion",
        Log("config.change", "setting changed"),
        *(_OPERATOR, {"onshore.approval.id": "CHG-20417", "onshore.approval.by": "change-board"}),
        rhythm="office",
    ),
    Template(
        "request at the gateway",
        "infrastructure",
        Span("POST /v1/chat/completions", "server", Between(50, 4000)),
        "gateway",
        {},
        4,
        {
            "http.request.method": "POST",
            "url.path": "/v1/chat/completions",
            "http.response.status_code": 200,
            "client.address": "10.30.1.40",
        },
        rhythm="office",
    ),
    Template(
        "state of a host",
        "infrastructure",
        State(
            {
                "system.cpu.utilization": Gauge("1", 0.05, 0.9),
                "system.memory.utilization": Gauge("1", 0.3, 0.85),
                "system.filesystem.utilization": Gauge("1", 0.2, 0.8),
                "system.cpu.load_average.1m": Gauge("{thread}", 0.2, 30),
            }
        ),
        "host",
        {},
        4,
    ),
    Template(
        "state of an accelerator host",
        "infrastructure",
        State(
            {
                "hw.gpu.utilization": Gauge("1", 0.2, 0.99),
                "hw.gpu.memory.utilization": Gauge("1", 0.3, 0.98),
                "hw.temperature": Gauge("Cel", 41, 82),
                "hw.power": Gauge("W", 120, 690),
                "system.cpu.utilization": Gauge("1", 0.05, 0.5),
            }
        ),
        "gpu",
        {},
        3,
    ),
)

_PLANTED: Final = (
    _session(
        "vendor's engineer abroad opens a session",
        3,
        {"SOV-01-01": VIOLATED, "SOV-01-02": VIOLATED, "SOV-08-01": SATISFIED},
        *(_VENDOR, _HOME_DATA, {"onshore.actor.country": "{vendor_country}"}),
    ),
    _command(
        "vendor's engineer abroad runs a command",
        3,
        {"SOV-01-01": VIOLATED, "SOV-01-02": VIOLATED, "SOV-08-01": SATISFIED},
        *(_VENDOR, _HOME_DATA, {"onshore.actor.country": "{vendor_country}"}),
    ),
    _session(
        # 100.64.0.0/10 is shared by whole providers: it is no place
        "session from behind a network that hides where it comes from",
        2,
        {"SOV-01-01": UNDETERMINED, "SOV-01-02": SATISFIED},
        *(_OPERATOR, _HOME_DATA, {"client.address": "100.64.18.3"}),
    ),
    _command(
        "command on a system that nobody gave a home",
        1,
        {"SOV-01-01": UNDETERMINED, "SOV-01-02": UNDETERMINED},
        *(_OPERATOR, _NO_CATEGORY, {"onshore.actor.country": "{home}"}),
    ),
    _session(
        "vendor's engineer at home whose employer nobody registered",
        1,
        {"SOV-01-01": SATISFIED, "SOV-01-02": UNDETERMINED, "SOV-08-01": UNDETERMINED},
        *(_HOME_DATA, _SOMEBODY),
    ),
    _session(
        "operator of whom nobody says who employs him",
        1,
        {"SOV-01-01": SATISFIED, "SOV-01-02": UNDETERMINED},
        _HOME_DATA,
        {"user.id": OneOf("operators"), "onshore.actor.type": "operator", "onshore.actor.country": "{home}"},
    ),
    _session(
        "operator at home whose employer belongs to a group abroad",
        1,
        {"SOV-01-01": SATISFIED, "SOV-01-02": VIOLATED},
        *(_OPERATOR, _HOME_DATA, {"onshore.actor.country": "{home}", "onshore.actor.entity": "OVHcloud"}),
    ),
    _key(
        "key used that is held in the United States",
        3,
        {"SOV-05-01": VIOLATED, "SOV-05-02": SATISFIED},
        "key.use",
        {**_HOME_DATA, "onshore.key.id": "kms/us-east-1/legacy", "onshore.key.country": "US"},
    ),
    _key(
        "key rotated whose place nobody recorded",
        2,
        {"SOV-05-01": UNDETERMINED, "SOV-05-02": SATISFIED},
        "key.rotate",
        {**_HOME_DATA, "onshore.key.id": "kms/unknown/3"},
    ),
)

_KEY_AT_HOME: Final[dict[str, Value]] = {**_HOME_DATA, "onshore.key.country": "{home}"}
_ABROAD: Final = (
    _key(
        "key at home used by a service in the United States",
        1,
        {"SOV-05-01": SATISFIED, "SOV-05-02": VIOLATED},
        "key.use",
        {**_KEY_AT_HOME, "onshore.actor.country": "US"},
    ),
    _key(
        "key at home used by a caller whom nobody can place",
        1,
        {"SOV-05-01": SATISFIED, "SOV-05-02": UNDETERMINED},
        "key.use",
        {**_KEY_AT_HOME, "onshore.actor.country": "unknown"},
    ),
    _name("names resolved at home", 1, SATISFIED, {"onshore.destination.country": "{home}"}),
    _name("names resolved in the United States", 1, VIOLATED, {"onshore.destination.country": "US"}),
    _name("names resolved nobody knows where", 1, UNDETERMINED, {"server.address": "resolver.partner.example"}),
)

INFRASTRUCTURE: Final = (*_EVERYDAY, *_PLANTED, *_ABROAD)
