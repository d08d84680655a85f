"""Samples of source formats: what normalising makes of them, and what becomes of each of their fields.

A format has three files in tests/golden/sources:

    FORMAT.samples.jsonl   a sample a line (`sample_messages.Sample`): about, body, attributes, resource ...
    FORMAT.events.json     what normalising makes of each: columns that are known, and attributes that were added
    FORMAT.fidelity.yaml   body: json, words or csv (how the body divides into fields; one that begins with a brace is
                           JSON everywhere); fields: the names of words or cells, in order; line: a pattern with a
                           named group a field, for lines among JSON or CSV; paths: field → column: NAME or [NAMES],
                           attribute: NAME or [NAMES], or raw: why no column holds it

The formats otlp.* are OpenTelemetry's own conventions: there the fields are attributes, those of the resource, metrics
and their labels.

`python tests/support/source_samples.py FORMAT` writes the events, which must then be checked by hand, and prints a
fidelity file as it is found to be.
"""

from __future__ import annotations

import copy
import csv
import datetime as dt
import io
import json
import re
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML

from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode
from sample_messages import OTLP, Sample, message_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from onshore_pipeline.normalise.frames import Normalised

SOURCES: Final = Path(__file__).parents[1] / "golden" / "sources"
_NOT_SHOWN: Final = ("row", "message", "resource", "record_index", "body", "observed_at")
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^ ]+')
_ATTRIBUTE, _RESOURCE, _METRIC, _LABEL, _LINE = "attributes:", "resource:", "metric:", "label:", "line:"


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What is said to become of every field of a format."""

    body: str
    fields: tuple[str, ...]
    paths: dict[str, dict[str, Any]]
    line: str = ""


def formats() -> list[str]:
    """The formats that have samples."""
    return sorted(path.name.removesuffix(".samples.jsonl") for path in SOURCES.glob("*.samples.jsonl"))


def samples_of(source_format: str) -> list[Sample]:
    """The samples of a format."""
    lines = (SOURCES / f"{source_format}.samples.jsonl").read_text(encoding="utf-8").splitlines()
    return [Sample(**json.loads(line)) for line in lines if line.strip()]


def fidelity_of(source_format: str) -> Fidelity:
    """What is said of the fields of a format."""
    said = YAML(typ="safe", pure=True).load((SOURCES / f"{source_format}.fidelity.yaml").read_text(encoding="utf-8"))
    return Fidelity(said["body"], tuple(said.get("fields", ())), said["paths"], said.get("line", ""))


def normalised_of(samples: Sequence[Sample], source_format: str) -> Normalised:
    """The samples as one message, normalised."""
    return normalise(decode([(*message_of(samples, source_format), None)]))


def events_of(samples: Sequence[Sample], source_format: str) -> list[dict[str, Any]]:
    """What normalising makes of each sample: known columns, and under `attributes` the ones that were added."""
    normalised = normalised_of(samples, source_format)
    assert not normalised.failures, normalised.failures
    added: dict[int, dict[str, str]] = {}
    for row, key, text in normalised.attributes.iter_rows():
        if _text(samples[row].attributes.get(key)) != text:
            added.setdefault(row, {})[key] = text
    return [_shown(event, added.get(number, {})) for number, event in enumerate(normalised.events.to_dicts())]


def golden_events(source_format: str) -> list[dict[str, Any]]:
    """The events as they were checked."""
    golden: list[dict[str, Any]] = json.loads((SOURCES / f"{source_format}.events.json").read_text(encoding="utf-8"))
    return golden


def fields_of(sample: Sample, fidelity: Fidelity) -> list[str]:
    """The fields that a sample has: JSON paths with [] for a list's items, words, cells or parts of a line by name,
    attributes.
    """
    own = [f"{_ATTRIBUTE}{key}" for key in sample.attributes if key != "log.record.format"]
    if fidelity.body == "otlp":
        own += [f"{_RESOURCE}{key}" for key in sample.resource]
        own += [f"{_METRIC}{point['name']}" for point in sample.points]
        own += [f"{_LABEL}{key}" for point in sample.points for key in point.get("labels", {})]
        return list(dict.fromkeys(own))
    return [*_fields_of_body(sample.body, fidelity), *own]


def _fields_of_body(body: str, fidelity: Fidelity) -> list[str]:
    how = _how(body, fidelity)
    if how == "json":
        try:
            return list(dict.fromkeys(_paths(json.loads(body))))
        except ValueError:
            return []
    if how == "line":
        return list(_parts_of_line(body, fidelity))
    return [name for name, _ in zip(fidelity.fields, _split(body, how), strict=False)]


def without(sample: Sample, path: str, fidelity: Fidelity) -> Sample:
    """The sample without one field; a word or a part of a line becomes '-', a cell ''."""
    kind, mark, key = path.partition(":")
    match f"{kind}{mark}":
        case "attributes:":
            return replace(sample, attributes=_but(sample.attributes, key))
        case "resource:" if fidelity.body == "otlp":
            return replace(sample, resource=_but(sample.resource, key))
        case "metric:" if fidelity.body == "otlp":
            return replace(sample, points=[point for point in sample.points if point["name"] != key])
        case "label:" if fidelity.body == "otlp":
            points = [{**point, "labels": _but(point.get("labels", {}), key)} for point in sample.points]
            return replace(sample, points=points)
    return replace(sample, body=_body_without(sample.body, path, fidelity))


def _body_without(body: str, path: str, fidelity: Fidelity) -> str:
    how = _how(body, fidelity)
    if how == "json":
        return json.dumps(_pruned(json.loads(body), path))
    if how == "line":
        begin, end = _parts_of_line(body, fidelity)[path]
        return f"{body[:begin]}-{body[end:]}"
    parts = _split(body, how)
    parts[fidelity.fields.index(path)] = "-" if how == "words" else ""
    if how == "words":
        return " ".join(parts)
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(parts)
    return text.getvalue()


def _how(body: str, fidelity: Fidelity) -> str:
    """How this body divides into fields."""
    if body.startswith("{"):
        return "json"
    return "line" if fidelity.line and re.search(fidelity.line, body) else fidelity.body


def _parts_of_line(body: str, fidelity: Fidelity) -> dict[str, tuple[int, int]]:
    """The named parts of a line, and where each stands."""
    found = re.search(fidelity.line, body)
    assert found, body
    return {f"{_LINE}{name}": found.span(name) for name, text in found.groupdict().items() if text is not None}


def _but(given: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in given.items() if name != key}


def changes(source_format: str, fidelity: Fidelity) -> dict[str, tuple[set[str], set[str]]]:
    """Every field → columns and attributes that change in some sample when the field is taken out."""
    samples = samples_of(source_format)
    taken = [(sample, path) for sample in samples for path in fields_of(sample, fidelity)]
    whole = {id(sample): event for sample, event in zip(samples, events_of(samples, source_format), strict=True)}
    rest = events_of([without(sample, path, fidelity) for sample, path in taken], source_format)
    found: dict[str, tuple[set[str], set[str]]] = {}
    for (sample, path), after in zip(taken, rest, strict=True):
        before = whole[id(sample)]
        columns, attributes = found.setdefault(path, (set(), set()))
        columns |= {name for name in {*before, *after} - {"attributes"} if before.get(name) != after.get(name)}
        both = before.get("attributes", {}), after.get("attributes", {})
        attributes |= {key for key in {*both[0], *both[1]} if both[0].get(key) != both[1].get(key)}
    return found


def _text(value: object) -> str | None:
    """A sent value as decoding writes it."""
    return value if isinstance(value, str | None) else json.dumps(value, separators=(",", ":"))


def _shown(event: dict[str, Any], added: dict[str, str]) -> dict[str, Any]:
    known = {
        name: _plain(value)
        for name, value in event.items()
        if name not in _NOT_SHOWN and value not in (None, [], False)
    }
    return {**known, **({"attributes": dict(sorted(added.items()))} if added else {})}


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex()
    return value.isoformat() if isinstance(value, dt.datetime) else value


def _paths(value: object, at: str = "") -> Iterator[str]:
    """Paths of everything that holds no further value; `a.b`, `a[].b`. A dot in a name stands as it is."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _paths(below, f"{at}.{name}" if at else name)
    elif isinstance(value, list) and value:
        for below in value:
            yield from _paths(below, f"{at}[]")
    elif at:
        yield at


def _pruned(value: object, path: str, at: str = "") -> object:
    """A copy of the value without what stands at the path."""
    if isinstance(value, dict):
        return {
            name: _pruned(below, path, inner)
            for name, below in value.items()
            if (inner := f"{at}.{name}" if at else name) != path
        }
    if isinstance(value, list):
        inner = f"{at}[]"
        return [_pruned(below, path, inner) for below in value if inner != path or isinstance(below, dict | list)]
    return copy.copy(value)


def _split(body: str, how: str) -> list[str]:
    return _WORD.findall(body) if how == "words" else next(csv.reader([body]))


def _body_of(source_format: str) -> str:
    return "otlp" if source_format in OTLP else "json"


def _write(source_format: str) -> None:
    samples = samples_of(source_format)
    events = events_of(samples, source_format)
    path = SOURCES / f"{source_format}.events.json"
    path.write_text(json.dumps(events, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(events)} events; check each by hand\n")
    named = SOURCES / f"{source_format}.fidelity.yaml"
    fidelity = fidelity_of(source_format) if named.exists() else Fidelity(_body_of(source_format), (), {})
    for field_path, (columns, attributes) in sorted(changes(source_format, fidelity).items()):
        said = {"column": sorted(columns)} if columns else {}
        said |= {"attribute": sorted(attributes)} if attributes else {}
        known = fidelity.paths.get(field_path, {}).get("raw")
        sys.stdout.write(f"  {json.dumps(field_path)}: {json.dumps(said or {'raw': known or 'WHY'})}\n")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        _write(each)
