"""What Google's resource names say (google.aip.dev/122): projects/P/locations/L/..., //service/projects/P/..."""

from __future__ import annotations

import polars as pl


def location_of(name: pl.Expr) -> pl.Expr:
    """The location, region or zone in a resource's name; null where it names none."""
    return name.str.extract(r"/(?:locations|regions|zones)/([^/]+)")


def project_of(name: pl.Expr) -> pl.Expr:
    """The project in a resource's name."""
    return name.str.extract(r"(?:^|/)projects/([^/]+)")


def bucket_of(name: pl.Expr) -> pl.Expr:
    """The Cloud Storage bucket in a resource's name."""
    return name.str.extract(r"/buckets/([^/]+)")


def object_of(name: pl.Expr) -> pl.Expr:
    """The Cloud Storage object in a resource's name."""
    return name.str.extract(r"/buckets/[^/]+/objects/(.+)$")


def table_of(name: pl.Expr) -> pl.Expr:
    """The BigQuery table in a resource's name as SQL spells it, project.dataset.table; null for what is none."""
    parts = name.str.extract_groups(r"projects/([^/]+)/datasets/([^/]+)(?:/tables/([^/]+))?")
    project, dataset, table = (parts.struct.field(str(number)) for number in (1, 2, 3))
    whole = pl.concat_str(project, dataset, table, separator=".", ignore_nulls=True)
    return pl.when(dataset.is_not_null()).then(whole)
