"""Audit of rules: are the texts that the store holds those whose digests the entries of the log seal?

An entry names a set of controls and a set of registries by a digest; the set's text names each part by the digest of
its bytes. Rows of `rule_sets`, `rule_files` and `controls` are held against that, from the entry down.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onshore_pipeline.jobs.audit_problem import Problem
from onshore_pipeline.jobs.incomplete import WITH_ROWS
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clickhouse_connect.driver.client import Client

_NAMED: Final = f"""
SELECT DISTINCT arrayJoin([('controls', lower(JSONExtractString(entry, 'controls'))),
    ('context', lower(JSONExtractString(entry, 'context')))]) AS named
FROM evidence_log WHERE {WITH_ROWS}
"""  # noqa: S608 - fixed text
_PARTS: Final = """
SELECT DISTINCT toString(kind), lower(hex(digest)), toValidUTF8(toString(name)), toValidUTF8(version),
    lower(hex(sha256)) FROM rule_sets WHERE kind IN ('controls', 'context') ORDER BY ALL
"""
_STATED: Final = """
SELECT lower(hex(f.sha256)), f.content FROM rule_files AS f
WHERE lower(hex(f.sha256)) IN {digests:Array(String)} AND f.sha256 = SHA256(f.content)
"""
_ALTERED_FILES: Final = "SELECT DISTINCT lower(hex(sha256)) FROM rule_files WHERE SHA256(content) != sha256"
# What else a row says of a control stands in its text; words only, as the first of a line.
_CONTROLS: Final = """
SELECT lower(hex(digest)), toValidUTF8(toString(control_id)), version, toValidUTF8(toString(status)),
    SHA256(text) = digest,
    extract(text, '(?m)^severity: *(\\\\w+)') IN ('', severity) AND extract(text, '(?m)^kind: *(\\\\w+)') IN ('', kind)
    AND extract(text, '(?m)^version: *(\\\\d+)') IN ('', toString(version))
    AND extract(text, '(?m)^id: *([\\\\w-]+)') IN ('', control_id)
FROM controls
"""
_TEXT: Final = "SELECT text FROM controls WHERE digest = unhex({digest:String}) AND SHA256(text) = digest LIMIT 1"


@dataclass(frozen=True, slots=True)
class Told:
    """What a control's text says of its violations."""

    id: str
    version: int
    kind: str
    severity: str
    group_by: tuple[str, ...]


class SealedRules:
    """The sets that entries name and their controls, as far as the store proves them; read once."""

    def __init__(self, client: Client) -> None:
        """Read sets and the names of their parts. Raises `StoreUnavailable`."""
        self._client = client
        with store_errors():
            named = {(kind, digest) for ((kind, digest),) in client.query(_NAMED).result_rows if digest}
            self._sets: dict[tuple[str, str], list[tuple[str, str, str]]] = {each: [] for each in sorted(named)}
            for kind, digest, *part in client.query(_PARTS).result_rows:
                self._sets.get((kind, digest), []).append((part[0], part[1], part[2]))
            digests = [digest for kind, digest in named if kind == "controls"]
            stated = client.query(_STATED, parameters={"digests": digests}).result_rows
            self._rows = client.query(_CONTROLS).result_rows
        self._stated: dict[str, Any] = {digest: json.loads(text) for digest, text in stated}
        self._texts: dict[str, Told | None] = {}
        self._digests: dict[tuple[str, int], set[str]] = {}
        for digest in digests:
            for name, version, sha256 in self._parts(digest):
                if name.startswith("control/"):
                    self._digests.setdefault((name.removeprefix("control/"), int(version)), set()).add(sha256)

    def _parts(self, digest: str) -> list[tuple[str, str, str]]:
        """Of a set of controls, as its text says; none where the store cannot prove it."""
        told = self._stated.get(digest) or self._derived(digest)
        controls = [(f"control/{name}", str(version), sha256) for name, version, _, sha256 in told["controls"]]
        return sorted([*controls, *((f"list/{name}", "", sha256) for name, sha256 in told["lists"])])

    def _derived(self, digest: str) -> dict[str, Any]:
        """The text of a set of before texts were kept; nothing is proved where it does not give the digest."""
        status = {row[0]: row[3] for row in self._rows}
        parts = [(name.partition("/"), version, sha256) for name, version, sha256 in self._sets["controls", digest]]
        told: dict[str, Any] = {
            "controls": [
                [name, int(version), status.get(sha256), sha256]
                for (kind, _, name), version, sha256 in parts
                if kind == "control"
            ],
            "lists": [[name, sha256] for (kind, _, name), _, sha256 in parts if kind == "list"],
        }
        stated = json.dumps(told, separators=(",", ":"), ensure_ascii=False)
        return told if hashlib.sha256(stated.encode()).hexdigest() == digest else {"controls": [], "lists": []}

    def told(self, control: str, version: int) -> list[Told]:
        """What the texts of a control's version say that judged; none where no text of it is proved."""
        return [found for digest in sorted(self._digests.get((control, version), ())) if (found := self._read(digest))]

    def _read(self, digest: str) -> Told | None:
        if digest not in self._texts:
            with store_errors():
                rows = self._client.query(_TEXT, parameters={"digest": digest}).result_rows
            self._texts[digest] = _told(rows[0][0]) if rows else None
        return self._texts[digest]

    def problems(self) -> Iterator[Problem]:
        """Sets, texts and files that are not what was sealed. Raises `StoreUnavailable`."""
        with store_errors():
            altered = [row[0] for row in self._client.query(_ALTERED_FILES).result_rows]
        for digest in altered:
            yield _problem("altered", f"rule_files {digest[:12]}", "its content is not what its digest is of", digest)
        for (kind, digest), parts in self._sets.items():
            where = f"rule_sets, {kind} {digest[:12]}"
            proved = self._parts(digest) if kind == "controls" else parts
            if not parts or not proved:
                yield _problem("uncheckable", where, "entries name it, and the store cannot prove what it was", digest)
            elif sorted(parts) != proved or (kind == "context" and _digest_of(parts) != digest):
                yield _problem("altered", where, "its parts are not those that entries sealed", digest)
        yield from self._of_controls()

    def _of_controls(self) -> Iterator[Problem]:
        held = {row[0] for row in self._rows}
        for digest, control, version, _, is_text, is_same in self._rows:
            if not is_text or not is_same:
                why = (
                    "its text is not what its digest is of"
                    if not is_text
                    else "its row says another thing than its text"
                )
                yield _problem("altered", f"controls, {control} version {version}", why, digest)
        for (control, version), digests in self._digests.items():
            for digest in sorted(digests - held):
                where = f"controls, {control} version {version}"
                yield _problem("missing", where, f"it judged, and its text ({digest[:12]}) is not there", digest)


def _told(text: str) -> Told | None:
    try:
        said = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("group_by", ["tenant"]), list):
        return None
    by = tuple(map(str, said.get("group_by", ["tenant"])))
    kind, severity = (str(said.get(name, default)) for name, default in (("kind", "review"), ("severity", "info")))
    return Told(str(said.get("id")), int(said.get("version", 1)), kind, severity, by)


def _digest_of(parts: list[tuple[str, str, str]]) -> str:
    told = "".join(f"{name}\0{version}\0{sha256}\n" for name, version, sha256 in parts)
    return hashlib.sha256(told.encode()).hexdigest()


def _problem(what: str, where: str, why: str, digest: str) -> Problem:
    return Problem(what, where, why, {"digest": digest})
