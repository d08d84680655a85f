"""Which version of a control is in force from when: a file of decisions beside the controls of a deployment.

`activations.csv` is only ever added to. A line says that from `effective_at` on the text with this digest judges, or,
where the digest is empty, that no text does any more; who decided it, when and why. With `withdrawn` for a digest it
takes back the control's last decision that stands, which is not in force yet. Of a control with several files, the one
that no line names is in force from the beginning. The time is the event's own (`occurred_at`), as for every other date
of a control: two events of the same moment are judged alike, however late one of them arrives.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.compiled import Span
from onshore_pipeline.domain.event import LAST_DAY
from onshore_pipeline.domain.whole_numbers import shown, whole_number
from onshore_pipeline.errors import ControlError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from onshore_pipeline.controls.compiled import Compiled

FILE_NAME: Final = "activations.csv"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_END: Final = datetime.combine(LAST_DAY, time.min, UTC)  # a later event's time cannot be held
_DIGEST_LENGTH: Final = 64
_LARGEST_VERSION: Final = 999_999_999  # as a control's text may say
# In place of a digest; an older version refuses the file instead of judging by what was taken back.
WITHDRAWN: Final = "withdrawn"


@dataclass(frozen=True, slots=True)
class Activation:
    """One decision.

    Attributes:
        control_id: of what.
        version: of the text; 0 where it ends.
        digest: SHA-256 of the text's bytes, hexadecimal; empty where no text judges any more; or `WITHDRAWN`.
        effective_at: from when on, in the events' own time. A withdrawal repeats that, and the version.
        recorded_at: when it was decided.
        who: decided it.
        reason: why.
    """

    control_id: str
    version: int
    digest: str
    effective_at: datetime
    recorded_at: datetime
    who: str
    reason: str


HEADER: Final = tuple(field.name for field in fields(Activation))


def nanoseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // _MICROSECOND * 1_000


def read_activations(path: Path) -> tuple[Activation, ...]:
    """Read the file; there are none where there is no file. Raises `ControlError` with the line that is wrong."""
    if not path.exists():
        return ()
    try:
        rows = csv.reader(io.StringIO(read_plain(path).decode("utf-8"), newline=""), strict=True)
        if tuple(next(rows, ())) != HEADER:
            raise ControlError(path, 1, f"the first line must be {','.join(HEADER)}")
        found = [(rows.line_num, _activation(path, rows.line_num, row)) for row in rows if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ControlError(path, None, f"not a CSV file in UTF-8: {error}") from error
    stand: dict[str, list[Activation]] = defaultdict(list)
    for line, each in found:
        before = stand[each.control_id]
        if why := _refusal(each, before[-1] if before else None):
            raise ControlError(path, line, f"{each.control_id}: {why}")
        before.pop() if each.digest == WITHDRAWN else before.append(each)
    return tuple(each for _, each in found)


def _refusal(each: Activation, last: Activation | None) -> str:
    """Why a line cannot follow the control's last decision that stands; '' where it can."""
    if each.digest != WITHDRAWN:
        if each.effective_at > (last.effective_at if last else _EPOCH):
            return ""
        remedy = "one that is not in force yet can be taken back: onshore controls withdraw"
        return f"effective_at must lie behind that of the decision before it; {remedy}"
    if last is None or (last.version, last.effective_at) != (each.version, each.effective_at):
        return "only the last decision that stands can be withdrawn, by its version and effective_at"
    return "" if each.recorded_at < each.effective_at else "it was in force before it was withdrawn"


def standing(activations: Iterable[Activation]) -> list[Activation]:
    """The decisions that nobody withdrew, in their order."""
    stand: list[Activation] = []
    for each in activations:
        if each.digest != WITHDRAWN:
            stand.append(each)
            continue
        place = next(n for n in reversed(range(len(stand))) if stand[n].control_id == each.control_id)
        del stand[place]
    return stand


def written(activations: Iterable[Activation]) -> str:
    """The file's text."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(HEADER)
    for each in activations:
        times = (f"{moment:%Y-%m-%dT%H:%M:%S.%fZ}" for moment in (each.effective_at, each.recorded_at))
        writer.writerow([each.control_id, each.version, each.digest, *times, each.who, each.reason])
    return out.getvalue()


def spans(
    path: Path, texts: Mapping[str, Sequence[Compiled]], activations: Sequence[Activation]
) -> tuple[list[tuple[Compiled, Span]], list[ControlError]]:
    """When each text judges, by id and time, and every problem.

    Args:
        path: the file of decisions, to name in problems.
        texts: by id, every text that was read.
        activations: every line of the file, in its order.
    """
    judged: list[tuple[Compiled, Span]] = []
    problems: list[ControlError] = []
    for control_id in sorted({*texts, *(each.control_id for each in activations)}):
        lines = [each for each in activations if each.control_id == control_id]
        decided = standing(lines)
        by_digest = {each.control.digest: each for each in texts.get(control_id, ())}
        first = _unnamed(path, texts.get(control_id, ()), lines, {each.digest for each in decided})
        for other in first[1:]:
            why = f"{control_id} is the id of {first[0].control.file}, too"
            problems.append(ControlError(Path(other.control.file), 1, why, 1))
        ends = [nanoseconds(each.effective_at) for each in decided]
        judged += [(each, Span(None, ends[0] if ends else None)) for each in first[:1]]
        for decision, since, until in zip(decided, ends, (*ends[1:], None)[: len(ends)], strict=True):
            if not decision.digest:
                continue
            text = by_digest.get(decision.digest)
            if text is None:
                why = f"{control_id}: no file holds the text that was activated (sha256 {decision.digest}); put it back"
                problems.append(ControlError(path, None, why))
            else:
                judged.append((text, Span(since, until)))
        own = [each for each, _ in judged if each.control.id == control_id]
        problems += _repeated_versions(path, control_id, own)
        if len({each.windowed is None for each in own}) > 1:
            why = (
                f"{control_id}: one text looks at single events and another at more than one: their findings cannot be"
            )
            problems.append(ControlError(path, None, f"{why} counted together; give the new text an id of its own"))
    return judged, problems


def _unnamed(
    path: Path, texts: Sequence[Compiled], lines: Sequence[Activation], decided: Collection[str]
) -> list[Compiled]:
    """The texts that no line names, and a withdrawn one where it is more than the copy that was made to activate it."""
    named = {each.digest for each in lines}
    unnamed = [each for each in texts if each.control.digest not in decided]
    return [
        each for each in unnamed if each.control.digest not in named or Path(each.control.file).parent != path.parent
    ]


def _repeated_versions(path: Path, control_id: str, texts: Sequence[Compiled]) -> list[ControlError]:
    """Verdicts name the version that gave them: two texts must not share one."""
    seen: dict[int, str] = {}
    problems = []
    for each in texts:
        other = seen.setdefault(each.control.version, each.control.digest)
        if other != each.control.digest:
            why = f"{control_id}: two texts call themselves version {each.control.version}"
            problems.append(ControlError(path, None, why))
    return problems


def _activation(path: Path, line: int, row: Sequence[str]) -> Activation:
    if len(row) != len(HEADER):
        raise ControlError(path, line, f"expected {len(HEADER)} fields ({', '.join(HEADER)}), found {len(row)}")
    control_id, version, digest, effective_at, recorded_at, who, reason = row
    number = whole_number(version, _LARGEST_VERSION)
    if number is None:
        why = f"version must be a number up to {_LARGEST_VERSION}, found {shown(version)!r}"
        raise ControlError(path, line, why)
    if digest not in {"", WITHDRAWN} and (len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef")):
        raise ControlError(path, line, f"digest must be {_DIGEST_LENGTH} hexadecimal digits, found {digest!r}")
    if not (control_id and who and reason):
        raise ControlError(path, line, "control_id, who and reason must be filled in")
    times = [_moment(path, line, text) for text in (effective_at, recorded_at)]
    return Activation(control_id, number, digest, times[0], times[1], who, reason)


def _moment(path: Path, line: int, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ControlError(path, line, f"{text!r} is not a time like 2026-12-01T00:00:00Z") from error
    if moment.tzinfo is None:
        raise ControlError(path, line, f"{text!r} needs a zone: write {text}Z for UTC")
    if not _EPOCH <= moment < _END:
        raise ControlError(path, line, f"{text!r} is no time of a decision: they lie between 1970 and {LAST_DAY}")
    return moment.astimezone(UTC)
