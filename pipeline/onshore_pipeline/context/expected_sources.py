"""The register of expected sources: who must be heard, how he is recognised, and how often.

- source: cloudtrail of the production account      # its name in coverage and findings
  tenant: acme                                      # recognised by: all that is given here must fit; * stands for
  collector: syd-1/cloudtrail                       #   any text, in every one of them
  source_format: aws.cloudtrail
  topic: otlp_logs
  resource: [cloud.account.id=123456789012]         #   of the keys in `NAMING_KEYS`
  heard_every: 15m                                  # silent for longer is a finding
  late_by: 30m                                      # how late what happened may be told; 5m
  clock_within: 60s                                 # how far its clock may be off; 60s
  since: 2026-11-01                                 # from when on it is expected, and until when
  until:
  owner: cloud platform team                        # who mends it
  why: who read the buckets of the health records   # what is not proved without it
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.checks import check_filled
from onshore_pipeline.context.registers import DURATION, REGISTERS
from onshore_pipeline.context.yaml_table import read_yaml
from onshore_pipeline.coverage_names import NAMING_KEYS
from onshore_pipeline.errors import ContextError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from onshore_pipeline.context.csv_table import Row

FILE_NAME: Final = "expected_sources.yaml"
REGISTER: Final = REGISTERS["expected_sources"]

_DURATION: Final = re.compile(DURATION)
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHORTEST_SILENCE: Final = timedelta(minutes=1)  # who was heard is counted by the minute
_LATE_BY, _CLOCK_WITHIN = timedelta(minutes=5), timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Sender:
    """Somebody who was heard, as facts name him; `resource` has the keys of `NAMING_KEYS` that he sent."""

    tenant: str
    collector: str
    source_format: str
    topic: str
    resource: str


@dataclass(frozen=True, slots=True)
class ExpectedSource:
    """One row of the register.

    Attributes:
        name: of the source; no two rows have the same.
        tenant: whose it is; None where the row names none.
        patterns: by column of `Sender`, what its text must match whole.
        resource: the same by resource attribute.
        heard_every: the longest silence that is none.
        late_by: how long after it happened something may arrive and still be in time.
        clock_within: how far its clock may be off.
        since: from when on it is expected.
        until: from when on it is no longer; None for an open end.
        owner: who mends it.
        why: what cannot be proved without it.
    """

    name: str
    tenant: str | None
    patterns: Mapping[str, re.Pattern[str]]
    resource: Mapping[str, re.Pattern[str]]
    heard_every: timedelta
    late_by: timedelta
    clock_within: timedelta
    since: datetime
    until: datetime | None
    owner: str
    why: str

    def recognises(self, sender: Sender) -> bool:
        """Whether what this sender sends is this source's."""
        if not all(pattern.fullmatch(getattr(sender, name)) for name, pattern in self.patterns.items()):
            return False
        if not self.resource:
            return True
        named = json.loads(sender.resource) if sender.resource else {}
        return all(key in named and pattern.fullmatch(named[key]) for key, pattern in self.resource.items())


@dataclass(frozen=True, slots=True)
class Register:
    """Every expected source, in the file's order.

    Attributes:
        sources: none where there is no file.
        version: what the file says in `# version: ...`.
        sha256: of its bytes, hex; '' where there is no file.
    """

    sources: tuple[ExpectedSource, ...] = ()
    version: str = ""
    sha256: str = ""


def read_register(directory: Path | None) -> Register:
    """Read `expected_sources.yaml` of the user's registries; no folder or no file is an empty register.

    Raises:
        ContextError: the file cannot be used; it names file and line.
    """
    if directory is None or not (file := directory / FILE_NAME).exists():
        return Register()
    try:
        content = read_plain(file)
    except OSError as error:
        raise ContextError(file, None, f"cannot be read: {error.strerror}") from error
    table = read_yaml(file, content, REGISTER.columns)
    return Register(tuple(read_sources(table)), table.version, hashlib.sha256(content).hexdigest())


def read_sources(rows: Iterable[Row]) -> Iterable[ExpectedSource]:
    """The sources of these rows. Raises `ContextError` for the first that cannot be used."""
    names: dict[str, int] = {}
    for row in rows:
        source = _source(row)
        if source.name in names:
            raise row.error(f"the source {source.name!r} stands in line {names[source.name]}, too")
        names[source.name] = row.line
        yield source


def _source(row: Row) -> ExpectedSource:
    check_filled(row, REGISTER)
    since, until = _moment(row, "since"), _moment(row, "until")
    assert since is not None
    if until is not None and until <= since:
        raise row.error("'until' is not after 'since'")
    named = (name for name in REGISTER.one_of if name != "resource")
    patterns = {name: _pattern(text) for name in named if (text := row.get(name)) is not None}
    resource = _resource(row)
    heard_every = _duration(row, "heard_every", None)
    if heard_every < _SHORTEST_SILENCE:
        raise row.error("'heard_every' must be a minute (1m) at least: who was heard is counted by the minute")
    tenant = row.get("tenant")
    return ExpectedSource(
        name=row.require("source"),
        tenant=tenant if tenant is not None and "*" not in tenant else None,
        patterns=patterns,
        resource=resource,
        heard_every=heard_every,
        late_by=_duration(row, "late_by", _LATE_BY),
        clock_within=_duration(row, "clock_within", _CLOCK_WITHIN),
        since=since,
        until=until,
        owner=row.require("owner"),
        why=row.require("why"),
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in text.split("*")), re.DOTALL)


def _resource(row: Row) -> dict[str, re.Pattern[str]]:
    found: dict[str, re.Pattern[str]] = {}
    for pair in (row.get("resource") or "").split(";"):
        if not pair.strip():
            continue
        key, equals, text = (piece.strip() for piece in pair.partition("="))
        if not equals or not text:
            raise row.error(f"'resource' is written [KEY=TEXT, ...], not {pair.strip()!r}")
        if key not in NAMING_KEYS:
            raise row.error(f"a source is not recognised by {key}; known: {', '.join(NAMING_KEYS)}")
        found[key] = _pattern(text)
    return found


def _duration(row: Row, column: str, otherwise: timedelta | None) -> timedelta:
    text = row.require(column) if otherwise is None else row.get(column)
    if text is None:
        assert otherwise is not None
        return otherwise
    match = _DURATION.fullmatch(text)
    if match is None:
        raise row.error(f"'{column}' is written 90s, 15m, 2h or 1d, not {text!r}")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _moment(row: Row, column: str) -> datetime | None:
    text = row.get(column)
    if text is None:
        return None
    try:
        if "T" not in text and " " not in text:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise row.error(
            f"'{column}' is a day like 2026-11-01 or a time like 2026-11-01T08:00:00Z, not {text!r}"
        ) from None
    if moment.tzinfo is None:
        raise row.error(f"'{column}' needs a zone: write {text}Z for UTC")
    return moment.astimezone(UTC)
