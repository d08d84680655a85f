"""JSON Schema (2020-12) of the registries and registers, for editors that check while somebody writes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.context.declared import REGISTRIES
from onshore_pipeline.context.registers import DURATION, KEEP, REGISTERS
from onshore_pipeline.coverage_names import NAMING_KEYS
from onshore_pipeline.domain.event import DOMAINS

if TYPE_CHECKING:
    from onshore_pipeline.context.declared import Kind, Registry

ALL: Final = {**REGISTRIES, **REGISTERS}

_NAMED: Final = "|".join(key.replace(".", "[.]") for key in NAMING_KEYS)
_INSTANT: Final = "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}:[0-9]{2}))?"
_SHAPES: Final[dict[Kind, dict[str, Any]]] = {
    "text": {"type": "string", "minLength": 1},
    "word": {"type": "string", "minLength": 1},
    "words": {"type": ["array", "string"], "items": {"type": "string"}},
    "country": {"type": "string", "description": "ISO 3166-1 alpha-2 or alpha-3, or the English name"},
    "countries": {"type": ["array", "string"], "items": {"type": "string"}},
    "day": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "moment": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?Z)?$"},
    "truth": {"enum": ["yes", "no", True, False]},
    "network": {"type": "string"},
    "number": {"type": ["integer", "string"], "pattern": "^[0-9]+$"},
    "key": {"type": "string", "pattern": "^[A-Za-z0-9+/]{43}=?$"},
    "domain": {"enum": list(DOMAINS)},
    "pairs": {"type": "array", "items": {"type": "string", "pattern": f"^({_NAMED})=.+$"}},
    "duration": {"type": "string", "pattern": f"^({DURATION})$"},
    "instant": {"type": ["string", "null"], "pattern": f"^({_INSTANT})$"},
    "keep": {"type": "string", "pattern": f"^({KEEP})$"},
    "places": {"type": ["array", "string"], "items": {"type": "string"}},
}


def schema_of(registry: Registry) -> dict[str, Any]:
    """JSON Schema (2020-12) of a registry written as YAML or JSON: a list of rows."""
    properties = {}
    for field in registry.fields:
        shape = _SHAPES[field.kind]
        about = "; ".join(part for part in (field.about, shape.get("description")) if part)
        properties[field.name] = {**shape, "description": about}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": registry.name,
        "description": registry.about,
        "type": "array",
        "items": {
            "type": "object",
            "properties": properties,
            "required": [field.name for field in registry.fields if field.required and not field.blank],
            "additionalProperties": False,
            **({"anyOf": [{"required": [name]} for name in registry.one_of]} if registry.one_of else {}),
        },
    }


def schema() -> dict[str, Any]:
    """JSON Schema of all registries in one document, each under `$defs`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Onshore registries",
        "description": "Each registry is a file NAME.yaml (a list of rows) or NAME.csv in the context directory;"
        f" {' and '.join(REGISTERS)} are NAME.yaml.",
        "$defs": {
            name: {key: value for key, value in schema_of(registry).items() if key != "$schema"}
            for name, registry in ALL.items()
        },
    }
