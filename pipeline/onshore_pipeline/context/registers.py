"""Registers that no event is located or judged by: who must be heard, and how long events are kept. YAML only."""

from __future__ import annotations

from typing import Final

from onshore_pipeline.context.declared import Field, Registry, must

# How columns of the kinds `duration` and `keep` are written.
DURATION: Final = "([1-9][0-9]{0,5})(s|m|h|d)"
KEEP: Final = "([1-9][0-9]{0,4})(d)|([1-9][0-9]?|1[0-9]{2}|200)(y)"

REGISTERS: Final[dict[str, Registry]] = {
    register.name: register
    for register in (
        Registry(
            "expected_sources", "Who must be heard, how he is recognised, and how often.",
            (
                must("source", "text", "its name in coverage and findings"),
                Field("tenant", "text", "recognised by its tenant; * stands for any text"),
                Field("collector", "text", "by its collector's id; * stands for any text"),
                Field("source_format", "text", "by the format of its records; * stands for any text"),
                Field("topic", "text", "by the topic; * stands for any text"),
                Field("resource", "pairs", "by resource attributes: [KEY=TEXT, ...]; * stands for any text"),
                must("heard_every", "duration", "the longest silence that is no finding; a minute at least"),
                Field("late_by", "duration", "how late what happened may be told; 5m"),
                Field("clock_within", "duration", "how far its clock may be off; 60s"),
                must("since", "instant", "from when on it is expected"),
                Field("until", "instant", "until when; blank: until further notice"),
                must("owner", "text", "who mends it"),
                must("why", "text", "what is not proved without it"),
            ),
            key=("source",),
            one_of=("tenant", "collector", "source_format", "topic", "resource"),
        ),
        Registry(
            "retention", "How long events are kept.",
            (
                Field("tenant", "text", "whose events; blank: everybody's"),
                Field("domain", "domain", "which of them; blank: all"),
                Field("classification", "text", "of which classification; blank: of any, and of none"),
                must("keep", "keep", "days (400d) or years (7y; 200y at most) since the broker took the event"),
                must("why", "text", "what asks for it"),
            ),
            key=("tenant", "domain", "classification"),
        ),
    )
}  # fmt: skip
