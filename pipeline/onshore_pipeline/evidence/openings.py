"""Openings: what a bundle discloses of committed fields, one line an event (docs/bundle-format.md, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from onshore_pipeline.domain.event import Kind
from onshore_pipeline.evidence import merkle
from onshore_pipeline.evidence.canonical import COMMITTED
from onshore_pipeline.evidence.redaction import MAPS, Disclosure, repeats, repeats_own
from onshore_pipeline.evidence.row_code import SALT_SIZE, Spelling
from onshore_pipeline.evidence.rows import Part, digests, texts
from onshore_pipeline.evidence.seal import event_salts, salted_resources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from onshore_pipeline.domain.event import Column
    from onshore_pipeline.evidence.seal import SealedMessage

_PSEUDONYM_DIGITS: Final = 16
_BLOCK: Final = 64  # SHA-256's, which HMAC pads its key to


@dataclass(frozen=True, slots=True)
class Openings:
    """What is opened of some events.

    Attributes:
        lines: one an event, without line ends.
        counts: how many values of each column, and keys of each map.
        opened: by column, which events have it opened.
        keys: by map, the pairs of the given frame that are opened.
    """

    lines: pl.Series
    counts: dict[str, int]
    opened: dict[str, pl.Series]
    keys: dict[str, pl.Series]


def openings(
    events: pl.DataFrame,
    attributes: pl.DataFrame,
    resource_attributes: pl.DataFrame,
    messages: Sequence[SealedMessage],
    disclosure: Disclosure,
) -> Openings:
    """Open everything that `disclosure` does not close, and that does not repeat what it closes.

    Args: as `seal.leaf_hashes`, of the events that are shown only.
    """
    salts = event_salts(events, messages)
    own = [redacted_texts(events, name) for name in _redacted_columns(disclosure)]
    maps = _maps(events, attributes, resource_attributes, messages, salts)
    members: list[pl.Series] = []
    opened: dict[str, pl.Series] = {}
    for column in COMMITTED:
        is_open = _open_column(column, events, disclosure, own)
        if column.name == "body" and is_open.any():
            is_open &= ~_says_closed_pairs(events["body"], maps, disclosure)
        opened[column.name] = is_open
        if is_open.any():
            members.append(_column_member(column, events[column.name], salts, is_open))
    keys: dict[str, pl.Series] = {}
    for name, pairs, owner_of_event, owner_salts, counts in maps:
        if name in disclosure.redacted or pairs.is_empty():
            keys[name] = pl.Series([False]).new_from_index(0, pairs.height)
            continue
        own_pairs = [values.gather(_first_owner(owner_of_event, pairs["owner"])) for values in own]
        keys[name] = _open_keys(name, pairs, disclosure, own_pairs)
        if keys[name].any():
            members.append(_map_member(name, pairs, owner_salts, counts, owner_of_event, keys[name]))
    if disclosure.pseudonymous:
        members.append(_pseudonyms(events, disclosure))
    counted = {name: int(is_open.sum()) for name, is_open in {**opened, **keys}.items()}
    return Openings(_joined(members, events.height), {name: n for name, n in counted.items() if n}, opened, keys)


def redacted_texts(events: pl.DataFrame, name: str) -> pl.Series:
    """A redactable column as the texts that it may be repeated by; addresses as hexadecimal."""
    values = events[name]
    if values.dtype == pl.Binary:
        return values.bin.encode("hex")
    return values.list.join(",") if values.dtype == pl.List(pl.String) else values


def _redacted_columns(disclosure: Disclosure) -> list[str]:
    return [column.name for column in COMMITTED if column.name in disclosure.redacted and column.kind is not Kind.WORDS]


def _open_column(column: Column, events: pl.DataFrame, disclosure: Disclosure, own: Sequence[pl.Series]) -> pl.Series:
    if column.name in disclosure.redacted:
        return pl.Series([False]).new_from_index(0, events.height)
    said = redacted_texts(events, column.name)
    return ~(repeats(said, disclosure.values) | repeats_own(said, own))


def _says_closed_pairs(bodies: pl.Series, maps: Sequence[_MapRows], disclosure: Disclosure) -> pl.Series:
    """Which bodies have a value in them of their own event's closed maps or keys."""
    found = pl.Series([False]).new_from_index(0, len(bodies))
    events = pl.DataFrame({"t": bodies}).with_row_index("row")
    for name, pairs, owner_of_event, _, _ in maps:
        keys, is_closed = disclosure.closed_keys.get(name, frozenset()), name in disclosure.redacted
        closed = pairs if is_closed else pairs.filter(pl.col("key").is_in(sorted(keys)))
        if (is_closed and not disclosure.of_maps) or closed.is_empty():
            continue
        beside = events.with_columns(owner=pl.Series(owner_of_event)).join(
            closed.select(pl.col("owner").cast(pl.Int64), v="text"), on="owner"
        )
        found = found.scatter(beside.filter(repeats_own(beside["t"], [beside["v"]]))["row"].unique(), True)
    return found


def _column_member(column: Column, values: pl.Series, salts: NDArray[np.uint8], is_open: pl.Series) -> pl.Series:
    """`,"name":["salt","value"]`, `,"name":["salt"]` where nothing is known; nothing where it stays closed."""
    name, mask = column.name.encode(), is_open.to_numpy()
    secrets = digests([Part(salts, lead=b"\x02", trail=name)], len(salts))
    parts = [Part(secrets, Spelling.HEX, lead=b',"' + name + b'":["', trail=b'"', known=mask)]
    if column.kind is Kind.WORDS:
        some = (values.list.len() > 0).fill_null(False) & is_open
        lists = values.filter(some)
        quoted = texts([Part(lists, Spelling.TEXTS)], len(lists)).str.strip_prefix("[").str.strip_suffix("]")
        held = pl.Series([None], dtype=pl.String).new_from_index(0, len(values)).scatter(some.arg_true(), quoted)
        parts.append(Part(held, lead=b","))
    else:
        known = (values.is_not_null() & is_open).to_numpy()
        spelling = Spelling.HEX if column.kind is Kind.ADDRESS else Spelling.JSON
        parts.append(Part(values, spelling, lead=b',"', trail=b'"', known=known))
    parts.append(Part(np.zeros((len(values), 0), np.uint8), lead=b"]", known=mask))
    return texts(parts, len(values))


_MapRows = tuple[str, pl.DataFrame, "NDArray[np.int64]", "NDArray[np.uint8]", "NDArray[np.int64]"]


def _maps(
    events: pl.DataFrame,
    attributes: pl.DataFrame,
    resource_attributes: pl.DataFrame,
    messages: Sequence[SealedMessage],
    salts: NDArray[np.uint8],
) -> list[_MapRows]:
    """Of each map: name, pairs (`owner`, `key`, `text`), the owner of each event, the owners' salts and numbers."""
    resources = salted_resources(events, resource_attributes, messages)
    own = attributes.rename({"row": "owner"})
    counts = np.bincount(own["owner"].to_numpy(), minlength=events.height)
    rows = np.arange(events.height, dtype=np.int64)
    return [
        ("resource_attributes", resources.pairs, resources.of_event, resources.salts, resources.counts),
        ("attributes", own, rows, salts, counts),
    ]


def _first_owner(owner_of_event: NDArray[np.int64], owners: pl.Series) -> NDArray[np.uint32]:
    """An event that has each pair's owner."""
    first = np.zeros(int(owner_of_event.max(initial=0)) + 1, np.uint32)
    first[owner_of_event[::-1]] = np.arange(len(owner_of_event), dtype=np.uint32)[::-1]
    return np.asarray(first[owners.to_numpy()], np.uint32)


def _open_keys(name: str, pairs: pl.DataFrame, disclosure: Disclosure, own: Sequence[pl.Series]) -> pl.Series:
    closed = repeats(pairs["text"], disclosure.values) | repeats(pairs["key"], disclosure.values)
    closed |= repeats_own(pairs["text"], own)
    keys = disclosure.closed_keys.get(name)
    return ~(closed | pairs["key"].is_in(list(keys))) if keys else ~closed


def leaf_salts(
    name: bytes, owner_salts: NDArray[np.uint8], counts: NDArray[np.int64], owners: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """The salt of every pair's leaf (docs/evidence-format.md, section 4), shape (pairs, 16)."""
    starts = np.cumsum(counts) - counts
    number = np.arange(len(owners), dtype=np.int64) - starts[owners]
    blocks = (number // 2).astype(">u4").view(np.uint8).reshape(-1, 4)
    whole = digests([Part(owner_salts, lead=b"\x02", trail=name, index=owners), Part(blocks)], len(owners))
    return np.where((number % 2 == 0)[:, None], whole[:, :SALT_SIZE], whole[:, SALT_SIZE:]).copy()


def _map_member(
    name: str,
    pairs: pl.DataFrame,
    owner_salts: NDArray[np.uint8],
    counts: NDArray[np.int64],
    owner_of_event: NDArray[np.int64],
    is_open: pl.Series,
) -> pl.Series:
    """`,"name":[leaf,...]` of each event that is the first to have its owner; a closed leaf is its hash."""
    owners = pairs["owner"].to_numpy().astype(np.int64)
    salts = leaf_salts(name.encode(), owner_salts, counts, owners)
    pair = [Part(pairs["key"], Spelling.JSON, b'["', b'","'), Part(pairs["text"], Spelling.JSON, b"", b'"]')]
    leaves = digests([Part(salts, lead=merkle.LEAF_PREFIX), *pair], len(owners))
    mask = is_open.to_numpy()
    leaf = [
        Part(salts, Spelling.HEX, b'["', b'","', known=mask),
        Part(pairs["key"], Spelling.JSON, b"", b'","', known=mask),
        Part(pairs["text"], Spelling.JSON, b"", b'"]', known=mask),
        Part(leaves, Spelling.HEX, b'["', b'"]', known=~mask),
    ]
    joined = (
        pl.DataFrame({"owner": pl.Series(owners), "leaf": texts(leaf, len(owners)), "open": is_open})
        .group_by("owner", maintain_order=True)
        .agg(pl.col("leaf").str.join(","), pl.col("open").any())
        .filter("open")
        .select("owner", member=pl.lit(f',"{name}":[') + pl.col("leaf") + "]")
    )
    event = pl.DataFrame({"owner": pl.Series(owner_of_event)})
    first = event.select(pl.col("owner").is_first_distinct()).to_series()
    return (
        event.join(joined, on="owner", how="left", maintain_order="left")
        .select(pl.when(first).then(pl.col("member")).fill_null(""))
        .to_series()
    )


def pseudonyms(values: pl.Series, key: bytes) -> pl.Series:
    """A word in place of each value, the same for the same value: HMAC-SHA-256, the first 8 bytes."""
    padded = np.frombuffer(key.ljust(_BLOCK, b"\x00"), np.uint8)
    inner = digests([Part(None, lead=(padded ^ 0x36).tobytes()), Part(values)], len(values))
    outer = digests([Part(None, lead=(padded ^ 0x5C).tobytes()), Part(inner)], len(values))
    return texts([Part(outer[:, : _PSEUDONYM_DIGITS // 2].copy(), Spelling.HEX, lead=b"p-")], len(values))


def _pseudonyms(events: pl.DataFrame, disclosure: Disclosure) -> pl.Series:
    """`,"pseudonyms":[["actor_id","p-..."],...]` of each event that has any."""
    some = []
    for name in disclosure.pseudonymous:
        values = redacted_texts(events, name)
        distinct = values.drop_nulls().unique()
        if distinct.is_empty():
            continue
        words = values.replace_strict(distinct, pseudonyms(distinct, disclosure.pseudonym_key), default=None)
        some.append(("," + ('["' + pl.lit(name) + '","' + pl.lit(words) + '"]')).fill_null("").alias(name))
    if not some:
        return pl.Series([""]).new_from_index(0, events.height)
    inside = pl.concat_str(some).str.strip_prefix(",")
    whole = pl.when(inside == "").then(pl.lit("")).otherwise(pl.lit(',"pseudonyms":[') + inside + "]")
    return events.select(whole).to_series()


def _joined(members: Sequence[pl.Series], rows: int) -> pl.Series:
    if not members:
        return pl.Series(["{}"]).new_from_index(0, rows)
    frame = pl.DataFrame({f"m{number}": member for number, member in enumerate(members)})
    inside = pl.concat_str(pl.all()).str.strip_prefix(",")
    return frame.select((pl.lit("{") + inside + "}").alias("line")).to_series()


__all__ = ["MAPS", "Openings", "leaf_salts", "openings", "pseudonyms", "redacted_texts"]
