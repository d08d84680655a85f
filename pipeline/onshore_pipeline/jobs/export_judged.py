"""An export is a movement of data to the recipient's country: the controls judge it before anything is written."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.context.registered import Registered
from onshore_pipeline.context.rules import DAY
from onshore_pipeline.controls.engine import judge
from onshore_pipeline.domain.event import EVENT_COLUMNS, Kind
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.event_frame import POLARS_TYPES
from onshore_pipeline.evidence.redaction import PERSONAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from onshore_pipeline.controls.load import ControlSet

_COLUMNS: Final = tuple(column for column in EVENT_COLUMNS if column.kind not in {Kind.TEXT_MAP, Kind.DIGEST})
_NONE: Final = "none"
_FROM_BEST: Final = ("not_applicable", "satisfied", "undetermined", "violated")
# What closing people takes away. Not `us_bulk_sensitive` and its like: their rules hold for data without names, too.
PERSONAL_CATEGORIES: Final = ("eu_personal", "personal")
NOTHING_REGISTERED: Final = Registered()


@dataclass(frozen=True, slots=True)
class Movement:
    """What the export moves, and on what ground.

    Attributes:
        tenants: whose data it is, at least one; the first stands for them in the event.
        recipient, recipient_country: to whom and where.
        person: who exports.
        reason: why.
        categories, homes: of the events in the scope; empty: unknown.
        other_homes: of those events whose data is not personal alone.
        redacted: what stays closed; without all personal fields open, nothing personal moves.
        pseudonymous: whether closed ids have pseudonyms, which are personal still.
        basis: the transfer's legal basis; None: none.
        approval: id of an approval; None: none.
        events: how many.
    """

    tenants: tuple[str, ...]
    recipient: str
    recipient_country: str
    person: str
    reason: str
    categories: tuple[str, ...]
    homes: tuple[str, ...]
    other_homes: tuple[str, ...]
    redacted: frozenset[str]
    pseudonymous: bool
    basis: str | None
    approval: str | None
    events: int

    @property
    def is_personal(self) -> bool:
        """Whether anything that can identify a person is disclosed, pseudonyms included."""
        return self.pseudonymous or not self.redacted >= PERSONAL


def approver(event: Mapping[str, Any], registered: Registered) -> str:
    """Who gave the approval of a movement, as the register says; 'none' where none is named.

    Raises:
        OnshoreError: there is no register of approvals, it does not have it, it has not begun or has ended, or it is
            for another actor, action, recipient or data.
    """
    approval, at = event["approval_id"], event["occurred_at"]
    if approval == _NONE:
        return _NONE
    approvals = registered.approvals
    if approvals is None:
        raise OnshoreError(
            f"--approval {approval}: there is no register of approvals, so nobody is known to have given it; write"
            " approvals.csv (docs/registries.md)"
        )
    known = approvals.named(approval, at.date())
    if known is None:
        raise OnshoreError(f"--approval {approval}: the register of approvals has none of this id")
    _, given_by, ends = known.answer
    if known.first > at.date():
        raise OnshoreError(f"--approval {approval}: it begins on {known.first:%Y-%m-%d}")
    if ends is not None and ends <= at:
        raise OnshoreError(f"--approval {approval}: it ended on {ends:%Y-%m-%d}")
    if not approvals.covers(known, _told(event)):
        raise OnshoreError(
            f"--approval {approval}: it does not surely cover {event['action']} by {event['actor_id']} to"
            f" {event['destination_country']} ({event['destination_id']}); correct its row in approvals.csv, or name an"
            " approval that does"
        )
    return given_by or _NONE


def refuse_unregistered(event: Mapping[str, Any], registered: Registered) -> None:
    """A basis counts as one of a movement anywhere does: where the register has it, on that day, for that recipient.

    The source is the event's tenant, and the countries where the data is at home.

    Raises:
        OnshoreError: it does not.
    """
    basis, day = event["transfer_basis"], event["occurred_at"].date()
    if basis == _NONE:
        return
    rules = registered.transfer_bases
    if rules is None:
        raise OnshoreError(
            f"--basis {basis}: there is no register of transfer bases, so nothing says that it is one; write"
            " transfer_bases.csv (docs/registries.md)"
        )
    if not rules.allows(basis, _told(event)):
        raise OnshoreError(
            f"--basis {basis}: the register of transfer bases has no row of it that is in force on {day} and surely"
            f" covers this transfer of tenant {event['tenant']} to {event['destination_country']}"
            f" ({event['destination_id']}); correct transfer_bases.csv, or name a basis that it has"
        )


def _told(event: Mapping[str, Any]) -> str:
    """The movement as rules are asked about it."""
    told = {
        DAY: str(event["occurred_at"].date()), "actor_id": event["actor_id"], "action": event["action"],
        "source_entity": event["tenant"], "source_country": event["home_jurisdictions"],
        "destination_entity": event["destination_id"], "destination_country": event["destination_country"],
        "dataset": event["dataset"], "categories": event["categories"],
    }  # fmt: skip
    return json.dumps(told)


@dataclass(frozen=True, slots=True)
class ExportVerdict:
    """What one control says about the export.

    Attributes:
        verdict: 'satisfied', 'violated' or 'undetermined'.
        missing: what an undetermined one lacks.
        kind, title, remediation: the control's own words.
    """

    control: str
    version: int
    kind: str
    verdict: str
    missing: str
    title: str
    remediation: str


def movement_event(movement: Movement, at: datetime) -> dict[str, Any]:
    """The event that the export is, by column; what is not said is unknown.

    Where nothing personal moves, what else the data is moves still: data sets, models and keys are named.
    """
    categories = [each for each in movement.categories if movement.is_personal or each not in PERSONAL_CATEGORIES]
    return {
        "tenant": movement.tenants[0],
        "domain": "data_movement",
        "action": "data.export",
        "outcome": "success",
        "reason": movement.reason,
        "occurred_at": at,
        "source_format": "onshore.export",
        "actor_id": movement.person,
        "actor_type": "user",
        "destination_id": movement.recipient,
        "destination_country": movement.recipient_country,
        "destination_country_basis": "asserted",
        "object_type": "evidence bundle",
        "dataset": "onshore evidence",
        "categories": categories or [_NONE],
        "home_jurisdictions": list(movement.homes) if movement.is_personal else list(movement.other_homes) or [_NONE],
        "item_count": movement.events,
        "transfer_basis": movement.basis or _NONE,
        "approval_id": movement.approval or _NONE,
        "approval_by": _NONE,
    }


def judged(event: Mapping[str, Any], controls: ControlSet, tenants: Sequence[str]) -> tuple[ExportVerdict, ...]:
    """What every control that applies says, by control: of what it says about each tenant's data, the worst."""
    basis = {column.name: "unknown" for column in _COLUMNS if column.name.endswith("_basis") and column.required}
    row = basis | dict(event)
    frame = pl.DataFrame(
        {
            column.name: pl.Series(
                [row.get(column.name, [] if column.kind is Kind.WORDS else None)], dtype=POLARS_TYPES[column.kind]
            ).new_from_index(0, len(tenants))
            for column in _COLUMNS
        }
    )
    frame = frame.with_columns(
        pl.Series("tenant", tenants, dtype=frame.schema["tenant"]),
        row=pl.int_range(len(tenants), dtype=pl.UInt32),
        message=pl.lit(0, pl.UInt32),
    )
    counted = judge(frame, controls).counts
    worst: dict[str, ExportVerdict] = {}
    for control_id, version, verdict, missing in counted.select(
        "control_id", "control_version", "verdict", "missing"
    ).iter_rows():
        control = controls.control(control_id)
        assert control is not None
        said = ExportVerdict(
            control_id, version, control.kind, verdict, missing or "", control.title, control.remediation
        )
        worst[control_id] = max(said, worst.get(control_id, said), key=_badness)
    return tuple(each for _, each in sorted(worst.items()))


def _badness(said: ExportVerdict) -> tuple[int, str]:
    return _FROM_BEST.index(said.verdict), said.missing


def violated(verdicts: Sequence[ExportVerdict]) -> tuple[ExportVerdict, ...]:
    """Those that block the export; what a person must judge, and what is lawful, stands in the manifest only."""
    return tuple(each for each in verdicts if each.verdict == "violated" and each.kind == "violation")
