"""Registries as an entry of the log names them, read back from the store and held against the digest."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from onshore_pipeline.context.changes import OWN
from onshore_pipeline.context.loading import assemble, digest_of, learned
from onshore_pipeline.context.shipped import shipped_files
from onshore_pipeline.context.world import Source
from onshore_pipeline.errors import ContextError
from onshore_pipeline.store.connect import store_errors

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from onshore_pipeline.context.shipped import Shipped
    from onshore_pipeline.context.world import Context, Geography

_REFERENCE: Final = "reference/"
_PARTS: Final = """
SELECT toString(name) AS name, version, lower(hex(sha256)) AS sha256 FROM rule_sets
WHERE digest = unhex({digest:String}) AND kind = 'context' GROUP BY name, version, sha256
"""
_CONTENTS: Final = """
SELECT lower(hex(f.sha256)) AS digest, any(f.content) AS content FROM rule_files AS f
WHERE f.sha256 IN (SELECT unhex(arrayJoin({digests:Array(String)}))) GROUP BY f.sha256
"""
# Messages come in the order of the log, and registries change seldom: of those before the last few none is asked again.
_CACHED: Final = 8


@dataclass(frozen=True, slots=True)
class StoredContext:
    """Registries as an entry names them.

    Attributes:
        context: of what was known at the time that was asked for.
        is_whole: false where geolocation or reference data are today's, for want of those that the entry names.
    """

    context: Context
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    """The files of a set, and when their rows became known."""

    sources: frozenset[Source]
    own: dict[Path, bytes]
    shipped: Shipped | None
    learned: tuple[datetime, ...]


class StoredContexts:
    """Reads sets of registries back; the few that were asked for last are kept in memory."""

    def __init__(self, client: Client, geography: Geography) -> None:
        """Take a connection to the store, and the geolocation data of today: the store has none."""
        self._client, self._geography = client, geography
        self._kept = lru_cache(_CACHED)(self._read)
        self._of_span = lru_cache(_CACHED)(self._assemble)

    def at(self, digest: str, known_at: datetime) -> StoredContext | None:
        """The registries that a digest names, without rows that were known later.

        None where the store does not have them, has others under that digest, or this release cannot read them.

        Raises:
            StoreUnavailable: try again later.
        """
        kept = self._kept(digest)
        # Between two moments at which something became known, what was known is the same.
        return None if kept is None else self._of_span(digest, bisect_right(kept.learned, known_at))

    def _assemble(self, digest: str, span: int) -> StoredContext:
        kept = self._kept(digest)
        assert kept is not None
        known_at = None
        if span < len(kept.learned):
            known_at = kept.learned[span - 1] if span else datetime.min.replace(tzinfo=UTC)
        context = assemble(kept.own, self._geography, known_at, kept.shipped)
        made_of = {source for source in context.sources if source.name != "known_at"}
        return StoredContext(context, made_of == kept.sources)

    def _read(self, digest: str) -> _Kept | None:
        with store_errors():
            rows = self._client.query(_PARTS, parameters={"digest": digest}).result_rows
        sources = sorted((Source(*map(str, row)) for row in rows), key=lambda each: (each.name, each.sha256))
        if not sources or digest_of(sources) != digest:
            return None
        files = self._files([each for each in sources if each.name.startswith((OWN, _REFERENCE))])
        own = {Path(name): content for name, content in files.items() if name.startswith(OWN)}
        if len(own) != sum(each.name.startswith(OWN) for each in sources):
            return None
        reference = {
            PurePosixPath(name).name: content for name, content in files.items() if name.startswith(_REFERENCE)
        }
        shipped = reference if reference.keys() == shipped_files().keys() else None
        # This release may not read another's reference data, or its registries.
        for each in (shipped, None):
            try:
                assemble(own, self._geography, shipped=each)
                return _Kept(frozenset(sources), own, each, learned(own))
            except ContextError:
                continue
        return None

    def _files(self, sources: list[Source]) -> dict[str, bytes]:
        """By name, those that are in the store as their digest says."""
        with store_errors():
            asked = {"digests": [each.sha256 for each in sources]}
            rows = self._client.query(_CONTENTS, parameters=asked).result_rows
        held = {str(sha256): str(content).encode() for sha256, content in rows}
        right = {sha256: each for sha256, each in held.items() if hashlib.sha256(each).hexdigest() == sha256}
        return {each.name: right[each.sha256] for each in sources if each.sha256 in right}
