"""What the verdicts of a bundle rest on: registers, controls and lists, by the digests that sealed entries name.

A set's digest follows from its parts' digests, so a text that is here is proved to be the one that judged. Registers of
this deployment stay outside where they could tell what is closed or of other tenants; their digests stand in the set,
so that the operator can hand one over later.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.evidence.redaction import repeats

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.store.reader import Reader

_CONTROL, _LIST = "control/", "list/"
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_PARTS: Final = """
SELECT name, version, lower(hex(r.sha256)) AS sha256 FROM rule_sets AS r FINAL
WHERE r.digest = unhex({digest:String}) AND kind = {kind:String} ORDER BY name, version, sha256
"""
_STATUS: Final = """
SELECT lower(hex(c.digest)) AS sha256, any(toString(c.status)) AS status FROM controls AS c
WHERE c.digest IN (SELECT unhex(arrayJoin({digests:Array(String)}))) GROUP BY c.digest
"""
_FILES: Final = """
SELECT lower(hex(f.sha256)) AS digest, any(f.content) AS text FROM rule_files AS f
WHERE f.sha256 IN (SELECT unhex(arrayJoin({digests:Array(String)}))) GROUP BY f.sha256 ORDER BY digest
"""


class RulesInForce:
    """The sets that the shown entries name, and the texts of their parts.

    Attributes:
        sets: what `context/sets.json` says: by kind and digest, the text that the digest is of.
        withheld: names of registers that stay outside.
    """

    def __init__(self, reader: Reader, digests: dict[str, set[str]]) -> None:
        """Read the sets. Raises `StoreUnavailable`."""
        self._reader = reader
        self._names: dict[str, str] = {}
        self.withheld: list[str] = []
        self.sets: dict[str, dict[str, str]] = {
            kind: {digest: text for digest in sorted(digests[kind]) if (text := self._text(kind, digest)) is not None}
            for kind in ("context", "controls")
        }

    def _text(self, kind: str, digest: str) -> str | None:
        """What the digest is of; None where the store cannot say it."""
        parts = self._reader.rows(_PARTS, {"digest": digest, "kind": kind})
        stated = self._reader.rows(_FILES, {"digests": [digest]})
        text = stated[0]["text"] if stated else _lines(parts) if kind == "context" else self._identity(parts)
        if hashlib.sha256(text.encode()).hexdigest() != digest:
            return None
        self._names |= {str(row["sha256"]): str(row["name"]) for row in parts}
        return text

    def _identity(self, parts: Sequence[dict[str, Any]]) -> str:
        """Of stores that kept the parts only; with controls that change at a set time it is another text."""
        digests = [row["sha256"] for row in parts if str(row["name"]).startswith(_CONTROL)]
        rows = self._reader.rows(_STATUS, {"digests": digests})
        status = {row["sha256"]: row["status"] for row in rows}
        controls = [
            [row["name"].removeprefix(_CONTROL), int(row["version"]), status.get(row["sha256"]), row["sha256"]]
            for row in parts
            if str(row["name"]).startswith(_CONTROL)
        ]
        lists = [[row["name"].removeprefix(_LIST), row["sha256"]] for row in parts if row["name"].startswith(_LIST)]
        told = {"controls": controls, "lists": lists}
        return json.dumps(told, separators=(",", ":"), ensure_ascii=False)

    def texts(self, tenants: Sequence[str], disclosure: Disclosure) -> dict[str, bytes]:
        """Texts of registers and lists, by the name of their file in the bundle."""
        wanted = sorted(self._names)
        held = {row["digest"]: row["text"] for row in self._reader.rows(_FILES, {"digests": wanted})}
        shipped = _shipped()
        found = {}
        for sha256, content in sorted(held.items()):
            name = self._names[sha256]
            if name.startswith(_CONTROL):
                continue
            is_own = not name.startswith(_LIST) and sha256 not in shipped
            if is_own and (tenants or disclosure.closes or _says(content, disclosure)):
                self.withheld.append(name)
                continue
            folder = "context/lists/" if name.startswith(_LIST) else "context/"
            found[f"{folder}{sha256[:12]}-{_UNSAFE.sub('-', name.removeprefix(_LIST))[:120]}"] = content.encode()
        return found


def _lines(parts: Iterable[dict[str, Any]]) -> str:
    return "".join(f"{row['name']}\0{row['version']}\0{row['sha256']}\n" for row in parts)


def _says(content: str, disclosure: Disclosure) -> bool:
    return bool(repeats(pl.Series([content], dtype=pl.String), disclosure.values).any())


def _shipped() -> set[str]:
    """Digests of the reference data that comes with the software, which tells nothing about anybody."""
    folder = resources.files("onshore_pipeline.context").joinpath("reference")
    return {hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir() if each.is_file()}
