"""The registries that a user may write, column by column: what files may hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal[
    "text", "word", "words", "country", "countries", "day", "moment", "truth", "network", "number", "key",
    "domain", "pairs", "duration", "instant", "keep", "places",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Field:
    """One column.

    Attributes:
        name: of the column.
        kind: what a cell holds: `words` and `countries` are several, apart by blanks (in YAML a list), `key` is an
            Ed25519 public key in base64, `places` are where objects lie, as `domain.object_place` spells them.
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
        one_of: columns of which a row fills at least one; none: it need not.
    """

    name: str
    about: str
    fields: tuple[Field, ...]
    key: tuple[str, ...]
    one_of: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns, in their order."""
        return tuple(field.name for field in self.fields)

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


def must(name: str, kind: Kind, about: str, *, blank: bool = False) -> Field:
    """A column that every file must have, and, unless it may be `blank`, every row must fill."""
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
            must("network", "network", "CIDR block or address; the innermost counts"),
            Field("country", "country", "where it is"),
            Field("facility", "text", "of facilities, instead of a country or beside it"),
            Field("entity", "text", "whose it is"),
        ),
        _registry(
            "approvals", "Who approved what, until when.",
            must("approval", "text", "its id"),
            must("approved_by", "text", "who gave it"),
            Field("actor", "text", "for this actor's id; blank: for anybody"),
            Field("action", "word", "for this action, such as admin.session; blank: for any"),
            *_DATA,
            Field("destination", "text", "to this organisation or country; blank: to any"),
        ),
        _registry(
            "attestors", "Whose signed statements about places count.",
            must("attestor", "text", "its name, as `iss` of a statement says it"),
            must("public_key", "key", "Ed25519, 32 bytes in base64"),
            Field("countries", "countries", "the only countries it may speak for; blank: any"),
            key=("attestor", "public_key"),
        ),
        _registry(
            "cloud_regions", "Cloud regions; a row replaces the shipped one.",
            must("provider", "word", "aws, azure, gcp, ..."),
            must("region", "text", "as the provider spells it"),
            must("country", "country", "where it stands; blank: its name says nothing", blank=True),
            Field("name", "text", "for people"),
            Field("operator", "text", "who runs it where that is not the provider"),
            Field("source", "text", "where you know it from"),
            _CONFIDENCE,
            key=("provider", "region"),
        ),
        _registry(
            "collectors", "On which machine collectors of yours sit, that a token of their own names.",
            must("collector", "text", "its name, as `onshore tenants add --collector` bound it to a token"),
            must("host", "text", "the machine, by the name or id that it sends (host.name, host.id), in any case"),
            Field("facility", "text", "where that machine is, of facilities; or a country instead"),
            Field("country", "country", "where it is, instead of a facility"),
        ),
        _registry(
            "datasets", "What your datasets hold and where they must stay.",
            must("dataset", "text", "its name, as events say it"),
            must("categories", "words", "personal, health, ...; none: holds nothing of that kind"),
            Field("classification", "text", "its marking"),
            _HOME,
        ),
        _registry(
            "entities", "Organisations and who owns them.",
            must("name", "text", "as events and other registries spell it, in any case"),
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
            must("facility", "text", "its name, in any case"),
            must("country", "country", "where it is"),
            Field("entity", "text", "who runs it"),
            Field("administered_from", "countries", "from where it is administered"),
        ),
        _registry(
            "hosts", "Whose named hosts are, and where.",
            must("host_pattern", "text", "a host; `*.` in front is any labels, `*` one label, {region} a region"),
            Field("entity", "text", "whose it is"),
            Field("country", "country", "where it is"),
            Field("countries", "countries", "the countries it may be in, where it is not in one"),
            Field("provider", "word", "cloud whose region names it carries"),
            Field("reroutes", "truth", "yes: it passes calls on, its place says nothing"),
        ),
        _registry(
            "keys", "Who holds encryption keys, and where.",
            must("key", "text", "its id, as events say it"),
            Field("custodian", "text", "who holds it"),
            Field("country", "country", "where it is held"),
        ),
        _registry(
            "model_endpoints", "Hosts that serve models; a row replaces the shipped one.",
            must("host_pattern", "text", "as in hosts"),
            must("operator", "text", "whose it is"),
            must("operator_parent_country", "country", "country of the ultimate parent", blank=True),
            Field("provider", "word", "cloud whose region names it carries"),
            Field("country", "country", "where it is"),
            Field("countries", "countries", "the countries it may be in, where it is not in one"),
            Field("reroutes", "truth", "yes: it passes calls on, its place says nothing"),
            Field("profiles", "truth", "yes: a model's name may carry a cross-region profile"),
            _CONFIDENCE,
        ),
        _registry(
            "models", "Models that are yours: where their weights must stay.",
            must("model", "text", "its name, as events say it"),
            Field("digest", "text", "of its weights, as object_digest says it"),
            Field("weights", "places", "where its weights lie: folders or objects, such as s3://bucket/folder/"),
            Field("categories", "words", "of what it was trained on; none: nothing of that kind"),
            Field("classification", "text", "its marking"),
            _HOME,
        ),
        _registry(
            "operators", "Networks by number; a row replaces the shipped one.",
            must("asn", "number", "such as 64500"),
            must("operator", "text", "who runs it"),
            must("parent_country", "country", "country of the ultimate parent", blank=True),
            Field("as_org", "text", "as registered"),
            Field("ultimate_parent", "text", "its owner in the end"),
            Field("kind", "word", "hyperscaler, cloud, cdn, model and transit lend addresses to others"),
            _CONFIDENCE,
        ),
        _registry(
            "people", "Who people are, as their ids in events.",
            must("person", "text", "the id, as actor_id says it"),
            Field("employer", "text", "who employs them"),
            Field("country", "country", "where they work; claims that disagree are a contradiction"),
            Field("nationality", "country", "of the person"),
        ),
        _registry(
            "tenants", "Where tenants are at home.",
            must("tenant", "text", "its name"),
            _HOME,
        ),
        _registry(
            "transfer_bases", "On what basis data may go from whom to whom.",
            must("basis", "word", "contract, consent, ..., as transfer_basis says it"),
            Field("source", "text", "from this organisation or country; blank: from any"),
            Field("destination", "text", "to this organisation or country; blank: to any"),
            *_DATA,
            key=("source", "destination", "dataset", "category", "basis"),
        ),
    )
}  # fmt: skip
