"""Registries: reference data that ships, and the files a user adds.

`load` reads them once at start-up into a frozen `Context`; its digest names exactly the knowledge that a batch was
located with. Files that a user may put into the context directory (UTF-8 CSV, first line the column names, lines that
start with # are comments, every file optional):

| File | Columns (* = required) | Says |
|---|---|---|
| `addresses.csv` | network*, country*, facility, entity, note | where address ranges of the organisation are |
| `hosts.csv` | host_pattern*, entity, country, provider, reroutes, note | whose named hosts are, and where |
| `facilities.csv` | facility*, country*, entity, note | where data centres and offices are, who runs them |
| `entities.csv` | name*, country, control_country, parent, effective_from, effective_to | organisations, dated |
| `operators.csv` | as shipped in `reference/` | networks by number; a row replaces the shipped one |
| `model_endpoints.csv` | as shipped in `reference/` | model hosts; a row replaces the shipped one |
| `cloud_regions.csv` | as shipped in `reference/` | cloud regions; a row replaces the shipped one |

Countries may be written as alpha-2, alpha-3 or English name in any case. Rows whose confidence is 'check' are never
used to say something. What a user's file says about a place is *asserted*.
"""

from onshore_pipeline.context.countries import Countries, CountryGroup
from onshore_pipeline.context.loading import DEBIAN_GEOIP, Context, Source, load

__all__ = ["DEBIAN_GEOIP", "Context", "Countries", "CountryGroup", "Source", "load"]
