"""The register of how long events are kept: `context/retention.yaml`.

- tenant: acme               # whose events; blank: everybody's
  domain: model_access       # which of them; blank: all
  classification: internal   # of which classification; blank: of any, and of none
  keep: 400d                 # days, or years (7y), from the time that the broker took the event
  why: contract with acme, section 9

The most specific row counts; of equally specific ones the longest. What no row names is kept for ever. An event whose
classification is unknown may have any, so it is kept as long as the longest row says that could be meant.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.checks import check_filled
from onshore_pipeline.context.registers import KEEP, REGISTERS
from onshore_pipeline.context.yaml_table import read_yaml
from onshore_pipeline.domain.event import DOMAINS
from onshore_pipeline.errors import ContextError
from onshore_pipeline.plain_files import read_plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from onshore_pipeline.context.csv_table import Row

FILE_NAME: Final = "retention.yaml"
REGISTER: Final = REGISTERS["retention"]
_KEEP: Final = re.compile(KEEP)


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """One row; None stands for any.

    Attributes:
        keep: as it is written, 400d or 7y.
        place: file and line.
    """

    tenant: str | None
    domain: str | None
    classification: str | None
    keep: str
    why: str
    place: str

    @property
    def specificity(self) -> int:
        """How many of the three it names."""
        return sum(each is not None for each in (self.tenant, self.domain, self.classification))

    def keeps_since(self, now: datetime) -> datetime:
        """What the broker took before this is due."""
        return _earlier(now, int(self.keep[:-1]), self.keep[-1])


@dataclass(frozen=True, slots=True)
class Retention:
    """Every rule, in the file's order; none: everything is kept for ever."""

    rules: tuple[RetentionRule, ...] = ()
    sha256: str = ""

    def rule_for(self, tenant: str, domain: str, classification: str | None, now: datetime) -> RetentionRule | None:
        """The rule that counts for such events; None: they are kept for ever."""
        scoped = [rule for rule in self.rules if rule.tenant in (None, tenant) and rule.domain in (None, domain)]
        # Here None stands for a classification that no row names.
        possible = {classification} if classification is not None else {None, *(rule.classification for rule in scoped)}
        found = [_best([r for r in scoped if r.classification in (None, each)], now) for each in possible]
        known = [rule for rule in found if rule is not None]
        return min(known, key=lambda rule: rule.keeps_since(now)) if len(known) == len(found) else None


def read_retention(directory: Path | None) -> Retention:
    """Read `retention.yaml` of the user's registries; no folder or no file keeps everything.

    Raises:
        ContextError: the file cannot be used; it names file and line.
    """
    if directory is None or not (file := directory / FILE_NAME).exists():
        return Retention()
    try:
        content = read_plain(file)
    except OSError as error:
        raise ContextError(file, None, f"cannot be read: {error.strerror}") from error
    rules = tuple(_rules(read_yaml(file, content, REGISTER.columns)))
    return Retention(rules, hashlib.sha256(content).hexdigest())


def _rules(rows: Iterable[Row]) -> Iterable[RetentionRule]:
    seen: dict[tuple[str | None, ...], int] = {}
    for row in rows:
        check_filled(row, REGISTER)
        scope = tuple(row.get(name) for name in REGISTER.key)
        if scope in seen:
            raise row.error(f"line {seen[scope]} speaks of the same events")
        seen[scope] = row.line
        tenant, domain, classification = scope
        if domain is not None and domain not in DOMAINS:
            raise row.error(f"'domain' is one of {', '.join(DOMAINS)}, not {domain!r}")
        keep = row.require("keep")
        if _KEEP.fullmatch(keep) is None:
            raise row.error(f"'keep' is written 400d or 7y, not {keep!r}")
        place = f"{row.file.name}:{row.line}"
        yield RetentionRule(tenant, domain, classification, keep, row.require("why"), place)


def _best(rules: Sequence[RetentionRule], now: datetime) -> RetentionRule | None:
    return min(rules, key=lambda rule: (-rule.specificity, rule.keeps_since(now)), default=None)


def _earlier(now: datetime, count: int, unit: str) -> datetime:
    if unit == "d":
        return now - timedelta(days=count)
    try:
        return now.replace(year=now.year - count)
    except ValueError:  # 29 February: due a day later, never earlier
        return now.replace(year=now.year - count, day=28)
