"""What data movements are written with: where data goes, who moves it and on what basis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.template import (
    Between,
    Expected,
    Log,
    OneOf,
    Rhythm,
    Template,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

Attributes = dict[str, Value]

PERSON: Final[Attributes] = {"user.id": OneOf("people"), "onshore.actor.country": "{home}"}
DONE: Final[Attributes] = {"onshore.outcome": "success"}
AT_HOME: Final[Attributes] = {
    "onshore.destination.country": "{home}",
    "onshore.destination.facility": "{site}",
    "onshore.destination.entity": "{operator}",
}
SECOND_SITE: Final[Attributes] = {**AT_HOME, "onshore.destination.facility": "{second_site}"}
BUCKET_AT_HOME: Final[Attributes] = {**AT_HOME, "server.address": "{tenant}-lake.objects.{site}.{domain}"}
BUCKET_OF_AWS: Final[Attributes] = {
    "aws.s3.bucket": "{tenant}-lake",
    "aws.s3.key": "daily/part-0001.parquet",
    "server.address": "{tenant}-lake.s3.{region}.amazonaws.com",
}
WEIGHTS_AT_HOME: Final[Attributes] = {
    **BUCKET_AT_HOME,
    "aws.s3.bucket": "{tenant}-models",
    "aws.s3.key": "assistant/model-00001-of-00004.safetensors",
    "server.address": "{tenant}-models.objects.{site}.{domain}",
}
GLOBAL_BUCKET: Final[Attributes] = {"server.address": "{tenant}-archive.s3.amazonaws.com"}
PARTNER_ABROAD: Final[Attributes] = {
    "server.address": "sftp.partner.example",
    "onshore.destination.country": "{abroad}",
    "onshore.destination.entity": "OVHcloud",
}
NOWHERE: Final[Attributes] = {"server.address": "upload.broker.example"}
CONTRACT: Final[Attributes] = {"onshore.transfer.basis": "contract"}
NO_BASIS: Final[Attributes] = {"onshore.transfer.basis": "none"}
NO_CATEGORY: Final[Attributes] = {"onshore.data.categories": ("none",)}
AU: Final = frozenset({"wattlebay-health"})
JP: Final = frozenset({"kawasemi-life"})
MY: Final = frozenset({"seri-rimba-bank"})
SG: Final = frozenset({"straitsview-genomics"})

_BODIES: Final = {
    "backup.write": "backup finished",
    "data.copy": "object copied",
    "data.delete": "object deleted",
    "data.export": "files handed over",
    "data.read": "rows read",
    "data.replicate": "replica brought up to date",
    "index.build": "index built",
    "model.weights.export": "weights handed over",
    "telemetry.export": "telemetry sent",
}
_EMITTERS: Final = {
    "backup.write": "backup",
    "data.read": "lake",
    "index.build": "indexer",
    "model.weights.export": "registry",
    "telemetry.export": "collector",
}
_RHYTHMS: Final[dict[str, Rhythm]] = {
    "backup.write": "night",
    "data.export": "office",
    "data.read": "office",
    "index.build": "night",
}


def moved(
    action: str,
    name: str,
    share: float,
    expected: Expected,
    *attributes: Mapping[str, Value],
    data: str = "personal",
    tenants: frozenset[str] = frozenset(),
    disputed: bool = False,
) -> Template:
    """A log event of a data movement; later attributes replace earlier ones."""
    merged: Attributes = {"onshore.data.bytes": Between(20_000, 3_000_000_000), "onshore.encrypted.in_transit": True}
    for group in attributes:
        merged |= group
    return Template(
        name,
        "data_movement",
        Log(action, _BODIES[action]),
        _EMITTERS.get(action, "mover"),
        expected,
        share,
        merged,
        data=data,
        rhythm=_RHYTHMS.get(action, "steady"),
        tenants=tenants,
        disputed=disputed,
    )
