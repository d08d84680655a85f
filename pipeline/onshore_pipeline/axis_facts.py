"""What the registries that an event was located with say about law and owners, and the event does not keep.

Asked for one event when somebody looks at it: its log entry names the digest of the registries, and the store has their
texts. The columns are `law` of entities, `administered_from` of facilities, and where an organisation is registered and
who controls it: of a key's custodian nothing else tells it; of a party it is the row that the event's columns are of.
"""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from onshore_pipeline.domain.axes import AXES, REGISTRATION, SUBJECTS, Stated

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import polars as pl

    from onshore_pipeline.context.csv_table import Row

AS_PATH: Final = "network.transit.as_path"
"""The attribute with the numbers of the networks on the way, comma-separated, from source to destination."""

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
    AND splitByChar('.', toString(s.name))[1] IN {names:Array(String)}
GROUP BY name, sha256
"""
_FILES: Final = """
SELECT toString(name) AS name, if(any(version) = '', left(lower(hex(any(sha256))), 12), any(version)) AS version
FROM rule_sets WHERE digest = unhex({digest:String}) AND kind = 'context' GROUP BY name
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


def files_of(store: Store, digest: str) -> dict[str, str]:
    """The versions of registries and reference data of this digest by file; of the content where it names none.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    rows = store.frame(_FILES, {"digest": digest}).rows() if digest else []
    return {str(name): str(version) for name, version in rows}


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
    from onshore_pipeline.context.owners import OWN, REFERENCE, SETS

    day = _day(event.get("occurred_at"))
    named = {each: str(event.get(_ASKED["entities"][2][each]) or "") for each in SUBJECTS}
    organisations = {each: name for each, name in named.items() if name}
    wanted = {f"{OWN}{stem}" for stem in _ASKED}
    wanted |= {f"{where}{stem}" for where in (OWN, REFERENCE) for stem in SETS} if organisations else set()
    files = store.frame(_TEXTS, {"digest": digest, "names": sorted(wanted)}).rows(named=True)
    said = {key: told for each in organisations.items() for key, told in _owner_of(*each, files, day).items()}
    for file in files:
        if file["name"].partition(".")[0] not in {f"{OWN}{stem}" for stem in _ASKED}:
            continue
        column, axis, names = _ASKED[Path(file["name"]).stem]
        rows = _rows_of(file["name"], str(file["content"]), day)
        for subject, name in names.items():
            row = rows.get(str(event.get(name) or "").lower())
            countries = _countries(row, column) if row is not None else ()
            if row is not None and countries:
                version = file["version"] or file["sha256"][:12]
                said[subject, axis] = Stated(countries, f"{file['name']}:{row.line}", version)
    return said


def carriers_of(store: Store, as_path: str, occurred: datetime | str | None, digest: str) -> tuple[str, ...]:
    """Whose networks carried an event's data, as a source tells their numbers and these registries their operators.

    Args:
        store: as its reader.
        as_path: the attribute `AS_PATH`; '' where no source told one.
        occurred: when, as `stated_of` reads it.
        digest: as `context_of` gives it.

    Raises:
        StoreUnavailable: the store did not answer.
        ContextError: a registry's text cannot be read by this release.
    """
    from onshore_pipeline.context.owners import OWN, REFERENCE, operators
    from onshore_pipeline.context.shipped import shipped_countries

    numbers = [each.strip() for each in as_path.split(",") if each.strip().isdecimal()]
    if not numbers:
        return ()
    names = [f"{where}operators" for where in (OWN, REFERENCE)]
    files = store.frame(_TEXTS, {"digest": digest, "names": names}).rows(named=True) if digest else []
    texts = {each["name"]: str(each["content"]).encode() for each in files}
    return tuple(operators(texts, numbers, _day(occurred), shipped_countries()))


def _owner_of(
    subject: str, organisation: str, files: Sequence[Mapping[str, Any]], day: date | None
) -> dict[tuple[str, str], Stated]:
    """Where whoever runs a party, or holds a key, is registered, and the country of its ultimate parent."""
    from onshore_pipeline.context.owners import OWN, owner
    from onshore_pipeline.context.shipped import shipped_countries

    texts = {each["name"]: str(each["content"]).encode() for each in files}
    found = owner(texts, organisation, day, shipped_countries())
    if found is None:
        return {}
    file = next(each for each in files if each["name"] == found.file)
    source, version = f"{found.file}:{found.row.line}", file["version"] or file["sha256"][:12]
    basis = "asserted" if found.file.startswith(OWN) else "inferred"
    said = ((AXES[2], found.controlled), (REGISTRATION, found.registered))
    return {
        (subject, axis): Stated((country,), source, version, basis) for axis, country in said if country is not None
    }


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
