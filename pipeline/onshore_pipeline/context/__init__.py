"""Registries: reference data that ships, and the files a user adds.

`load` reads them into a frozen `Context`; its digest names exactly the knowledge that a batch was located with. A user
writes a registry as `NAME.csv` (UTF-8, first line the column names, lines that start with # are comments) or as
`NAME.yaml` (a list of rows with the same columns); every file is optional, and `declared.REGISTRIES` says which there
are and what each column holds.

A row speaks about the days from `valid_from` to `valid_to`, and counts for who asks what was known at a time only when
its `known_from` is not later. Of rows of one key the one that is known last takes over the days that it speaks about.

What a registry does not say is unknown. A registry of permissions that knows the parties and has no row for them says
'none'. Countries may be written as alpha-2, alpha-3 or English name in any case. Rows whose confidence is 'check' are
never used to say something. What a user's file says about a place is *asserted*.
"""

from onshore_pipeline.context.countries import Countries, CountryGroup
from onshore_pipeline.context.loading import DEBIAN_GEOIP, load
from onshore_pipeline.context.world import Context, Source

__all__ = ["DEBIAN_GEOIP", "Context", "Countries", "CountryGroup", "Source", "load"]
