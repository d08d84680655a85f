"""The needed fields of JSON records, from their text to flat text columns."""

from __future__ import annotations

import json
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Final

import polars as pl
from polars.exceptions import ComputeError

from onshore_pipeline.distinct import nulls

if TYPE_CHECKING:
    from collections.abc import Mapping

ITEMS: Final = "[]"  # in a path: every item of the list that stands there

_ROWS_AT_ONCE: Final = 512
_FEW_ROWS: Final = 8
_SURROGATES: Final = ["\\ud", "\\uD"]


def read_fields(texts: pl.Series, paths: Mapping[str, tuple[str, ...]]) -> pl.DataFrame:
    """One text column a path, row by row; null where the text is no JSON object or holds no plain value there.

    A path that leads through `ITEMS` gives a list of texts: of every list on the way all items that hold a plain value
    there, in order; null where nothing stands; one value for itself is a list of it. Numbers and booleans are given as
    text, whole numbers without a fraction. Of duplicate keys the first counts.
    """
    if texts.null_count() == len(texts):
        return nulls(len(texts), _schema(paths))
    shape, fields = _plan(tuple(paths.items()))
    plain, careful = _objects(texts), dict[int, list[str | list[str] | None]]()
    doubtful = _may_hold_surrogates(plain)
    parts = []
    for start in range(0, len(plain), _ROWS_AT_ONCE):
        part = plain.slice(start, _ROWS_AT_ONCE)
        parts += _decoded(part, start, shape, paths, careful, doubtful=doubtful)
    # Decoding is fastest in parts that the processor's caches hold, taking fields apart in all at once.
    found = pl.concat(parts, rechunk=True).alias("record").to_frame().select(fields)
    if not careful:
        return found
    rows = pl.DataFrame(list(careful.values()), schema=_schema(paths), orient="row")
    places = pl.Series(range(len(found)), dtype=pl.UInt32)
    behind = pl.Series(range(len(found), len(found) + len(rows)), dtype=pl.UInt32)
    return pl.concat([found, rows])[places.scatter(list(careful), behind)]


def _objects(texts: pl.Series) -> pl.Series:
    """The texts that may be objects, others null."""
    if texts.str.starts_with("{").all():
        return texts
    stripped = texts.str.strip_chars()
    return stripped.set(~stripped.str.starts_with("{"), None)


def _may_hold_surrogates(texts: pl.Series) -> bool:
    return any(texts.str.contains(escape, literal=True).any() for escape in _SURROGATES)


def _schema(paths: Mapping[str, tuple[str, ...]]) -> dict[str, pl.DataType]:
    return {column: pl.List(pl.String()) if ITEMS in path else pl.String() for column, path in paths.items()}


@cache  # of a few mappings, each of a module
def _plan(paths: tuple[tuple[str, tuple[str, ...]], ...]) -> tuple[pl.DataType, list[pl.Expr]]:
    """The type that holds these paths, and what gives each column out of a column `record` of that type."""
    return _shape(dict(paths)), [_field(pl.col("record"), path).alias(column) for column, path in paths]


def _decoded(
    texts: pl.Series,
    start: int,
    shape: pl.DataType,
    paths: Mapping[str, tuple[str, ...]],
    careful: dict[int, list[str | list[str] | None]],
    *,
    doubtful: bool,
) -> list[pl.Series]:
    """The texts as one struct each; those that only the careful way reads are null, and go with their place there."""
    # A lone surrogate would be read as NUL; whatever may hold one is read the careful way.
    if not (doubtful and _may_hold_surrogates(texts)):
        with suppress(ComputeError):
            return [texts.str.json_decode(shape)]
    # One text of another shape refuses them all (CloudTrail's "requestParameters" may be a text instead of an object):
    # halves are tried until it is among few.
    if len(texts) > _FEW_ROWS:
        half = len(texts) // 2
        first = _decoded(texts.slice(0, half), start, shape, paths, careful, doubtful=doubtful)
        return [*first, *_decoded(texts.slice(half), start + half, shape, paths, careful, doubtful=doubtful)]
    for place, text in enumerate(texts.to_list(), start):
        careful[place] = _read_one(text, paths)
    return [pl.Series([None], dtype=shape).new_from_index(0, len(texts))]


def _shape(paths: Mapping[str, tuple[str, ...]]) -> pl.DataType:
    """The type that holds exactly these paths. A path may not lead through another one's end."""
    below: dict[str, dict[str, tuple[str, ...]]] = {}
    for column, path in paths.items():
        if path:
            below.setdefault(path[0], {})[column] = path[1:]
    if ITEMS in below:
        return pl.List(_shape(below[ITEMS]))
    return pl.Struct({name: _shape(inner) for name, inner in below.items()}) if below else pl.String()


def _field(value: pl.Expr, path: tuple[str, ...]) -> pl.Expr:
    if not path:
        return value
    if path[0] != ITEMS:
        return _field(value.struct.field(path[0]), path[1:])
    inner = _field(pl.element(), path[1:])
    return value.list.eval(inner.explode() if ITEMS in path[1:] else inner).list.drop_nulls()


def _read_one(text: str | None, paths: Mapping[str, tuple[str, ...]]) -> list[str | list[str] | None]:
    try:
        record = json.loads(text or "null", object_pairs_hook=_first_of_duplicates, parse_constant=_refuse)
    except (ValueError, RecursionError):
        record = None
    return [_items(record, path) if ITEMS in path else _plain(record, path) for path in paths.values()]


def _first_of_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(pairs))


def _refuse(constant: str) -> object:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def _items(value: object, path: tuple[str, ...]) -> list[str] | None:
    """The texts of every list's items at the path."""
    at = path.index(ITEMS)
    for name in path[:at]:
        value = value.get(name) if isinstance(value, dict) else None
    if value is None:
        return None
    value = value if isinstance(value, list) else [value]  # as the fast reader takes it
    rest = path[at + 1 :]
    if ITEMS in rest:
        return [text for item in value for text in _items(item, rest) or ()]
    return [text for item in value if (text := _plain(item, rest)) is not None]


def _plain(value: object, path: tuple[str, ...]) -> str | None:
    """The text at the path, written as the fast reader writes it."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value) if isinstance(value, bool | int | float) else None
