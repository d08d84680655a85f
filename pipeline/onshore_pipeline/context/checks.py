"""What every row of a user's registry must keep to, column by column, as `declared` says."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.countries import read_date
from onshore_pipeline.context.dated import known_from
from onshore_pipeline.context.networks import read_network
from onshore_pipeline.context.weights import read_places

if TYPE_CHECKING:
    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.csv_table import Row
    from onshore_pipeline.context.declared import Field, Registry

NONE: Final = "none"
_KEY_BYTES: Final = 32


def check_row(row: Row, registry: Registry, countries: Countries) -> None:
    """Refuse what a column may not hold. Raises `ContextError` for the first such cell."""
    for field in registry.fields:
        if row.get(field.name) is not None:
            _check_cell(row, field, countries)
        elif field.required and not field.blank:
            hint = "; write none if there is none" if field.kind == "words" else ""
            raise row.error(f"column '{field.name}' is empty{hint}", field.name)


def check_filled(row: Row, registry: Registry) -> None:
    """Refuse a row that leaves out what it must say. Raises `ContextError`."""
    for field in registry.fields:
        if field.required and not field.blank:
            row.require(field.name)
    if registry.one_of and all(row.get(name) is None for name in registry.one_of):
        raise row.error(f"none of {', '.join(registry.one_of)} is filled: give one at least")


def read_countries_of(row: Row, column: str, countries: Countries) -> tuple[str, ...]:
    """Several countries as alpha-2, sorted; ('none',) where the cell says so. Raises `ContextError`."""
    found = []
    for word in row.several(column):
        code = NONE if word.lower() == NONE else countries.by_spelling.get(word.upper())
        if code is None:
            why = f"column '{column}': '{word}' is no country; write ISO 3166-1 codes, such as AU JP"
            raise row.error(why, column)
        found.append(code)
    if NONE in found and len(found) > 1:
        raise row.error(f"column '{column}' says none beside countries: write one or the other", column)
    return tuple(sorted(set(found)))


def read_words(row: Row, column: str) -> tuple[str, ...]:
    """Several words in lower case, sorted; ('none',) where the cell says so. Raises `ContextError`."""
    words = sorted({word.lower() for word in row.several(column)})
    if NONE in words and len(words) > 1:
        raise row.error(f"column '{column}' says none beside others: write one or the other", column)
    return tuple(words)


def read_key(row: Row, column: str) -> bytes:
    """An Ed25519 public key. Raises `ContextError`."""
    text = row.require(column)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise row.error(f"column '{column}' is not base64: {error}", column) from error
    if len(key) != _KEY_BYTES:
        raise row.error(f"column '{column}' holds {len(key)} bytes, an Ed25519 public key has {_KEY_BYTES}", column)
    return key


def _check_cell(row: Row, field: Field, countries: Countries) -> None:
    match field.kind:
        case "country":
            countries.of(row, field.name)
        case "countries":
            read_countries_of(row, field.name, countries)
        case "words":
            read_words(row, field.name)
        case "day":
            read_date(row, field.name)
        case "moment":
            known_from(row)
        case "truth":
            row.truth(field.name)
        case "network":
            read_network(row, field.name)
        case "key":
            read_key(row, field.name)
        case "places":
            read_places(row, field.name)
        case _:
            pass
