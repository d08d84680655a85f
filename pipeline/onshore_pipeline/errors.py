"""Errors, sorted by what the reader should do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self


# How a process ends that stopped for a person to look: whoever watches it must not start it again.
STAYS_DOWN: Final = 3

# How a command ends that somebody interrupted, as shells count it.
INTERRUPTED: Final = 130

# Files that one line names; whoever has more to mend than that mends these first.
_MOST_NAMED: Final = 20


def in_one_line(error: Exception) -> str:
    """What nobody foresaw, for people; logged is its traceback as text: pretty ones print variables, secrets too."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class OnshoreError(Exception):
    """Anything Onshore raises on purpose; its text is one readable line."""


class MalformedMessage(OnshoreError):
    """A message that cannot be read: dead-letter it and go on."""

    def __init__(self, topic: str, partition: int, offset: int, reason: str) -> None:
        """Name the message and say what is wrong with it."""
        super().__init__(f"{topic}[{partition}]@{offset}: {reason}")
        self.topic, self.partition, self.offset, self.reason = topic, partition, offset, reason


class StoreUnavailable(OnshoreError):
    """The store did not answer: commit nothing, back off, try again."""


class BrokerUnavailable(OnshoreError):
    """The broker did not answer: commit nothing, back off, try again."""


class LogCut(BrokerUnavailable):
    """The evidence log ends before a position that something was read from already."""


class BrokerFull(BrokerUnavailable):
    """The broker takes no more until what waits has been worked off: put senders off, try again later.

    Attributes:
        room_in_s: when there may be room, at the pace of late; None when nothing is worked off.
    """

    def __init__(self, why: str, room_in_s: float | None = None) -> None:
        """Say what is full."""
        super().__init__(why)
        self.room_in_s = room_in_s


class MessageTooLarge(OnshoreError):
    """The broker takes no message of this size: refuse it, do not try again."""


class OutOfSequence(OnshoreError):
    """A numbered sending was overtaken by later ones, or its number stood for something else before."""


class StaysDown(OnshoreError):
    """Going on would do harm, and starting again would not help: stop (exit 3) until a person has looked."""


class TooManyDeadLetters(StaysDown):
    """More than the limit would become dead letters: nothing is committed."""


class NameTaken(StaysDown):
    """Another worker is a member of the group under this one's name, and began later."""


class PartitionDamaged(StaysDown):
    """What the broker has is not what was written, and tells not even which offsets it is about."""


class StoreRefusesAll(StaysDown):
    """The store refused one message after the other, so the fault is not in them."""

    def __init__(self, dead_lettered: int, why: str) -> None:
        """Say what became of them, and in whose words the store refused the last one."""
        super().__init__(
            f"the store refused {dead_lettered + 1} messages one after the other, so the fault is not in them: {why}."
            f" The first {dead_lettered} are dead letters, what is behind them waits where it was sent to. Repair the"
            " store and start again, then `onshore dead-letters replay --stage write`"
        )


class LogInUse(OnshoreError):
    """Another process works on the messages of this log: stop one of the two, then start again."""


class LogOfAnother(OnshoreError):
    """The evidence log belongs to another store, group or salt key: stop; nothing may be sealed from here."""


class CommitFenced(OnshoreError):
    """Another member owns these messages now: forget the attempt and poll again."""


class SettingsError(OnshoreError):
    """A setting is unknown or malformed: stop at start-up (exit 2)."""

    def __init__(self, name: str, why: str) -> None:
        """Name the setting and say what is wrong with it."""
        super().__init__(f"setting {name}: {why}")
        self.name, self.why = name, why


class _FileError(OnshoreError):
    def __init__(self, file: Path | str, line: int | None, why: str, column: int | None = None) -> None:
        """Point at the place in the file (1-based) and say what is wrong there."""
        where = ":".join(str(part) for part in (file, line, column) if part is not None)
        super().__init__(f"{where}: {why}")
        self.file, self.line, self.column, self.why = file, line, column, why

    @classmethod
    def of(cls, problems: Sequence[Self]) -> Self:
        """One error for all of these, at least one: place and reason are the first's, its text names every file."""
        first = problems[0]
        by_file: dict[str, list[Self]] = {}
        for problem in problems:
            by_file.setdefault(str(problem.file), []).append(problem)
        named = [_and_more(str(each[0]), len(each) - 1, "in it") for each in list(by_file.values())[:_MOST_NAMED]]
        whole = cls(first.file, first.line, first.why, first.column)
        whole.args = (_and_more("; ".join(named), len(by_file) - len(named), "of other files"),)
        return whole


def _and_more(text: str, more: int, where: str) -> str:
    return f"{text} (and {more:,} more {where})" if more else text


class ControlError(_FileError):
    """A control cannot be used as written: stop at start-up (exit 2)."""


class ContextError(_FileError):
    """A registry cannot be used as written: stop at start-up (exit 2)."""


class EvidenceError(OnshoreError):
    """Evidence was altered or could not be checked."""

    def __init__(self, step: str, what: str) -> None:
        """Name the numbered step and say what was found there."""
        super().__init__(f"step {step}: {what}")
        self.step, self.what = step, what


class EvidenceAltered(EvidenceError):
    """Checked, and wrong (exit 1)."""


class EvidenceUncheckable(EvidenceError):
    """Could not be checked (exit 2)."""
