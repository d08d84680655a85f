"""Where keys are held, and who holds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from onshore_pipeline.distinct import nulls
from onshore_pipeline.locate import codes, ownership, regions
from onshore_pipeline.locate.claims import weigh
from onshore_pipeline.locate.provenance import party_text
from onshore_pipeline.locate.registered import on_days

if TYPE_CHECKING:
    from onshore_pipeline.context import Context


def key_places(events: pl.DataFrame, context: Context) -> tuple[list[pl.Series], pl.Series, pl.Series]:
    """key_custodian, key_country and key_country_basis; what disagrees about the key's place; its part of `provenance`.

    What was sent, what the registry of keys says and the region in the key's own name are claims; where nobody makes
    one, the country is inferred from where the custodian is registered.
    """
    sent, custodian = events["key_country"], events["key_custodian"]
    key = events["key_id"]
    height = events.height
    if all(column.null_count() == height for column in (sent, custodian, key)):
        unknown = pl.Series("key_country_basis", ["unknown"]).new_from_index(0, height)
        nothing = nulls(height, {"key": pl.String()}).to_series()
        return [custodian, sent, unknown], nothing, nothing
    holder_sent = custodian
    claims = [codes.country_codes(sent, context.countries).alias("declared")]
    if context.registered.keys is not None and key.null_count() < height:
        known = on_days(key, events["occurred_at"], context.registered.keys, "key")
        custodian = custodian.zip_with(custodian.is_not_null(), known["custodian"])
        claims.append(known["country"].alias("registered"))
    in_name = regions.resource_regions(key)
    if in_name is not None:
        claims += regions.resource_places(in_name, context).get_columns()
    made = [claim for claim in claims if claim.null_count() < height]
    asserted = pl.Series("basis", ["asserted"]).new_from_index(0, height)
    names = dict.fromkeys(claim.name.removesuffix("_set") for claim in made if not claim.name.endswith("_label"))
    bases = [asserted.alias(f"{name}_basis") for name in names]
    place = weigh(pl.DataFrame([*made, *bases]) if made else pl.DataFrame(height=height), "key")
    by_custodian = ownership.entity_countries(custodian, events["occurred_at"], context)["country"]
    # Where claims disagree the country stays open, whoever holds the key.
    infers = (place["basis"] == "unknown") & by_custodian.is_not_null()
    inferred = pl.Series("basis", ["inferred"]).new_from_index(0, height)
    columns = [
        custodian.alias("key_custodian"),
        place["country"].zip_with(~infers, by_custodian).alias("key_country"),
        place["basis"].zip_with(~infers, inferred).alias("key_country_basis"),
    ]
    registered = pl.Series(["registered"]).zip_with(custodian.is_not_null(), pl.Series([None], dtype=pl.String))
    told = party_text(
        "key",
        pl.Series(["custodian"]).zip_with(infers, place["claim"]),
        pl.Series(["sent"]).zip_with(holder_sent.is_not_null(), registered),
    )
    return columns, place["contradiction"].alias("key"), told.alias("key")
