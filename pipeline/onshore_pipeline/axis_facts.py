"""What the registries that an event was located with say about law and administration, and the event does not keep.

Asked for one event when somebody looks at it: its log entry names the digest of the registries, and the store has their
texts. The columns are `law` of entities and `administered_from` of facilities.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from onshore_pipeline.domain.axes import AXES, SUBJECTS, Stated

if TYPE_CHECKING:
    from collections.abc import Mapping

    import polars as pl

    from onshore_pipeline.context.csv_table import Row

_ENTRY: Final = """
SELECT lower(JSONExtractString(entry, 'context')) AS context FROM evidence_log
WHERE topic_id = {topic:UUID} AND partition = {partition:UInt32} AND offset = {offset:UInt64}
    AND attempt_id = {attempt:UUID}
ORDER BY log_index DESC LIMIT 1
"""
_TEXTS: Final = """
SELECT toString(s.name) AS name, any(s.version) AS version, lower(hex(s.sha256)) AS sha256, any(f.content) AS content
FROM rule_sets AS s INNER JOIN rule_files AS f ON f.sha256 = s.sha256
WHERE s.digest = unhex({digest:String}) AND s.kind = 'context'
    AND (startsWith(toString(s.name), 'own/entities.') OR startsWith(toString(s.name), 'own/facilities.'))
GROUP BY name, sha256
"""
# Registry → its column that is read here, the axis, and the event's column of each subject that names a row.
_ASKED: Final = {
    "entities": ("law", AXES[3], {**{each: f"{each}_entity" for each in SUBJECTS}, "key": "key_custodian"}),
    "facilities": ("administered_from", AXES[5], {each: f"{each}_facility" for each in SUBJECTS if each != "key"}),
}


class Store(Protocol):
    """Who answers questions of the store."""

    def frame(self, sql: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The answer to one SELECT."""


def context_of(store: Store, topic_id: str, partition: int, offset: int, attempt_id: str) -> str:
    """The digest of the registries that a message was located with; '' until its entry is sealed.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    asked = {"topic": topic_id, "partition": partition, "offset": offset, "attempt": attempt_id}
    found = store.frame(_ENTRY, asked)
    return str(found["context"][0]) if found.height else ""


def stated_of(store: Store, event: Mapping[str, Any], digest: str) -> dict[tuple[str, str], Stated]:
    """What the registries of this digest say about the parties of an event, on its day, by subject and axis.

    Args:
        store: as its reader.
        event: columns of `events`: the parties' entities and facilities, `key_custodian`, and `occurred_at` as a time
            or as text. An event without a time meets only rows that are always true.
        digest: as `context_of` gives it.

    Raises:
        StoreUnavailable: the store did not answer.
        ContextError: a registry's text cannot be read by this release.
    """
    if not digest:
        return {}
    said: dict[tuple[str, str], Stated] = {}
    for file in store.frame(_TEXTS, {"digest": digest}).iter_rows(named=True):
        column, axis, names = _ASKED[Path(file["name"]).stem]
        rows = _rows_of(file["name"], str(file["content"]), _day(event.get("occurred_at")))
        for subject, named in names.items():
            row = rows.get(str(event.get(named) or "").lower())
            countries = _countries(row, column) if row is not None else ()
            if row is not None and countries:
                version = file["version"] or file["sha256"][:12]
                said[subject, axis] = Stated(countries, f"{file['name']}:{row.line}", version)
    return said


def _rows_of(name: str, content: str, day: date | None) -> dict[str, Row]:
    """Rows that count on the day, by what they are about in lower case; rows marked check count for nothing."""
    from onshore_pipeline.context.dated import on_day, settled
    from onshore_pipeline.context.declared import REGISTRIES
    from onshore_pipeline.context.own import read_registry
    from onshore_pipeline.context.shipped import shipped_countries

    file = Path(name)
    (key,) = REGISTRIES[file.stem].key
    table = read_registry(Path(file.name), content.encode(), shipped_countries())
    rows = on_day(settled(table, (key,)), day)
    return {row.require(key).lower(): row for row in rows if row.get("confidence") != "check"}


def _countries(row: Row, column: str) -> tuple[str, ...]:
    """Alpha-2; 'none' says that there are no further ones, which adds nothing."""
    from onshore_pipeline.context.checks import NONE, read_countries_of
    from onshore_pipeline.context.shipped import shipped_countries

    return tuple(each for each in read_countries_of(row, column, shipped_countries()) if each != NONE)


def _day(occurred: datetime | str | None) -> date | None:
    if not occurred:
        return None
    return occurred.date() if isinstance(occurred, datetime) else date.fromisoformat(occurred[:10])
