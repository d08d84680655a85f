from __future__ import annotations

from typing import TYPE_CHECKING, Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onshore_pipeline.domain import provenance
from onshore_pipeline.domain.event import PARTIES
from onshore_pipeline.event_frame import EVENT_POLARS_SCHEMA
from onshore_pipeline.locate.claims import BASES, CLAIMS, weigh
from onshore_pipeline.locate.locate import CLAIM_COLUMNS, locate

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy

    from onshore_pipeline.context import Context

    Events = Callable[..., pl.DataFrame]

_CODES = st.sampled_from(["AU", "JP", "SG"])
_VALUES: dict[str, list[Any]] = {
    "declared_country": ["AU", "jp", "EU", "??"],
    "provider": ["aws", "gcp", "someone"],
    "region": ["ap-southeast-2", "eur4", "global", "us", "nowhere"],
    "facility": ["SYD1"],
    "address": ["52.62.0.1", "203.2.218.1", "1.1.1.1", "10.0.0.1", "fd00::1", "133.11.0.1", "2001:200::1"],
    "host": ["api.openai.com", "s3.us-east-1.amazonaws.com", "openrouter.ai", "db.internal"],
    "asn": [16509, 1221, 64500],
    "entity": ["Acme", "AWS"],
}
_SETTINGS = settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _rows() -> SearchStrategy[list[dict[str, Any]]]:
    fields = {
        f"{party}_{name}": st.one_of(st.none(), st.sampled_from(values))
        for party in PARTIES
        for name, values in _VALUES.items()
    }
    model = st.one_of(st.none(), st.sampled_from(["apac.anthropic.claude-x", "global.anthropic.claude-x", "gpt-x"]))
    home = st.lists(st.sampled_from(["AU", "xx", "none"]), max_size=2)
    return st.lists(st.fixed_dictionaries(fields | {"model_requested": model, "home_jurisdictions": home}), max_size=8)


@_SETTINGS
@given(_rows())
def test_a_basis_never_stands_without_a_place_nor_a_place_without_a_basis(
    with_geoip: Context, events: Events, rows: list[dict[str, Any]]
) -> None:
    located = locate(events(*rows), with_geoip)
    for party in PARTIES:
        for row in located.iter_rows(named=True):
            country, candidates = row[f"{party}_country"], row[f"{party}_country_candidates"]
            basis = row[f"{party}_country_basis"]
            assert (basis == "unknown") == (country is None and not candidates)
            assert not (country and candidates)
            assert candidates == sorted(set(candidates))
            # Whose a place is may be disputed while where it is is not.
            owners = (f"{party}:provider=", f"{party}:host_provider=")
            disputes = [text for text in row["contradictions"] if text.startswith(f"{party}:")]
            contradicted = any(not text.startswith(owners) for text in disputes)
            assert not (contradicted and country)
        nothing = [not any(row[f"{party}_{name}"] for name in _VALUES) for row in rows]
        for row in located.iter_rows(named=True):
            told = provenance.read(row["provenance"]).get(party, provenance.Told())
            assert bool(told.place) == (row[f"{party}_country_basis"] != "unknown")
            assert bool(told.owner) == (row[f"{party}_entity"] is not None)
        silent = located.filter(pl.Series(nothing, dtype=pl.Boolean)).filter(pl.col("model_requested").is_null())
        assert silent.get_column(f"{party}_country").null_count() == silent.height


@_SETTINGS
@given(_rows())
def test_rows_their_order_and_every_other_column_stay(
    with_geoip: Context, events: Events, rows: list[dict[str, Any]]
) -> None:
    frame = events(*rows)
    located = locate(frame, with_geoip)
    added = {f"{party}_{name}" for party in PARTIES for name in _ADDED} | {
        "key_country_basis", "transit_basis", "contradictions", "provenance",
    }  # fmt: skip
    assert set(located.columns) == (set(frame.columns) - {*CLAIM_COLUMNS, "sensor"}) | added
    rewritten = {f"{party}_{name}" for party in PARTIES for name in ("entity", "asn")} | {
        "actor_nationality", "key_country", "transit_countries", "home_jurisdictions",
    }  # fmt: skip
    kept = [name for name in frame.columns if name not in {*CLAIM_COLUMNS, "sensor", *rewritten}]
    assert located.select(kept).equals(frame.select(kept))
    for name in located.columns:
        if name in EVENT_POLARS_SCHEMA:
            assert located.schema[name] == EVENT_POLARS_SCHEMA[name]
            if isinstance(located.schema[name], pl.List) or name.endswith("_basis"):
                never_null = name not in frame.columns or name in rewritten
                assert not never_null or located.get_column(name).null_count() == 0


_ADDED = ("country", "country_basis", "country_candidates", "entity_country", "control_country")


@_SETTINGS
@given(_rows().flatmap(lambda rows: st.tuples(st.just(rows), st.permutations(range(len(rows))))))
def test_an_event_is_located_alike_alone_and_among_others(
    with_geoip: Context, events: Events, case: tuple[list[dict[str, Any]], list[int]]
) -> None:
    rows, order = case
    together = locate(events(*rows), with_geoip).drop("row").rows()
    shuffled = locate(events(*(rows[index] for index in order)), with_geoip).drop("row").rows()
    assert shuffled == [together[index] for index in order]
    if rows:
        assert locate(events(rows[0]), with_geoip).drop("row").rows() == together[:1]


# As `locate` makes them: no claim is better founded than one before it.
_CLAIM_BASES = {
    "attested": BASES[:1],
    "sensor": BASES[1:2],
    "declared": BASES[1:3],
    **dict.fromkeys(("attestation", "registered", "region", "resource", "facility", "person", "network"), BASES[2:3]),
    "host": BASES[2:],
}


def _claim(name: str) -> SearchStrategy[Any]:
    several = st.lists(_CODES, min_size=1, max_size=3, unique=True).map(sorted)
    countries = _CODES.map(lambda code: [code]) | several
    return st.one_of(st.none(), st.tuples(countries, st.sampled_from(_CLAIM_BASES.get(name, BASES[3:]))))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.fixed_dictionaries({name: _claim(name) for name in CLAIMS}), min_size=1, max_size=6))
def test_weighing_columns_gives_what_weighing_one_event_in_words_gives(rows: list[dict[str, Any]]) -> None:
    columns = {}
    for name in CLAIMS:
        made = [row[name] for row in rows]
        single = [claim[0][0] if claim and len(claim[0]) == 1 else None for claim in made]
        several = [claim[0] if claim and len(claim[0]) > 1 else None for claim in made]
        columns[name] = pl.Series(single, dtype=pl.String)
        columns[f"{name}_set"] = pl.Series(several, dtype=pl.List(pl.String))
        columns[f"{name}_basis"] = pl.Series([claim and claim[1] for claim in made], dtype=pl.String)
        columns[f"{name}_label"] = pl.Series([claim and "+".join(claim[0]) for claim in made], dtype=pl.String)
    claims = pl.DataFrame(columns)
    unmade = [column.name for column in claims.get_columns() if column.null_count() == claims.height]
    assert weigh(claims.drop(unmade), "source").rows() == [_weigh_in_words(row) for row in rows]


def _weigh_in_words(row: dict[str, Any]) -> tuple[str | None, str, list[str], str | None, str | None]:
    made = {name: row[name] for name in CLAIMS if row[name]}
    if not made:
        return None, "unknown", [], None, None
    sets = [set(countries) for countries, _ in made.values()]
    common, everyone = set.intersection(*sets), "+".join(made)
    weakest = max((basis for _, basis in made.values()), key=BASES.index)
    if not common:
        text = ",".join(f"{name}={'+'.join(made[name][0])}" for name in CLAIMS if name in made)
        return None, weakest, sorted(set.union(*sets)), f"source:{text}", everyone
    if len(common) > 1:
        return None, weakest, sorted(common), None, everyone
    alone = {name: basis for name, (countries, basis) in made.items() if len(countries) == 1}
    if not alone:
        return common.pop(), weakest, [], None, everyone
    return common.pop(), min(alone.values(), key=BASES.index), [], None, next(iter(alone))
