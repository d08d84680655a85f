"""What one control says about one event."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """The verdict of one control on one event.

    UNDETERMINED is what SQL's NULL becomes: a fact that decides the condition is unknown, or claims about it disagree.
    NOT_APPLICABLE is never stored and never counted.
    """

    SATISFIED = "satisfied"
    VIOLATED = "violated"
    UNDETERMINED = "undetermined"
    NOT_APPLICABLE = "not_applicable"
