"""What Azure's resource ids say: /subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME/..., in any case."""

from __future__ import annotations

import polars as pl


def subscription_of(resource: pl.Expr) -> pl.Expr:
    """The subscription in a resource's id, in lower case."""
    return resource.str.to_lowercase().str.extract(r"/subscriptions/([^/]+)")


def name_of(resource: pl.Expr) -> pl.Expr:
    """The last name in a resource's id."""
    return resource.str.extract(r"([^/]+)/*$")


def storage_of(resource: pl.Expr) -> pl.Expr:
    """ACCOUNT or ACCOUNT/CONTAINER of a storage resource's id; null for any other."""
    account = resource.str.extract(r"(?i)/storageaccounts/([^/]+)")
    container = resource.str.extract(r"(?i)/(?:containers|shares|tables|queues)/([^/]+)")
    return pl.concat_str(account, container, separator="/", ignore_nulls=True).replace("", None)
