"""The domain of an event whose source did not state one.

By the action's beginning; else by what its attributes are about; else infrastructure.
"""

from __future__ import annotations

import re
from typing import Final

import polars as pl

# The longest beginning that fits decides. Weights that are exported are data that moves.
_BY_ACTION: Final = {
    "access.": "infrastructure",
    "admin.": "infrastructure",
    "backup.": "data_movement",
    "config.": "infrastructure",
    "data.": "data_movement",
    "gpu.": "infrastructure",
    "host.": "infrastructure",
    "hw.": "infrastructure",
    "identity.": "infrastructure",
    "image.": "data_movement",
    "index.": "data_movement",
    "key.": "infrastructure",
    "kubernetes.": "infrastructure",
    "model.": "model_access",
    "model.weights.export": "data_movement",
    "network.": "infrastructure",
    "node.": "infrastructure",
    "telemetry.": "data_movement",
    "workload.": "infrastructure",
}
_MODEL_KEYS: Final = re.compile(r"gen_ai\.")
_DATA_KEYS: Final = re.compile(r"(db|file|nfs|messaging|aws\.s3)\.")


def domain_of(events: pl.DataFrame, attributes: pl.DataFrame) -> pl.Series:
    """The domain by best rule for every event; never null.

    Args:
        events: columns row, action, bytes.
        attributes: columns row, key of the same events.
    """
    actions = events["action"].unique()
    known = pl.DataFrame({"action": actions, "domain": pl.Series(map(_by_action, actions.to_list()), dtype=pl.String)})
    domain = events.select("action").join(known, on="action", how="left", maintain_order="left")["domain"]
    if not domain.null_count():
        return domain
    keys = attributes["key"].unique().to_list()
    model, data = (
        events["row"].is_in(attributes.filter(pl.col("key").is_in(about))["row"].unique().implode())
        for about in ([key for key in keys if pattern.match(key)] for pattern in (_MODEL_KEYS, _DATA_KEYS))
    )
    return pl.select(
        pl.coalesce(
            domain,
            pl.when(model)
            .then(pl.lit("model_access"))
            .when(data | events["bytes"].is_not_null())
            .then(pl.lit("data_movement"))
            .otherwise(pl.lit("infrastructure")),
        ).alias("domain")
    ).to_series()


def _by_action(action: str) -> str | None:
    fitting = [beginning for beginning in _BY_ACTION if action.startswith(beginning)]
    return _BY_ACTION[max(fitting, key=len)] if fitting else None
