"""What a control's file says, read by itself and not by the code that is tested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from onshore_pipeline.controls.load import PACKS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES: Final = sorted(PACKS.glob("*/*.yaml"))


@dataclass(frozen=True, slots=True)
class Written:
    """Fields of one file; every text on one line, examples as name and expected verdict."""

    id: str
    jurisdiction: str
    confidence: str
    citation: str
    needs: str
    conditions: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


def read(path: Path) -> Written:
    """Read one file."""
    fields: dict[str, Any] = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    examples = tuple((plain(str(each["name"])), _verdict(each)) for each in fields.get("examples") or ())
    told = {name: plain(str(text)) for name, text in fields.items() if isinstance(text, str)}
    return Written(
        id=told["id"],
        jurisdiction=told["jurisdiction"],
        confidence=told["confidence"],
        citation=told["instrument"],
        needs=told.get("needs", ""),
        conditions=tuple(map(plain, _conditions(fields))),
        examples=examples,
    )


def plain(text: str) -> str:
    """On one line, with single spaces."""
    return " ".join(text.split())


def _conditions(fields: dict[str, Any]) -> Iterator[str]:
    yield from (str(fields[name]) for name in ("applies", "violated") if name in fields)
    yield from (str(step["when"]) for step in fields.get("sequence") or ())
    if "absence" in fields:
        yield str(fields["absence"]["of"])


def _verdict(example: dict[str, Any]) -> str:
    missing = f", {example['missing']} missing" if example.get("missing") else ""
    return str(example["verdict"]).replace("_", " ") + missing
