"""What a kind of recipient is not shown: one of the profiles that ship, or a file of the operator's own.

A file is YAML:

    name: oaic                      # as it stands in the bundle
    base: pseudonymous              # full, pseudonymous or minimal
    redact: [attributes.note]       # closed besides
    open: [destination_host]        # open, though the base closes it
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.evidence.redaction import REDACTABLE, parse_redaction

if TYPE_CHECKING:
    from collections.abc import Sequence

_MEMBERS: Final = {"name", "base", "redact", "open"}
# Whatever is closed has a word in its place, but here: words that stay the same are personal still.
_WITHOUT_PSEUDONYMS: Final = "minimal"


@dataclass(frozen=True, slots=True)
class Profile:
    """What stays closed.

    Attributes:
        name: as it stands in the bundle.
        redacted, closed_keys: see `redaction.parse_redaction`.
        pseudonyms: closed values have pseudonyms.
    """

    name: str
    redacted: frozenset[str]
    closed_keys: dict[str, frozenset[str]]
    pseudonyms: bool


def profile_of(named: str, fields: Sequence[str]) -> Profile:
    """The profile of this name, or of the file where it ends with .yaml or .yml, with further fields closed.

    Raises:
        OnshoreError: there is none, the file is none, or a field cannot be closed.
    """
    name, base, more, opened = named, named, [*fields], frozenset[str]()
    if named.endswith((".yaml", ".yml")):
        told = _read(Path(named))
        name, base = told["name"], told.get("base", "full")
        more += told.get("redact", [])
        opened = frozenset(told.get("open", []))
        if not opened <= {*REDACTABLE} - {*more}:
            wrong = ", ".join(sorted(opened - ({*REDACTABLE} - {*more})))
            raise OnshoreError(
                f"--profile {named}: open: {wrong}: no field that can be closed, or closed by redact, too"
            )
    redacted, keys = parse_redaction(base, more)
    return Profile(name, redacted - opened, keys, base != _WITHOUT_PSEUDONYMS)


def _read(path: Path) -> dict[str, Any]:
    try:
        told = YAML(typ="safe", pure=True).load(path.read_text())
    except OSError as error:
        raise OnshoreError(f"--profile {path}: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise OnshoreError(f"--profile {path}: no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(told, dict) or not set(told) <= _MEMBERS:
        raise OnshoreError(f"--profile {path}: a profile has name, base, redact and open, and nothing else")
    lists = [told.get(name, []) for name in ("redact", "open")]
    are_lists = all(isinstance(some, list) and all(isinstance(each, str) for each in some) for some in lists)
    if not isinstance(told.get("name"), str) or not told["name"].strip() or not are_lists:
        raise OnshoreError(f"--profile {path}: name must be a text, and redact and open lists of fields")
    return told
