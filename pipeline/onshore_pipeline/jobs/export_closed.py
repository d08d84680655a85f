"""What an export closes, and every value of it in the whole scope, so that nothing else repeats one."""

from __future__ import annotations

import hmac
import ipaddress
import re
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.event import COLUMNS_BY_NAME, EVENT_COLUMNS, InLine, Kind
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.canonical import COMMITTED
from onshore_pipeline.evidence.redaction import MAPS, PERSONAL, Disclosure
from onshore_pipeline.jobs.log_proofs import OF_LOG, KnownHead

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from onshore_pipeline.jobs.export import Request
    from onshore_pipeline.store.reader import Reader

_MOST_VALUES: Final = 5_000_000
ASKED_ROWS: Final = f"""
attempt_id IN (
    SELECT assumeNotNull(attempt_id) FROM evidence_log WHERE {OF_LOG} AND kind IN ('message', 'amends')
        AND JSONExtractInt(entry, 'timestamp') >= {{since:Int64}}
        AND JSONExtractInt(entry, 'timestamp') < {{until:Int64}}
) AND (empty({{tenants:Array(String)}}) OR has({{tenants:Array(String)}}, tenant))
"""  # noqa: S608 - fixed text
_WITHOUT_VALUES: Final = {*MAPS, "body", "contradictions"}
# What a sealed line says in plain text cannot be closed, whatever map says it, too.
_PLAIN: Final = ", ".join(
    f"ifNull(toString({column.name}), '')"
    for column in EVENT_COLUMNS
    if column.line is InLine.PLAIN and column.kind in {Kind.TEXT, Kind.WORD}
)
_IPV6: Final = 6
_ADDRESS: Final = re.compile(r"[0-9A-Fa-f.]*[:.][0-9A-Fa-f:.]*")


def disclosure_of(
    reader: Reader, request: Request, head: KnownHead, salt_master: bytes, *, of_maps: bool = True
) -> Disclosure:
    """What stays closed, and every value of it.

    Of a column and of a key of a map these are all its values; of a map that is closed whole, what columns and the
    other map repeat of it (where `of_maps`), unless what the request closes is all that is personal: a profile that
    does so says by itself which columns are open.

    Raises:
        OnshoreError: there are too many.
    """
    key = hmac.digest(salt_master, b"onshore pseudonym key v1\x00" + request.export_id.bytes, "sha256")
    asked = request.scope.parameters(head)
    values: set[str] = set()
    questions = [*_of_columns(request), *(_of_whole_maps(request) if of_maps else ())]
    for expression, condition in questions:
        values.update(_distinct(reader, expression, condition, asked))
    for name, keys in request.closed_keys.items():
        if name not in request.redacted:
            found = _distinct(reader, _OF_KEYS.format(map=name), "1", asked | {"keys": sorted(keys)})
            values.update(found, _as_columns_say(found))
    if len(values) > _MOST_VALUES:
        raise OnshoreError(f"more than {_MOST_VALUES:,} redacted values: export a shorter time")
    values.discard("")
    closed = pl.Series(sorted(values), dtype=pl.String)
    return Disclosure(
        request.redacted, dict(request.closed_keys), key, closed, pseudonyms=request.pseudonyms, of_maps=of_maps
    )


_OF_KEYS: Final = (
    "arrayJoin(arrayMap(key -> {map}[key], arrayFilter(key -> mapContains({map}, key), {{keys:Array(String)}})))"
)


def _distinct(reader: Reader, expression: str, condition: str, asked: dict[str, object]) -> list[str]:
    sql = (
        f"SELECT DISTINCT {expression} AS v FROM events_current"  # noqa: S608 - names of ours
        f" WHERE {condition} AND {ASKED_ROWS} LIMIT {_MOST_VALUES + 1}"
    )
    return reader.frame(sql, asked)["v"].cast(pl.String).to_list()


def _of_columns(request: Request) -> Iterator[tuple[str, str]]:
    """What is asked for, and of which events."""
    for name in sorted(request.redacted - _WITHOUT_VALUES):
        yield f"arrayJoin({_spellings(name)})", f"{name} IS NOT NULL"


def _of_whole_maps(request: Request) -> Iterator[tuple[str, str]]:
    """What other columns and the other map say of a closed map, but for what the line says itself."""
    closed = [name for name in MAPS if name in request.redacted]
    if not closed or request.redacted >= PERSONAL:
        return
    said = f"arrayConcat({', '.join(f'mapValues({name})' for name in closed)})"
    for column in COMMITTED:
        if column.name not in request.redacted | _WITHOUT_VALUES:
            texts = _spellings(column.name)
            condition = f"{column.name} IS NOT NULL AND hasAny({said}, {texts}) AND NOT hasAny([{_PLAIN}], {texts})"
            yield f"arrayJoin({texts})", condition
    if len(closed) < len(MAPS):
        both = f"arrayIntersect({', '.join(f'mapValues({name})' for name in MAPS)})"
        yield f"arrayJoin(arrayFilter(each -> NOT has([{_PLAIN}], each), {both}))", "1"


def _spellings(name: str) -> str:
    """The texts that repeat a column's value; an address is said in three ways."""
    if COLUMNS_BY_NAME[name].kind is Kind.ADDRESS:
        return f"[toString({name}), lower(hex({name})), replaceOne(toString({name}), '::ffff:', '')]"
    return f"[assumeNotNull({name})]"


def _as_columns_say(values: Iterable[str]) -> Iterator[str]:
    """Addresses among values as columns of addresses say them: 32 digits."""
    for value in values:
        if _ADDRESS.fullmatch(value):
            try:
                read = ipaddress.ip_address(value)
            except ValueError:
                continue
            packed = read.packed if read.version == _IPV6 else b"\x00" * 10 + b"\xff\xff" + read.packed
            yield packed.hex()
