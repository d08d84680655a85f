"""Who wrote a log, where its resource says so.

A log that a program writes about what is done to it (a model server, a resolver, a database) does not say where that
program runs. The resource does, but only if it is the program's own and not that of whoever read the log's file: it
must name the server or the pod.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import polars as pl

from onshore_pipeline.normalise.parties import provider_of

if TYPE_CHECKING:
    from onshore_pipeline.normalise.fields import Records

_SERVER: Final = "server.address"
_POD: Final = "k8s.pod.name"
_REGION, _PROVIDER, _ACCOUNT = "cloud.region", "cloud.provider", "cloud.account.id"

KEYS: Final = (_SERVER,)
RESOURCE_KEYS: Final = (_SERVER, _POD, _REGION, _PROVIDER, _ACCOUNT)
COLUMNS: Final = ("writer_host", "writer_region", "writer_provider", "writer_account")


def of(records: Records) -> pl.DataFrame:
    """`COLUMNS` row by row: the server by the name that record, else resource give it, and where the resource is."""
    own = pl.coalesce(records.resource(_SERVER), records.resource(_POD))
    place = {
        "writer_region": records.resource(_REGION),
        "writer_provider": provider_of(records.resource(_PROVIDER)),
        "writer_account": records.resource(_ACCOUNT),
    }
    return records.select(
        pl.coalesce(records.text(_SERVER), own).alias("writer_host"),
        *(pl.when(own.is_not_null()).then(value).alias(name) for name, value in place.items()),
    )


def as_party(party: str) -> list[pl.Expr]:
    """The columns of `of` as those of a party, all but its host."""
    return [pl.col(f"writer_{what}").alias(f"{party}_{what}") for what in ("region", "provider", "account")]
