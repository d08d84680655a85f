"""CloudTrail log files, as CloudTrail writes them: `{"Records": [...]}`; digest files hold hashes of log files."""

from __future__ import annotations

from typing import Final

from onshore_collectors.files.json_records import JsonRules

FORMAT: Final = "aws.cloudtrail"

RULES: Final = JsonRules(
    FORMAT,
    lists=("Records",),
    ids=("eventID",),
    times=("eventTime",),
    keys=("eventVersion", "eventName", "eventID"),
    called="CloudTrail record",
    digest=("digestStartTime", "logFiles"),
)
