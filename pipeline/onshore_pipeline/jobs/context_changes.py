"""Changes of the registries, each recorded once as an action of its own: `context.change`.

A worker says in the store which registries it judges by (`rule_texts.InForce`); whoever sequences compares that
with the change that was recorded last. Time, number and id of a change follow from what the worker said, so that one
that is recorded again, after a kill, is the same action; the local log takes it once, and readers count it once.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5

import structlog

from onshore_pipeline.actions import Action, encoded, headers_of
from onshore_pipeline.broker import ACTIONS_TOPIC, Outgoing
from onshore_pipeline.context.changes import OWN, Part, changed_parts, changed_rows, registry_of
from onshore_pipeline.errors import BrokerUnavailable, ContextError, OutOfSequence
from onshore_pipeline.numbered import Numbered

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from onshore_pipeline.context.changes import PartChange, RowChanges
    from onshore_pipeline.context.csv_table import Row
    from onshore_pipeline.findings.standing import Store

log = structlog.get_logger("registries")

CHANGE: Final = "context.change"
DIGEST, BEFORE = "onshore.context.digest", "onshore.context.digest_before"
NUMBER, FILES, ROWS = "onshore.context.number", "onshore.context.files", "onshore.context.rows."
SINCE, REGISTERS = "onshore.context.in_force_since", "onshore.context.registers"
WRITTEN: Final = {"written_at": "onshore.context.written_at", "written_by": "onshore.context.written_by"}

_TOLD: Final = """
SELECT lower(hex(digest)) AS digest, version AS said, toString(name) AS since FROM rule_sets
WHERE kind = 'in force' AND toString(name) > {since:String} ORDER BY since
"""
_RECORDED: Final = """
SELECT attributes['onshore.context.digest'] AS digest, toUInt32OrZero(attributes['onshore.context.number']) AS number,
    attributes['onshore.context.in_force_since'] AS since, attributes['onshore.context.registers'] AS registers
FROM message_actions_current WHERE action = 'context.change' ORDER BY number DESC LIMIT 1
"""
# Where nothing was recorded yet: by what the last message was judged before a worker first told what is in force.
_JUDGED: Final = """
SELECT lower(JSONExtractString(entry, 'context')) AS digest FROM evidence_log
WHERE kind = 'message' AND appended_at < (SELECT min(loaded_at) FROM rule_sets WHERE kind = 'in force')
ORDER BY appended_at DESC LIMIT 1
"""
_PARTS: Final = """
SELECT toString(name) AS name, version, lower(hex(sha256)) AS sha256 FROM rule_sets
WHERE digest = unhex({digest:String}) AND kind = 'context' GROUP BY name, version, sha256 ORDER BY name
"""
_CONTENTS: Final = """
SELECT lower(hex(f.sha256)) AS digest, any(f.content) AS content FROM rule_files AS f
WHERE f.sha256 IN (SELECT unhex(arrayJoin({digests:Array(String)}))) GROUP BY f.sha256
"""
_STREAM: Final = "onshore/context.change"
_NAMES: Final = UUID("0b7b5b39-0f0e-5a55-8f0a-3f8b8d6b4c11")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_ID_CHARACTERS: Final = 6_000  # of one registry; what is left off is counted, and stands in the files


@dataclass(frozen=True, slots=True)
class Known:
    """The change that was recorded last.

    Attributes:
        number: from 1 on.
        digest: of what events are located and judged by since.
        since: since when, RFC 3339, UTC.
        registers: digests of the registers beside that, by name; None where nobody said.
    """

    number: int
    digest: str
    since: str
    registers: Mapping[str, str] | None


@dataclass(slots=True)
class ContextChanges:
    """Records changes; one at a time does, whoever sequences.

    Attributes:
        store: what is read, with the right to read the rules' texts.
        send: hands a message to a topic and returns when the broker has it.
        tenant: whose the action is: registries are a deployment's.
    """

    store: Store
    send: Callable[[str, Sequence[Outgoing]], object]
    tenant: str
    _known: Known | None = None

    def look(self) -> int:
        """Record what changed since the last change that was recorded; how many changes did.

        A broker that does not take one is tried again with the next look.

        Raises:
            StoreUnavailable: try again later.
        """
        known = self._known or self._last()
        recorded = 0
        for told in self.store.frame(_TOLD, {"since": known.since}).iter_rows(named=True):
            said = json.loads(told["said"])
            new = Known(known.number + 1, str(told["digest"]), str(told["since"]), said.get("registers"))
            if _differ(known, new):
                try:
                    self._record(new, known, said)
                except BrokerUnavailable as error:
                    log.warning("a change of the registries is not recorded yet", reason=str(error))
                    break
                except OutOfSequence:  # an earlier sequencer told it in other words, and nobody has sealed it yet
                    self._known = None
                    return recorded
                known, recorded = new, recorded + 1
            else:
                known = replace(new, number=known.number)
        self._known = known
        return recorded

    def _last(self) -> Known:
        for row in self.store.frame(_RECORDED).iter_rows(named=True):
            registers = json.loads(row["registers"]) if row["registers"] else None
            return Known(int(row["number"]), str(row["digest"]), str(row["since"]), registers)
        for row in self.store.frame(_JUDGED).iter_rows(named=True):
            return Known(0, str(row["digest"]), "", None)
        return Known(0, "", "", None)

    def _record(self, new: Known, before: Known, said: Mapping[str, str]) -> None:
        attributes = {
            DIGEST: new.digest,
            BEFORE: before.digest,
            NUMBER: str(new.number),
            SINCE: new.since,
            **{attribute: said[name] for name, attribute in WRITTEN.items() if said.get(name)},
            **({REGISTERS: _json(new.registers)} if new.registers is not None else {}),
            **self._what(before, new),
        }
        action = Action(CHANGE, self.tenant, said["by"], "", attributes, actor_type="service")
        value = encoded(action, uuid5(_NAMES, f"{new.number} {before.digest} {new.digest} {new.since}"), _ns(new.since))
        numbered = Numbered(_STREAM, new.number, hashlib.sha256(value).digest())
        self.send(ACTIONS_TOPIC, [Outgoing(value, headers_of(action), numbered=numbered)])
        log.info("registries changed", number=new.number, digest=new.digest, was=before.digest)

    def _what(self, before: Known, after: Known) -> dict[str, str]:
        """The files that changed, and what happened to the rows of each of the user's registries."""
        sets = [
            [Part(**row) for row in self.store.frame(_PARTS, {"digest": each.digest}).iter_rows(named=True)]
            for each in (before, after)
        ]
        if not sets[0]:
            return {FILES: "[]"}  # judged by a release that did not keep them
        known = before.registers is not None and after.registers is not None
        for parts, each in zip(sets, (before, after), strict=True):
            parts += [Part(name, "", sha256) for name, sha256 in (each.registers or {}).items() if known]
        changed = changed_parts(*sets)
        told = [{"name": part.name, "before": _named(part.before), "after": _named(part.after)} for part in changed]
        return {FILES: _json(told), **{f"{ROWS}{name}": text for name, text in self._rows(changed).items()}}

    def _rows(self, parts: Sequence[PartChange]) -> dict[str, str]:
        own = [part for part in parts if part.name.startswith(OWN)]
        wanted = [side.sha256 for part in own for side in (part.before, part.after) if side is not None]
        held = {row["digest"]: row["content"] for row in self.store.frame(_CONTENTS, {"digests": wanted}).to_dicts()}
        said = {}
        for registry in sorted({name for part in own if (name := registry_of(part.name)) is not None}):
            of_it = [part for part in own if registry_of(part.name) == registry]
            try:
                before = [row for part in of_it for row in _read(part.before, held)]
                after = [row for part in of_it for row in _read(part.after, held)]
            except ContextError as error:  # by another release's columns
                said[registry] = _json({"unreadable": str(error)[:1_000]})
            else:
                said[registry] = _json(_fitted(changed_rows(registry, before, after)))
        return said


def _differ(known: Known, new: Known) -> bool:
    """Whether there is a change; what nobody said before is none."""
    other = None not in (known.registers, new.registers) and known.registers != new.registers
    return bool(known.digest) and (known.digest != new.digest or other)


def _read(part: Part | None, held: Mapping[str, str]) -> list[Row]:
    from onshore_pipeline.context.own import read_registry
    from onshore_pipeline.context.registers import REGISTERS as READ_AS_YAML
    from onshore_pipeline.context.shipped import shipped_countries
    from onshore_pipeline.context.yaml_table import read_yaml

    if part is None:
        return []
    content = held.get(part.sha256)
    if content is None:
        raise ContextError(Path(part.name), None, "its text is not in the store")
    file = Path(Path(part.name).name)
    if file.stem in READ_AS_YAML:
        return list(read_yaml(file, content.encode(), READ_AS_YAML[file.stem].columns))
    return list(read_registry(file, content.encode(), shipped_countries()))


def _fitted(changes: RowChanges) -> dict[str, Any]:
    """Counts of all, and ids as long as there is room for them."""
    room, left_off = _MOST_ID_CHARACTERS, 0
    told: dict[str, Any] = {}
    for what in ("added", "ended", "changed", "removed"):
        ids: tuple[str, ...] = getattr(changes, what)
        shown = []
        for each in ids:
            room -= len(_json(each))
            if room > 0:
                shown.append(each)
        left_off += len(ids) - len(shown)
        told[what] = {"count": len(ids), "ids": shown}
    return told | ({"ids_left_off": left_off} if left_off else {})


def _named(part: Part | None) -> dict[str, str] | None:
    return None if part is None else {"version": part.version, "sha256": part.sha256}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _ns(since: str) -> int:
    return (datetime.fromisoformat(since) - _EPOCH) // _MICROSECOND * 1_000
