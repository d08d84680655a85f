"""Samples of source formats: what normalising makes of them, and what becomes of each of their fields.

A format has three files in tests/golden/sources:

    FORMAT.samples.jsonl   a sample a line: about, body, and where it has them attributes, resource, scope, event_name
    FORMAT.events.json     what normalising makes of each: columns that are known, and attributes that were added
    FORMAT.fidelity.yaml   body: json, words or csv (how the body divides into fields); fields: the names of words or
                           cells, in order; paths: field → column: NAME or [NAMES], attribute: NAME or [NAMES], or
                           raw: why no column holds it

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
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from ruamel.yaml import YAML

from onshore_pipeline.normalise.normalise import normalise
from onshore_pipeline.wire.decode import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from onshore_pipeline.normalise.frames import Normalised

SOURCES: Final = Path(__file__).parents[1] / "golden" / "sources"
OBSERVED_NS: Final = 1_790_000_000_000_000_000
_NOT_SHOWN: Final = ("row", "message", "resource", "record_index", "body", "observed_at")
_WORD: Final = re.compile(r'"(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^ ]+')
_ATTRIBUTE: Final = "attributes:"


@dataclass(frozen=True, slots=True)
class Sample:
    """One record as a source writes it and a collector sends it."""

    body: str
    about: str = ""
    attributes: dict[str, str] = field(default_factory=dict)
    resource: dict[str, str] = field(default_factory=dict)
    scope: dict[str, str] = field(default_factory=dict)
    event_name: str = ""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """What is said to become of every field of a format."""

    body: str
    fields: tuple[str, ...]
    paths: dict[str, dict[str, Any]]


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
    return Fidelity(said["body"], tuple(said.get("fields", ())), said["paths"])


def normalised_of(samples: Sequence[Sample], source_format: str) -> Normalised:
    """The samples as one message, normalised."""
    request = ExportLogsServiceRequest()
    for sample in samples:
        group = request.resource_logs.add()
        _put(group.resource.attributes, sample.resource)
        scope = group.scope_logs.add()
        said = "log.record.format" in {**sample.resource, **sample.attributes} or sample.scope or sample.event_name
        _put(scope.scope.attributes, sample.scope if said else {"encoding.format": source_format})
        record = scope.log_records.add(observed_time_unix_nano=OBSERVED_NS, event_name=sample.event_name)
        record.body.string_value = sample.body
        _put(record.attributes, sample.attributes)
    return normalise(decode([("otlp_logs", request.SerializeToString(), None)]))


def events_of(samples: Sequence[Sample], source_format: str) -> list[dict[str, Any]]:
    """What normalising makes of each sample: known columns, and under `attributes` the ones that were added."""
    normalised = normalised_of(samples, source_format)
    assert not normalised.failures, normalised.failures
    added: dict[int, dict[str, str]] = {}
    for row, key, text in normalised.attributes.iter_rows():
        if samples[row].attributes.get(key) != text:
            added.setdefault(row, {})[key] = text
    return [_shown(event, added.get(number, {})) for number, event in enumerate(normalised.events.to_dicts())]


def golden_events(source_format: str) -> list[dict[str, Any]]:
    """The events as they were checked."""
    golden: list[dict[str, Any]] = json.loads((SOURCES / f"{source_format}.events.json").read_text(encoding="utf-8"))
    return golden


def fields_of(sample: Sample, fidelity: Fidelity) -> list[str]:
    """The fields that a sample has: JSON paths with [] for a list's items, words or cells by name, attributes."""
    own = [f"{_ATTRIBUTE}{key}" for key in sample.attributes if key != "log.record.format"]
    if fidelity.body == "json":
        try:
            found = list(dict.fromkeys(_paths(json.loads(sample.body))))
        except ValueError:
            found = []
        return [*found, *own]
    return [*(name for name, _ in zip(fidelity.fields, _split(sample.body, fidelity.body), strict=False)), *own]


def without(sample: Sample, path: str, fidelity: Fidelity) -> Sample:
    """The sample without one field; a word becomes '-', a cell ''."""
    if path.startswith(_ATTRIBUTE):
        key = path.removeprefix(_ATTRIBUTE)
        return replace(sample, attributes={name: text for name, text in sample.attributes.items() if name != key})
    if fidelity.body == "json":
        value = json.loads(sample.body)
        return replace(sample, body=json.dumps(_pruned(value, path)))
    parts = _split(sample.body, fidelity.body)
    parts[fidelity.fields.index(path)] = "-" if fidelity.body == "words" else ""
    if fidelity.body == "words":
        return replace(sample, body=" ".join(parts))
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(parts)
    return replace(sample, body=text.getvalue())


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


def _put(attributes: Any, given: dict[str, str]) -> None:
    for key, text in given.items():
        attributes.add(key=key).value.string_value = text


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


def _write(source_format: str) -> None:
    samples = samples_of(source_format)
    events = events_of(samples, source_format)
    path = SOURCES / f"{source_format}.events.json"
    path.write_text(json.dumps(events, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(f"{path}: {len(events)} events; check each by hand\n")
    named = SOURCES / f"{source_format}.fidelity.yaml"
    fidelity = fidelity_of(source_format) if named.exists() else Fidelity("json", (), {})
    for field_path, (columns, attributes) in sorted(changes(source_format, fidelity).items()):
        said = {"column": sorted(columns)} if columns else {}
        said |= {"attribute": sorted(attributes)} if attributes else {}
        known = fidelity.paths.get(field_path, {}).get("raw")
        sys.stdout.write(f"  {json.dumps(field_path)}: {json.dumps(said or {'raw': known or 'WHY'})}\n")


if __name__ == "__main__":
    for each in sys.argv[1:]:
        _write(each)
