"""What a user registered about data, keys, people and permissions, as frames and rules that events are looked up in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.context.checks import read_countries_of, read_key, read_words
from onshore_pipeline.context.dated import ALWAYS, settled_by
from onshore_pipeline.context.rules import Rules, approval_rules, transfer_rules
from onshore_pipeline.context.weights import weights_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import date

    from onshore_pipeline.context.countries import Countries
    from onshore_pipeline.context.dated import Dated

_LIST: Final = pl.List(pl.String)
_DAYS: Final = {"first": pl.Date(), "last": pl.Date()}


@dataclass(frozen=True, slots=True)
class Attestor:
    """Who may attest places.

    Attributes:
        name: as statements name their issuer.
        public_key: Ed25519.
        countries: the only ones it may speak for; empty: any.
        first: first day of a statement that counts.
        last: last day.
    """

    name: str
    public_key: bytes
    countries: frozenset[str]
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Registered:
    """Each registry, None where the user wrote none.

    Frames have the key in lower case and, where a row does not speak about every day, `first` and `last`.

    Attributes:
        datasets: dataset, classification, categories, home.
        models_by_name: model, classification, categories, home.
        models_by_digest: digest, classification, categories, home.
        weights: see `weights.weights_frame`.
        keys: key, custodian, country.
        people: person, employer, nationality, country.
        tenants: tenant, home.
        collectors: collector, host, facility, country.
        transfer_bases: what transfers may rest on.
        approvals: what is approved.
        attestors: whose statements count.
    """

    datasets: pl.DataFrame | None = None
    models_by_name: pl.DataFrame | None = None
    models_by_digest: pl.DataFrame | None = None
    weights: pl.DataFrame | None = None
    keys: pl.DataFrame | None = None
    people: pl.DataFrame | None = None
    tenants: pl.DataFrame | None = None
    collectors: pl.DataFrame | None = None
    transfer_bases: Rules | None = None
    approvals: Rules | None = None
    attestors: tuple[Attestor, ...] = ()


def register(rows: Mapping[str, Sequence[Dated]], countries: Countries) -> Registered:
    """Read the registries that are there; raises `ContextError`."""

    def data(each: Dated) -> dict[str, object]:
        return {
            "classification": each.row.get("classification"),
            "categories": list(read_words(each.row, "categories")),
            "home": list(read_countries_of(each.row, "home", countries)),
        }

    def texts(*columns: str) -> dict[str, pl.DataType]:
        return dict.fromkeys(columns, pl.String())

    about_data = {"classification": pl.String(), "categories": _LIST, "home": _LIST}
    models = rows.get("models")
    # Two names may share their weights, which are then one thing.
    by_digest = settled_by((each for each in models or () if each.row.get("digest")), ("digest",))
    approvals = rows.get("approvals")
    bases = rows.get("transfer_bases")
    _check_places(rows.get("collectors", ()), rows.get("facilities", ()))

    def frame(name: str, key: str, columns: dict[str, pl.DataType], *places: str) -> pl.DataFrame | None:
        def read(each: Dated) -> dict[str, object]:
            return {
                column: countries.of(each.row, column) if column in places else each.row.get(column)
                for column in columns
            }

        return None if name not in rows else _frame(rows[name], key, columns, [read(each) for each in rows[name]])

    return Registered(
        datasets=_data_frame(rows.get("datasets"), "dataset", about_data, data),
        models_by_name=_data_frame(models, "model", about_data, data),
        models_by_digest=_data_frame(by_digest or None, "digest", about_data, data),
        weights=weights_frame(models or (), [data(each) for each in models or ()], about_data),
        keys=frame("keys", "key", texts("custodian", "country"), "country"),
        people=frame("people", "person", texts("employer", "nationality", "country"), "country", "nationality"),
        tenants=_data_frame(
            rows.get("tenants"),
            "tenant",
            {"home": _LIST},
            lambda each: {"home": list(read_countries_of(each.row, "home", countries))},
        ),
        collectors=frame("collectors", "collector", texts("host", "facility", "country"), "country"),
        transfer_bases=None if bases is None else transfer_rules(bases, countries),
        approvals=None if approvals is None else approval_rules(approvals, countries),
        attestors=tuple(
            Attestor(
                each.row.require("attestor"),
                read_key(each.row, "public_key"),
                frozenset(read_countries_of(each.row, "countries", countries)),
                each.first,
                each.last,
            )
            for each in rows.get("attestors", ())
        ),
    )


def _check_places(collectors: Sequence[Dated], facilities: Sequence[Dated]) -> None:
    """Each collector sits in one country: its own, or its facility's. Raises `ContextError`."""
    known = {each.row.require("facility").lower() for each in facilities}
    for each in collectors:
        facility = each.row.get("facility")
        if (facility is None) == (each.row.get("country") is None):
            raise each.row.error("says where it sits by a facility or by a country: fill one of the two")
        if facility is not None and facility.lower() not in known:
            raise each.row.error(f"facility '{facility}' is not in facilities", "facility")


def _data_frame(
    rows: Sequence[Dated] | None,
    key: str,
    columns: dict[str, pl.DataType],
    read: Callable[[Dated], dict[str, object]],
) -> pl.DataFrame | None:
    return None if rows is None else _frame(rows, key, columns, [read(each) for each in rows])


def _frame(
    rows: Sequence[Dated], key: str, columns: dict[str, pl.DataType], cells: Iterable[dict[str, object]]
) -> pl.DataFrame:
    made = [
        {key: each.row.require(key).lower(), **said, "first": each.first, "last": each.last}
        for each, said in zip(rows, cells, strict=True)
    ]
    frame = pl.DataFrame(made, schema={key: pl.String(), **columns, **_DAYS})
    return frame.drop("first", "last") if all((each.first, each.last) == ALWAYS for each in rows) else frame
