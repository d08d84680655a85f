"""The export itself is a deed of a person: recorded on the actions' topic, and sealed with the next messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.actions import Action, record_action

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from onshore_pipeline.broker import Recorder

EXPORTED: Final = "evidence.export"
REFUSED: Final = "evidence.export.refused"
_NAMES: Final = {
    "destination_country": "onshore.destination.country",
    "object_type": "onshore.object.type",
    "dataset": "onshore.data.set",
    "categories": "onshore.data.categories",
    "home_jurisdictions": "onshore.data.home",
    "item_count": "onshore.data.count",
    "transfer_basis": "onshore.transfer.basis",
    "approval_id": "onshore.approval.id",
    "approval_by": "onshore.approval.by",  # judged as data.export; what is recorded is another action
}


def record_export(
    recorder: Recorder, event: Mapping[str, Any], tenants: Iterable[str], export_id: UUID, *, digest: str | None
) -> None:
    """Record what an export moved, of each tenant; without a manifest's digest it was refused, and nothing was written.

    Raises:
        OnshoreError, BrokerUnavailable: as `record_action`.
    """
    said = {name: _text(event[column]) for column, name in _NAMES.items() if event.get(column)}
    said |= {"onshore.export.id": str(export_id), "onshore.export.recipient": event["destination_id"]}
    if digest:
        said["onshore.object.digest"] = f"sha256:{digest}"
    name = EXPORTED if digest else REFUSED
    for tenant in tenants:
        record_action(recorder, Action(name, tenant, event["actor_id"], event["reason"], said))


def _text(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
