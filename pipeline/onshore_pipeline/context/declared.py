"""The registries that a user may write, column by column: what files may hold, and the JSON Schema made from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["text", "word", "words", "country", "countries", "day", "moment", "truth", "network", "number", "key"]


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        name: of the column.
        kind: what a cell holds: `words` and `countries` are several, apart by blanks (in YAML a list), `key` is an
            Ed25519 public key in base64.
        about: what it says.
        required: whether every file must have it.
        blank: whether a row may leave it blank all the same.
    """

    name: str
    kind: Kind
    about: str
    required: bool = False
    blank: bool = False


@dataclass(frozen=True, slots=True)
class Registry:
    """One registry.

    Attributes:
        name: of the file, without `.csv` or `.yaml`.
        about: what it says.
        fields: its columns.
        key: columns that name what a row is about; rows of one key are the same thing at other times.
    """

    name: str
    about: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """Columns that the file must have."""
        return tuple(field.name for field in self.fields if field.required)

    @property
    def optional(self) -> tuple[str, ...]:
        """Columns that the file may have."""
        return tuple(field.name for field in self.fields if not field.required)


_NOTE: Final = Field("note", "text", "anything; not read")
_TIMES: Final = (
    Field("valid_from", "day", "first day on which the row is true of the world; blank: always was"),
    Field("valid_to", "day", "last day on which it is true; blank: until further notice"),
    Field(
        "known_from",
        "moment",
        "since when you knew it: a day, or a time in UTC; of rows about the same days the one known last counts",
    ),
)


def _registry(name: str, about: str, *fields: Field, key: tuple[str, ...] | None = None) -> Registry:
    return Registry(name, about, (*fields, *_TIMES, _NOTE), key or (fields[0].name,))


def _must(name: str, kind: Kind, about: str, *, blank: bool = False) -> Field:
    return Field(name, kind, about, required=True, blank=blank)


_HOME: Final = Field("home", "countries", "countries in which the data must stay; none: it may be anywhere")
_CONFIDENCE: Final = Field("confidence", "word", "sure, likely or check; a row marked check is never used")
_DATA: Final = (
    Field("dataset", "text", "of this dataset; blank: of any"),
    Field("category", "word", "of data of this category; blank: of any"),
)

REGISTRIES: Final[dict[str, Registry]] = {
    registry.name: registry
    for registry in (
        _registry(
            "addresses", "Where your address ranges are.",
            _must("network", "network", "CIDR block or address; the innermost counts"),
            Field("country", "country", "where it is"),
            Field("facility", "text", "of facilities, instead of a country or beside it"),
            Field("entity", "text", "whose it is"),
        ),
        _registry(
            "approvals", "Who approved what, until when.",
            _must("approval", "text", "its id"),
            _must("approved_by", "text", "who gave it"),
            Field("actor", "text", "for this actor's id; blank: for anybody"),
            Field("action", "word", "for this action, such as admin.session; blank: for any"),
            *_DATA,
            Field("destination", "text", "to this organisation or country; blank: to any"),
        ),
        _registry(
            "attestors", "Whose signed statements about places count.",
            _must("attestor", "text", "its name, as `iss` of a statement says it"),
            _must("public_key", "key", "Ed25519, 32 bytes in base64"),
            Field("countries", "countries", "the only countries it may speak for; blank: any"),
            key=("attestor", "public_key"),
        ),
        _registry(
            "cloud_regions", "Cloud regions; a row replaces the shipped one.",
            _must("provider", "word", "aws, azure, gcp, ..."),
            _must("region", "text", "as the provider spells it"),
            _must("country", "country", "where it stands; blank: its name says nothing", blank=True),
            Field("name", "text", "for people"),
            Field("operator", "text", "who runs it where that is not the provider"),
            Field("source", "text", "where you know it from"),
            _CONFIDENCE,
            key=("provider", "region"),
        ),
        _registry(
            "datasets", "What your datasets hold and where they must stay.",
            _must("dataset", "text", "its name, as events say it"),
            _must("categories", "words", "personal, health, ...; none: holds nothing of that kind"),
            Field("classification", "text", "its marking"),
            _HOME,
        ),
        _registry(
            "entities", "Organisations and who owns them.",
            _must("name", "text", "as events and other registries spell it, in any case"),
            Field("country", "country", "where it is registered"),
            Field("control_country", "country", "of the ultimate parent"),
            Field("parent", "text", "the ultimate parent"),
            Field("law", "countries", "further countries whose law reaches it"),
            Field("effective_from", "day", "the same as valid_from"),
            Field("effective_to", "day", "the same as valid_to"),
            _CONFIDENCE,
        ),
        _registry(
            "facilities", "Where data centres and offices are.",
            _must("facility", "text", "its name, in any case"),
            _must("country", "country", "where it is"),
            Field("entity", "text", "who runs it"),
            Field("administered_from", "countries", "from where it is administered"),
        ),
        _registry(
            "hosts", "Whose named hosts are, and where.",
            _must("host_pattern", "text", "a host; `*.` in front is any labels, `*` one label, {region} a region"),
            Field("entity", "text", "whose it is"),
            Field("country", "country", "where it is"),
            Field("countries", "countries", "the countries it may be in, where it is not in one"),
            Field("provider", "word", "cloud whose region names it carries"),
            Field("reroutes", "truth", "yes: it passes calls on, its place says nothing"),
        ),
        _registry(
            "keys", "Who holds encryption keys, and where.",
            _must("key", "text", "its id, as events say it"),
            Field("custodian", "text", "who holds it"),
            Field("country", "country", "where it is held"),
        ),
        _registry(
            "model_endpoints", "Hosts that serve models; a row replaces the shipped one.",
            _must("host_pattern", "text", "as in hosts"),
            _must("operator", "text", "whose it is"),
            _must("operator_parent_country", "country", "country of the ultimate parent", blank=True),
            Field("provider", "word", "cloud whose region names it carries"),
            Field("country", "country", "where it is"),
            Field("countries", "countries", "the countries it may be in, where it is not in one"),
            Field("reroutes", "truth", "yes: it passes calls on, its place says nothing"),
            Field("profiles", "truth", "yes: a model's name may carry a cross-region profile"),
            _CONFIDENCE,
        ),
        _registry(
            "models", "Models that are yours: where their weights must stay.",
            _must("model", "text", "its name, as events say it"),
            Field("digest", "text", "of its weights, as object_digest says it"),
            Field("categories", "words", "of what it was trained on; none: nothing of that kind"),
            Field("classification", "text", "its marking"),
            _HOME,
        ),
        _registry(
            "operators", "Networks by number; a row replaces the shipped one.",
            _must("asn", "number", "such as 64500"),
            _must("operator", "text", "who runs it"),
            _must("parent_country", "country", "country of the ultimate parent", blank=True),
            Field("as_org", "text", "as registered"),
            Field("ultimate_parent", "text", "its owner in the end"),
            Field("kind", "word", "hyperscaler, cloud, cdn, model and transit lend addresses to others"),
            _CONFIDENCE,
        ),
        _registry(
            "people", "Who people are, as their ids in events.",
            _must("person", "text", "the id, as actor_id says it"),
            Field("employer", "text", "who employs them"),
            Field("country", "country", "where they work; claims that disagree are a contradiction"),
            Field("nationality", "country", "of the person"),
        ),
        _registry(
            "tenants", "Where tenants are at home.",
            _must("tenant", "text", "its name"),
            _HOME,
        ),
        _registry(
            "transfer_bases", "On what basis data may go from whom to whom.",
            _must("basis", "word", "contract, consent, ..., as transfer_basis says it"),
            Field("source", "text", "from this organisation or country; blank: from any"),
            Field("destination", "text", "to this organisation or country; blank: to any"),
            *_DATA,
            key=("source", "destination", "dataset", "category", "basis"),
        ),
    )
}  # fmt: skip

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
        },
    }


def schema() -> dict[str, Any]:
    """JSON Schema of all registries in one document, each under `$defs`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Onshore registries",
        "description": "Each registry is a file NAME.yaml (a list of rows) or NAME.csv in the context directory.",
        "$defs": {
            name: {key: value for key, value in schema_of(registry).items() if key != "$schema"}
            for name, registry in REGISTRIES.items()
        },
    }
