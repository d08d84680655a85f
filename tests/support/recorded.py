"""A store with people's deeds and deleted events in it, for exports."""

from __future__ import annotations

import base64
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import exporting
import otlp_messages as otlp
from onshore_pipeline import assembly
from onshore_pipeline.actions import Action, record_action
from onshore_pipeline.context.retention import read_retention
from onshore_pipeline.findings import waivers
from onshore_pipeline.jobs.deletions import Deleter, Tombstone
from onshore_pipeline.rule_texts import keep_context, keep_controls

if TYPE_CHECKING:
    from embedded_pipeline import Pipeline
    from onshore_pipeline.evidence.keyring import Keyring

RINA, OMAR = "rina-sample", "omar-sample"
PEOPLE: Final = {
    name: Ed25519PrivateKey.from_private_bytes(bytes([number]) * 32) for number, name in enumerate((RINA, OMAR), 1)
}
RULE: Final = "records act"


def fill(pipeline: Pipeline, keyring: Keyring) -> None:
    """A violation, a waiver and a hold of two people each, a message of which one event of three is deleted."""
    keys = pipeline.settings.data_dir / "people_keys"
    keys.mkdir()
    for name, key in PEOPLE.items():
        (keys / f"{name}.pem").write_bytes(
            key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        )
    kept, due = otlp.movement(data_set="patients"), otlp.movement(data_set="patients")
    due["onshore.data.classification"] = "secret"
    pipeline.send("otlp_logs", [otlp.logs([kept, due, kept])])
    pipeline.send("otlp_logs", [otlp.logs([kept])])
    pipeline.work()
    _waive(pipeline)
    hold(pipeline)
    pipeline.work()
    pipeline.sequence()
    _delete(pipeline)
    pipeline.work()
    pipeline.sequence()
    keep_controls(pipeline.client, pipeline.judgement.controls)
    keep_context(pipeline.client, pipeline.judgement.context)
    exporting.sign(pipeline, keyring)


def _waive(pipeline: Pipeline) -> None:
    until = datetime.now(UTC) + timedelta(days=30)
    statement = waivers.statement_of(
        {
            "id": "w-1", "tenant": "default", "control": "AU-APP8-01", "where": {"dataset": "patients"},
            "reason": "agreed", "proposed_by": RINA, "expires": until.isoformat(),
        }
    )  # fmt: skip
    for action, who in ((waivers.PROPOSE, RINA), (waivers.APPROVE, OMAR)):
        signature = base64.b64encode(PEOPLE[who].sign(waivers.signed_text(action, statement))).decode()
        told = {waivers.WAIVER_ID: "w-1", waivers.STATEMENT: statement, waivers.SIGNATURE: signature}
        _record(pipeline, Action(action, "default", who, "the auditor agreed", told))


def hold(pipeline: Pipeline) -> None:
    """One that one person placed and another confirmed."""
    told = {"onshore.hold.id": "h-1", "onshore.hold.dataset": "of a case", "onshore.hold.review": "2099-01-31"}
    _record(pipeline, Action("hold.place", "default", RINA, "a case", told))
    _record(pipeline, Action("hold.confirm", "default", OMAR, "", {"onshore.hold.id": "h-1"}))


def review(pipeline: Pipeline, who: str, following: str) -> None:
    """Somebody looked at it, and says when to look again."""
    told = {"onshore.hold.id": "h-1", "onshore.hold.review": following}
    _record(pipeline, Action("hold.review", "default", who, "it goes on", told))


def _delete(pipeline: Pipeline) -> None:
    """As `onshore retention run` would, 31 days later."""
    folder = pipeline.settings.data_dir / "rules"
    folder.mkdir()
    (folder / "retention.yaml").write_text(f"- {{classification: secret, keep: 30d, why: {RULE}}}\n")

    def seal(tombstone: Tombstone) -> None:
        told = {"onshore.deletion.id": str(tombstone.deletion_id), "onshore.deletion.root": tombstone.root}
        _record(pipeline, Action("evidence.delete", tombstone.tenant, RINA, tombstone.rule, told))

    later = datetime.now(UTC) + timedelta(days=31)
    (done,) = Deleter(pipeline.client, seal).run(read_retention(folder), list, later)
    assert done.events == 1


def _record(pipeline: Pipeline, action: Action) -> None:
    with closing(assembly.recorder(pipeline.settings)) as recorder:
        record_action(recorder, action)
