"""Random located events and random conditions, for the promises of the control language."""

from __future__ import annotations

import functools
import os
import random
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl
from hypothesis import strategies as st

from onshore_pipeline.controls.examples import example_events
from onshore_pipeline.domain.event import BASES, COLUMNS_BY_NAME, DOMAINS, OUTCOMES, Kind
from onshore_pipeline.event_frame import POLARS_TYPES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.compiled import Compiled

# `make differential` sets it, for the long form.
ROWS: Final = int(os.environ.get("ONSHORE_DIFFERENTIAL_ROWS", "600"))
_LISTS_IN_A_POOL: Final = 200
COUNTRIES: Final = ("AU", "JP", "MY", "SG", "US", "DE", "GB", "CN", "HK")
ODD_TEXTS: Final = (
    *("", "a", "A", "Ä", "ä", "İ", "ß", "a%b", "a_b", "a.b*[", "x\ny", "it's", "a\\b", "\\", 'q"', "名前", "🦘"),
)
WORDS: Final = (
    *(*ODD_TEXTS, "data.copy", "none", "contract", "personal", "health", "my_health_record", "us_bulk_sensitive"),
)
ACTIONS: Final = (
    *("data.copy", "data.read", "data.delete", "data.replicate", "network.flow", "model.invoke", "model.weights.read"),
    *("admin.session", "key.use", "backup.write", "index.build", "telemetry.export"),
)
SMALL_NUMBERS: Final = (0, 1, 2, 3, 2**31, 2**32 - 1)
NUMBERS: Final = (*SMALL_NUMBERS, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
TIMES_NS: Final = (0, 1, 1_580_000_000_123_456_789, 1_743_465_600_000_000_000, 1_795_000_000_000_000_000, 2**63 - 1)
CLAIMS: Final = ("destination:region=AU,geoip=US", "source:declared=JP,registry=US", "actor:a=AU,b=US", "key:a=AU,b=US")

TEXTS: Final = (
    *("destination_country", "actor_country", "destination_country_basis"),
    *("transfer_basis", "dataset", "actor_id", "action"),
)
INTEGERS: Final = ("bytes", "item_count", "destination_asn")
TIMES: Final = ("occurred_at", "approval_expires_at")
TRUTHS: Final = ("encrypted_at_rest", "encrypted_in_transit")
LISTS: Final = ("categories", "home_jurisdictions")
ALWAYS: Final = ("tenant", "domain", "outcome", "source_format", "occurred_at", "contradictions")


def random_events(names: Sequence[str], seed: int, rows: int = ROWS) -> pl.DataFrame:
    """Events with these columns, every row a message of its own."""
    number = pl.int_range(rows, dtype=pl.UInt32, eager=True)
    series = [_column(name, rows, random.Random(f"{name} {seed}")) for name in names]
    return pl.DataFrame([number.alias("row"), number.alias("message"), *series])


@functools.lru_cache(maxsize=4)
def events_around(compiled: Compiled) -> pl.DataFrame:
    """Events like the control's examples, each with some of its values replaced by random ones."""
    read = (*ALWAYS, *(column.name for column in compiled.columns), *compiled.control.group_by)
    names = tuple(dict.fromkeys(read))
    rng = np.random.default_rng(3)
    examples = example_events(compiled.control)
    like = examples[rng.integers(examples.height, size=ROWS)]
    masks = {name: pl.Series(rng.random(ROWS) < 0.15) for name in names}
    return random_events(names, 4).with_columns(
        pl.when(masks[name]).then(pl.col(name)).otherwise(like[name]).alias(name) for name in names
    )


def quoted(text: str) -> str:
    """A text literal of the control language."""
    return "'" + text.replace("'", "''") + "'"


def _column(name: str, rows: int, rng: random.Random) -> pl.Series:
    """Values of the column's pool, a tenth of them unknown where that is possible; made at once, not row by row."""
    kind, pool = COLUMNS_BY_NAME[name].kind, _pool(name)
    values: list[object] = list(pool)
    if kind is Kind.WORDS:
        sizes = (0, 0, 0, 0, 1) if name == "contradictions" else (0, 1, 1, 2, 3)
        values = [rng.sample(pool, rng.choice(sizes)) for _ in range(_LISTS_IN_A_POOL)]
    at = np.random.default_rng(rng.getrandbits(64))
    found = pl.Series(name, values, dtype=pl.Int64 if kind is Kind.TIME else POLARS_TYPES[kind])
    drawn = found.gather(at.integers(len(values), size=rows)).cast(POLARS_TYPES[kind])
    if COLUMNS_BY_NAME[name].required or kind is Kind.WORDS:
        return drawn
    unknown = pl.Series(at.random(rows) < 0.1)
    return drawn.to_frame().select(pl.when(~unknown).then(pl.col(name)).alias(name)).to_series()


def _pool(name: str) -> Sequence[object]:
    fixed: dict[str, Sequence[object]] = {
        "tenant": ("t",),
        "source_format": ("otlp.log",),
        "domain": DOMAINS,
        "outcome": ("success", *OUTCOMES),
        "action": ACTIONS,
        "contradictions": CLAIMS,
        "home_jurisdictions": COUNTRIES,
    }
    by_kind: dict[Kind, Sequence[object]] = {
        Kind.TIME: TIMES_NS,
        Kind.BOOL: (True, False),
        Kind.U32: SMALL_NUMBERS,
        Kind.U64: NUMBERS,
    }
    if name.endswith("_basis") and name != "transfer_basis":
        return BASES
    if name.endswith("_country"):
        return COUNTRIES
    return fixed.get(name) or by_kind.get(COLUMNS_BY_NAME[name].kind, WORDS)


def _literals_of(column: str) -> st.SearchStrategy[str]:
    words = COUNTRIES if column.endswith("_country") else BASES if column.endswith("country_basis") else WORDS + ACTIONS
    return st.sampled_from([quoted(word) for word in words])


_literals = st.sampled_from([quoted(word) for word in (*WORDS, *COUNTRIES)])
_comparisons = st.sampled_from(("=", "<>", "<", "<=", ">", ">="))
_not = st.sampled_from(("", "NOT "))
_patterns = st.text(st.sampled_from("aAÄ%_.*[(+?x\n'名🦘"), max_size=5).map(quoted)
_integers = st.sampled_from(("0", "1", "3", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775807"))
_instants = st.sampled_from(("TIMESTAMP '2025-04-01'", "TIMESTAMP '1970-01-01T00:00:00Z'", "DATE '2200-01-01'"))
_integer_columns = st.sampled_from(INTEGERS)
_cased = st.builds("{}({})".format, st.sampled_from(("lower", "upper")), st.sampled_from(TEXTS))
_texts = st.sampled_from(TEXTS) | _cased


@st.composite
def _equalities(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from(TEXTS))
    return f"{column} {draw(st.sampled_from(('=', '<>')))} {draw(st.sampled_from(TEXTS) | _literals_of(column))}"


@st.composite
def _memberships(draw: st.DrawFn) -> str:
    column = draw(st.sampled_from(TEXTS))
    members = draw(st.lists(_literals_of(column), min_size=1, max_size=4))
    if column.endswith("_country") and draw(st.booleans()):
        members.append(draw(st.sampled_from(("@eea", "@us_dsp_coc", "@jp_appi28_designated"))))
    return f"{column} {draw(_not)}IN ({', '.join(members)})"


_predicates = st.one_of(
    _equalities(),
    _memberships(),
    st.builds("{} {} {}".format, _cased, _comparisons, _texts | _literals),
    st.builds("{} {}LIKE {}".format, _texts, _not, _patterns),
    st.builds("starts_with({}, {})".format, _texts, _patterns),
    st.builds("length({}) {} {}".format, _texts, _comparisons, _integers),
    st.builds("{} {} {}".format, _integer_columns, _comparisons, _integers | _integer_columns),
    st.builds("{} {}BETWEEN {} AND {}".format, _integer_columns, _not, _integers, _integers),
    st.builds("{} {}IN ({}, {})".format, _integer_columns, _not, _integers, _integers),
    st.builds(
        "{} * {} {} {} {} {}".format,
        *(_integer_columns, st.sampled_from(("2", "4294967296", "-3")), st.sampled_from(("+", "-"))),
        *(_integers | _integer_columns, _comparisons, _integers),
    ),
    st.builds("{} {} {}".format, st.sampled_from(TIMES), _comparisons, _instants | st.sampled_from(TIMES)),
    st.builds("array_contains(categories, {})".format, _literals | _texts),
    st.builds(
        "array_contains(home_jurisdictions, {})".format, st.sampled_from(("'AU'", "'JP'", "destination_country"))
    ),
    st.builds("{} = ALL (categories)".format, _literals | _texts),
    st.builds("{} = ALL (home_jurisdictions)".format, st.sampled_from(("'AU'", "'JP'", "destination_country"))),
    st.sampled_from((*TRUTHS, "encrypted_at_rest = FALSE", "encrypted_at_rest <> encrypted_in_transit")),
    st.sampled_from(("contradicted('destination')", "contradicted('key')", "TRUE", "FALSE")),
)

conditions: Final = st.recursive(
    _predicates,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner),
        st.builds("({} OR {})".format, inner, inner),
        st.builds("NOT ({})".format, inner),
    ),
    max_leaves=6,
)
