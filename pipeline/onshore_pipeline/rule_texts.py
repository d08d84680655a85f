"""What verdicts depend on, kept in the store under the digests that log entries name.

An entry names the digest of the registries and of the controls that its message was judged by. Here is what they were:
`rule_sets` has the parts of each digest, `rule_files` the bytes of each part, `controls` the controls' own texts. A row
of kind 'in force' says since when a worker judges by registries, so that whoever sequences records each change once.
Geolocation data is named by its digest only: it is large, and others publish it.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from onshore_pipeline.context.own import registers_in
from onshore_pipeline.store.connect import store_errors
from onshore_pipeline.store.tables import SCHEMAS
from onshore_pipeline.store.writer import insert

if TYPE_CHECKING:
    from pathlib import Path

    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.assess import Judgement
    from onshore_pipeline.context import Context
    from onshore_pipeline.context.changes import Written
    from onshore_pipeline.controls.load import ControlSet
    from onshore_pipeline.domain.control import Control

IN_FORCE: Final = "in force"
_KNOWN_SET: Final = "SELECT count() FROM rule_sets WHERE digest = unhex({digest:String})"


class RuleTexts:
    """Puts the texts of registries and controls into the store, each once."""

    def __init__(self) -> None:
        """Nothing is known to be there."""
        self._kept: set[str] = set()

    def keep(self, client: Client, judgement: Judgement) -> None:
        """Have the store hold what this judgement is made of, before anything names it. Raises `StoreUnavailable`."""
        if judgement.controls.digest not in self._kept:
            keep_controls(client, judgement.controls)
        if judgement.context.digest not in self._kept:
            keep_context(client, judgement.context)
        self._kept |= {judgement.controls.digest, judgement.context.digest}


def keep_controls(client: Client, controls: ControlSet) -> None:
    """The controls' texts, those that are not there yet, which of them and which lists make up the set, and when."""
    with store_errors():
        known = {bytes(row[0]) for row in client.query("SELECT digest FROM controls").result_rows}
    now = datetime.now(UTC)
    rows = [_control_row(control, now) for control in controls.controls if bytes.fromhex(control.digest) not in known]
    if rows:
        insert(client, "controls", pa.Table.from_pylist(rows, schema=SCHEMAS["controls"]))
    parts = [(f"control/{control.id}", str(control.version), control.digest) for control in controls.controls]
    lists = controls.lists.values()
    parts += [(f"list/{each.name}", "", each.digest) for each in lists]
    contents = {each.digest: each.content for each in lists} | {controls.digest: controls.stated.encode()}
    _keep_set(client, "controls", controls.digest, parts, contents, now)


def keep_context(client: Client, context: Context) -> None:
    """Every registry and reference file of the context."""
    contents = {each.sha256: found for each in context.sources if (found := context.contents.of(each)) is not None}
    parts = [(each.name, each.version, each.sha256) for each in context.sources]
    _keep_set(client, "context", context.digest, parts, contents, datetime.now(UTC))


class InForce:
    """Has the store say since when a process judges by which registries, and hold what they are."""

    def __init__(self, client: Client, by: str, folder: Path | None) -> None:
        """Take a writing connection, the process's name and the folder of the user's registries."""
        self._client, self._by, self._folder = client, by, folder
        self._registers: dict[str, bytes] = {}

    def tell(self, context: Context, written: Written | None) -> None:
        """These are in force from now on; `written` is the newest of the user's files. Raises `StoreUnavailable`."""
        self._registers = registers_in(self._folder, self._registers)
        contents = {_digest(content): content for content in self._registers.values()}
        keep_context(self._client, context)
        _keep_files(self._client, contents)
        told: dict[str, object] = {
            "by": self._by,
            "registers": {f"own/{name}": _digest(content) for name, content in self._registers.items()},
            **({"written_at": written.at.isoformat(), "written_by": written.by} if written else {}),
        }
        _tell(self._client, context, told)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _tell(client: Client, context: Context, told: dict[str, object]) -> None:
    now = datetime.now(UTC)
    row = {
        "digest": bytes.fromhex(context.digest),
        "kind": IN_FORCE,
        "name": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}",  # each telling is a row of its own
        "version": json.dumps(told),
        "sha256": bytes(32),
        "loaded_at": now,
    }
    insert(client, "rule_sets", pa.Table.from_pylist([row], schema=SCHEMAS["rule_sets"]))


def _keep_files(client: Client, contents: dict[str, bytes]) -> None:
    if not contents:
        return
    with store_errors():
        held = {bytes(row[0]).hex() for row in client.query("SELECT sha256 FROM rule_files").result_rows}
    files = [
        {"sha256": bytes.fromhex(sha256), "content": content.decode()}
        for sha256, content in contents.items()
        if sha256 not in held
    ]
    if files:
        insert(client, "rule_files", pa.Table.from_pylist(files, schema=SCHEMAS["rule_files"]))


def _keep_set(
    client: Client, kind: str, digest: str, parts: list[tuple[str, str, str]], contents: dict[str, bytes], now: datetime
) -> None:
    """Files first, so that a set that is there is whole."""
    with store_errors():
        if int(client.query(_KNOWN_SET, parameters={"digest": digest}).result_rows[0][0]):
            return
    _keep_files(client, contents)
    rows = [
        {
            "digest": bytes.fromhex(digest),
            "kind": kind,
            "name": name,
            "version": version,
            "sha256": bytes.fromhex(sha256),
            "loaded_at": now,
        }
        for name, version, sha256 in parts
    ]
    insert(client, "rule_sets", pa.Table.from_pylist(rows, schema=SCHEMAS["rule_sets"]))


def _control_row(control: Control, loaded_at: datetime) -> dict[str, object]:
    copied = (
        "version", "jurisdiction", "title", "instrument", "kind", "severity", "confidence", "status", "effective_from",
        "effective_to", "checked_on", "rationale", "needs", "evidence", "remediation",
    )  # fmt: skip
    return {
        "control_id": control.id,
        "digest": bytes.fromhex(control.digest),
        "domain": ",".join(control.domains),
        "text": control.text,
        "loaded_at": loaded_at,
        **{name: getattr(control, name) for name in copied},
    }
