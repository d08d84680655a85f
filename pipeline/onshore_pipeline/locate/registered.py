"""What the user's registries say about data, keys, people and permissions, where an event does not say it itself.

A registry that is not there says nothing and costs nothing. One that knows the parties and has no row for them says
'none' of bases and approvals; one that does not know them leaves them unknown.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.rules import DAY
from onshore_pipeline.distinct import by_distinct, looked_up
from onshore_pipeline.locate.weights import registered_weights, with_weights

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onshore_pipeline.context import Context
    from onshore_pipeline.context.rules import Answer, Rules

_LIST: Final = pl.List(pl.String)
_MOMENT: Final = pl.Datetime("ns", "UTC")
_ABOUT_DATA: Final = {"classification": "classification", "categories": "categories", "home": "home_jurisdictions"}
_ANSWER: Final = {"id": pl.String(), "by": pl.String(), "ends": _MOMENT}


def on_days(keys: pl.Series, when: pl.Series, table: pl.DataFrame, key: str) -> pl.DataFrame:
    """The row of a registry for each key, in any case, on the day of each event; null where there is none."""
    lowered = keys.str.to_lowercase()
    if "first" not in table.columns:
        return by_distinct(lowered, lambda names: looked_up(names, table, key), dict(table.drop(key).schema))
    asked = pl.DataFrame({key: lowered, "day": when.dt.date()})
    # An event without a time meets only rows that speak about every day.
    always = (pl.col("first") == date.min) & (pl.col("last") == date.max)
    on_day = pl.col("day").is_between("first", "last").fill_null(False)
    found = asked.drop_nulls(key).unique().join(table, on=key).filter(always | on_day).drop("first", "last")
    return asked.join(found, on=[key, "day"], how="left", maintain_order="left", nulls_equal=True).drop(key, "day")


def with_people(events: pl.DataFrame, context: Context) -> tuple[pl.DataFrame, pl.Series | None, pl.Series | None]:
    """Employer and nationality of actors; the country where each works, and whether the registry told the employer.

    The last two are None where nobody is registered.
    """
    people = context.registered.people
    if people is None or _is_unknown(events["actor_id"]):
        return events, None, None
    found = on_days(events["actor_id"], events["occurred_at"], people, "person")
    filled = events.with_columns(
        _or(events["actor_employer"], found["employer"]), _or(events["actor_nationality"], found["nationality"])
    )
    return filled, found["country"], events["actor_employer"].is_null() & found["employer"].is_not_null()


def with_data(events: pl.DataFrame, places: pl.Series, context: Context) -> pl.DataFrame:
    """Classification, categories, home of weights, data sets, models that are registered; else the tenant's home.

    `places` is where each event's object lies.
    """
    registered = context.registered
    of_weights = registered_weights(events, places, context)
    if of_weights is not None:
        events = with_weights(events, of_weights).with_columns(
            _or(events[column], of_weights[said]) for said, column in _ABOUT_DATA.items()
        )
    models = None
    if registered.models_by_name is not None:
        weights = pl.col("action").str.starts_with("model.weights")
        models = events.select(pl.when(weights).then(pl.coalesce("model_served", "model_requested"))).to_series()
    looked = (
        (events["dataset"], registered.datasets, "dataset"),
        (events["object_digest"], registered.models_by_digest, "digest"),
        (models, registered.models_by_name, "model"),
        (events["tenant"] if "tenant" in events.columns else None, registered.tenants, "tenant"),
    )
    for names, table, key in looked:
        if table is None or names is None or _is_unknown(names):
            continue
        found = on_days(names, events["occurred_at"], table, key)
        events = events.with_columns(
            _or(events[column], found[said]) for said, column in _ABOUT_DATA.items() if said in found.columns
        )
    return events


def with_permissions(events: pl.DataFrame, context: Context) -> pl.DataFrame:
    """Transfer bases and approvals; asked once the parties are known."""
    bases, approvals = context.registered.transfer_bases, context.registered.approvals
    if bases is not None:
        moves = events["domain"].is_in(["data_movement", "model_access"])
        asks = moves & events["transfer_basis"].is_null()
        texts = _told(events, asks, bases.columns, bases)
        events = events.with_columns(_or(events["transfer_basis"], _answers(texts, bases.match)["id"]))
    if approvals is not None:
        events = events.with_columns(_approvals(events, approvals))
    return events


def _approvals(events: pl.DataFrame, approvals: Rules) -> list[pl.Series]:
    """approval_id, approval_by and approval_expires_at: of the approval that is named, else of one that fits."""
    sent = events["approval_id"]
    columns = ("approval_id", *approvals.columns)
    named = _answers(_told(events, sent.is_not_null(), columns, approvals), approvals.cited)
    fitting = _answers(_told(events, sent.is_null(), approvals.columns, approvals), approvals.match)
    return [
        _or(sent, fitting["id"]),
        _or(_or(events["approval_by"], named["by"]), fitting["by"]),
        _or(_or(events["approval_expires_at"], named["ends"]), fitting["ends"]),
    ]


def _told(events: pl.DataFrame, asks: pl.Series, columns: Sequence[str], rules: Rules) -> pl.Series:
    """The events that ask, as rules take them; null for the others."""
    nothing = pl.Series("told", [None], dtype=pl.String).new_from_index(0, events.height)
    day = pl.col("occurred_at").dt.date().cast(pl.String) if rules.is_dated else pl.lit(None, pl.String)
    # JSON keeps apart what no separator would: a sender chooses every byte of these texts.
    texts = pl.struct(day.alias(DAY), *(_field(name) for name in columns)).struct.json_encode()
    asks = asks.fill_null(value=False)
    told = events.filter(asks).select(texts.alias("told")).to_series()
    return told.gather(pl.select(pl.when(asks).then(asks.cum_sum() - 1)).to_series()) if len(told) else nothing


def _answers(told: pl.Series, ask: Callable[[str], Answer]) -> pl.DataFrame:
    """What is answered to each text: id, by, ends; null to null."""

    def answer(distinct: pl.Series) -> pl.DataFrame:
        return pl.DataFrame([ask(text) for text in distinct], schema=_ANSWER, orient="row")

    return by_distinct(told, answer, _ANSWER)


def _field(name: str) -> pl.Expr:
    """A column as rules take it."""
    return pl.col(name).list.drop_nulls() if name == "categories" else pl.col(name)


def _or(sent: pl.Series, registered: pl.Series) -> pl.Series:
    """What was sent, else what is registered; an empty list is unknown."""
    if sent.dtype != _LIST:
        return sent if registered.null_count() == len(registered) else sent.zip_with(sent.is_not_null(), registered)
    known = (registered.list.len() > 0).fill_null(False) & (sent.list.len() == 0)
    return sent if not known.any() else sent.zip_with(~known, registered.alias(sent.name))


def _is_unknown(column: pl.Series) -> bool:
    return column.null_count() == len(column)
