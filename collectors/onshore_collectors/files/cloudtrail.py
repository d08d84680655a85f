"""CloudTrail log files, as CloudTrail writes them: `{"Records": [...]}`; digest files hold hashes of log files."""

from __future__ import annotations

from typing import Final

from onshore_collectors.files.json_records import JsonRules

FORMAT: Final = "aws.cloudtrail"

RULES: Final = JsonRules(
    FORMAT,
    lists=("Records",),
    ids=("eventID", "eventid"),  # in lower case what went through tables that know no other
    times=("eventTime", "eventtime"),
    keys=("eventVersion", "eventName", "eventID", "eventversion", "eventname", "eventid"),
    called="CloudTrail record",
    digest=("digestStartTime", "logFiles"),
)
