"""What is said of a local log that took another's place: who began it and why, signed by the deployment's keys.

The statement is a signed note (c2sp.org/signed-note) of two lines: `onshore new log 1`, and JSON with its members
sorted. It stands in `log/epoch.json`, and where a person began the log, in the first event of the new log, too.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from onshore_pipeline.embedded.new_log import EPOCH_FILE
from onshore_pipeline.evidence.signed_note import NoteRefused, parse_note
from onshore_pipeline.jobs.audit_problem import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from onshore_pipeline.evidence.keyring import Keyring
    from onshore_pipeline.evidence.signed_note import VerifierKey

_FIRST_LINE: Final = "onshore new log 1"
_SAME: Final = ("log_id", "topics", "begun_at", "previous")


def signed_statement(keyring: Keyring, epoch: Mapping[str, Any], who: str | None, reason: str, now: datetime) -> str:
    """The note about a new log; `epoch` is what its file will say, `who` None where nobody is named."""
    told = {name: epoch[name] for name in _SAME} | {"by": who, "reason": reason or None}
    line = json.dumps(told, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return str(keyring.signed(f"{_FIRST_LINE}\n{line}\n", now, timed=False))


def statement_problems(folder: Path, keys: Collection[VerifierKey]) -> Iterator[Problem]:
    """What is wrong with the statement about the log in `folder`; nothing where no log was before it."""
    file = folder / EPOCH_FILE
    if not file.exists():
        return
    try:
        epoch = json.loads(file.read_text())
        if epoch["statement"] is None:
            why = "nobody signed that this log was begun anew; it is of a version that could not"
            yield Problem("uncheckable", str(file), why)
            return
        why = _refused(epoch, keys)
    except NoteRefused as error:
        why = f"its statement is not this deployment's: {error}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = f"cannot be read: {error}"
    if why:
        yield Problem("log", str(file), why)


def earlier_logs(folder: Path) -> set[UUID]:
    """The log whose place the one in `folder` took, as its file says, whoever wrote that."""
    try:
        previous = json.loads((folder / EPOCH_FILE).read_text())["previous"]
        return {UUID(previous["log_id"])} if previous else set()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _refused(epoch: Mapping[str, Any], keys: Collection[VerifierKey]) -> str:
    """Why the file does not say what was signed; '' where it does. Raises `NoteRefused`, and what JSON raises."""
    note = parse_note(epoch["statement"].encode())
    note.verified(keys)
    first, _, line = note.text.partition("\n")
    told = json.loads(line)
    if first != _FIRST_LINE or told["log_id"] not in (epoch["log_id"], epoch.get("in_place_of")):
        return "its statement is about another log"
    differs = [name for name in ("begun_at", "previous") if told[name] != epoch[name]]
    return f"it says another {' and '.join(differs)} than was signed" if differs else ""
