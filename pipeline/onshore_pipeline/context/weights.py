"""Where the weights of registered models lie."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.domain.object_place import object_place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_pipeline.context.csv_table import Row
    from onshore_pipeline.context.dated import Dated

_WRITE: Final = (
    "write s3://BUCKET/FOLDER/, gs://BUCKET/FOLDER/, https://ACCOUNT.blob.core.windows.net/CONTAINER/FOLDER/ "
    "or file:///FOLDER/"
)


def read_places(row: Row, column: str) -> tuple[str, ...]:
    """Places of objects in their one spelling, sorted. Raises `ContextError`."""
    found = set()
    for text in row.several(column):
        place = object_place(text)
        if place is None:
            raise row.error(f"column '{column}': '{text}' is no place of objects; {_WRITE}", column)
        if "*" in place:
            raise row.error(f"column '{column}': '{text}' holds a *: name the folder, all below it is meant", column)
        found.add(place)
    return tuple(sorted(found))


def weights_frame(
    models: Sequence[Dated], said: Sequence[Mapping[str, object]], about: Mapping[str, pl.DataType]
) -> pl.DataFrame | None:
    """The places of weights, each with what its model's row says.

    Args:
        models: rows of the register, with the days they speak about.
        said: what each says about its data.
        about: the columns of `said`.

    Returns:
        place, container (the place up to its first name), depth (how many parts it has between slashes), the columns of
        `about`, first, last; of each place at most one row a day. None where no row names a place.

    Raises:
        ContextError: two models of which different things are said have the same place on the same day.
    """
    rows: dict[str, list[tuple[Dated, Mapping[str, object]]]] = {}
    made = []
    for each, facts in zip(models, said, strict=True):
        for place in read_places(each.row, "weights"):
            others = rows.setdefault(place, [])
            meeting = [(other, theirs) for other, theirs in others if _meet(other, each)]
            if any((theirs, other.first, other.last) != (facts, each.first, each.last) for other, theirs in meeting):
                other = meeting[0][0].row.get("model")
                why = f"'{place}' holds the weights of '{other}', too, of which something else is said"
                raise each.row.error(f"{why}: name a folder of its own for each", "weights")
            others.append((each, facts))
            if not meeting:
                made.append({"place": place, **facts, "first": each.first, "last": each.last})
    if not made:
        return None
    frame = pl.DataFrame(made, schema={"place": pl.String(), **about, "first": pl.Date(), "last": pl.Date()})
    return frame.with_columns(
        container=container_of(pl.col("place")), depth=pl.col("place").str.split("/").list.len().cast(pl.Int64)
    )


def container_of(place: pl.Expr) -> pl.Expr:
    """Scheme and bucket, or account, of a place."""
    return place.str.extract(r"^([a-z0-9]+://[^/]*)")


def _meet(one: Dated, other: Dated) -> bool:
    return one.first <= other.last and other.first <= one.last
