"""What was done about findings, waivers, holds, deletions and registries, and windows judged again, as a bundle says.

The operator's word, but for what the log shows: a verifier counts findings against sealed verdicts, and looks for every
shown action of these kinds among `actions.ndjson`, so that one that was left out is missed.
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from onshore_pipeline.evidence import verify_standalone as standalone
from onshore_pipeline.evidence.openings import pseudonyms
from onshore_pipeline.evidence.redaction import repeats
from onshore_pipeline.findings.life import FINDING_ID
from onshore_pipeline.findings.people_keys import read_people
from onshore_pipeline.findings.standing import Wanted, all_waivers, standings
from onshore_pipeline.findings.waivers import PROPOSE, STATEMENT, WAIVER_ID
from onshore_pipeline.jobs.context_changes import DIGEST as REGISTRIES
from onshore_pipeline.jobs.export_holds import Shown, hold_rows
from onshore_pipeline.jobs.export_leaves import deletions
from onshore_pipeline.jobs.export_tables import REDACTED, replaced_finding_id
from onshore_pipeline.jobs.holds import HOLD_ID, SCOPE, one_spelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from onshore_pipeline.evidence.redaction import Disclosure
    from onshore_pipeline.findings.standing import Folders, Standing
    from onshore_pipeline.findings.waivers import Waiver
    from onshore_pipeline.jobs.export_scope import Scope
    from onshore_pipeline.store.reader import Reader

_OF_PEOPLE: Final = frozenset({STATEMENT, SCOPE["actor_id"]})  # they name who proposes, and whose events are held
_DELETION_ID: Final = "onshore.deletion.id"
_ABOUT: Final = (WAIVER_ID, FINDING_ID, HOLD_ID, _DELETION_ID, REGISTRIES)
_ACTIONS: Final = """
SELECT toString(topic_id) AS topic_id, kafka_offset AS offset, record_index, toString(tenant) AS tenant,
    toString(action) AS action, toUnixTimestamp64Nano(received_at) AS at, toValidUTF8(who) AS who,
    toValidUTF8(reason) AS reason, mapKeys(attributes) AS keys,
    arrayMap(v -> toValidUTF8(v), mapValues(attributes)) AS texts
FROM message_actions_current WHERE match(action, {kinds:String})
    AND (empty({tenants:Array(String)}) OR has({tenants:Array(String)}, tenant))
ORDER BY topic_id, kafka_offset, record_index
"""
# Columns are named with their table: by itself a name is what SELECT makes of it, nanoseconds in the place of a time.
_RESTATEMENTS: Final = """
SELECT toString(unit_id) AS unit, toString(finding_id) AS finding_id, toString(tenant) AS tenant,
    toString(control_id) AS control, control_version AS version, mapKeys(fingerprint) AS keys,
    arrayMap(v -> toValidUTF8(v), mapValues(fingerprint)) AS texts, toUnixTimestamp64Nano(since) AS since,
    toUnixTimestamp64Nano(until) AS until, toString(verdict_before) AS before, toString(verdict_after) AS after,
    toString(missing) AS missing, toUnixTimestamp64Nano(restated_at) AS at
FROM restatements AS r
WHERE (empty({tenants:Array(String)}) OR has({tenants:Array(String)}, r.tenant))
    AND (empty({controls:Array(String)}) OR has({controls:Array(String)}, r.control_id))
    AND r.until > fromUnixTimestamp64Nano({since:Int64}, 'UTC')
    AND r.since < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
ORDER BY unit, at, before, after
"""
# Of the scope's windows, sequences and absences that were ever violated: how many are, and when.
_OF_WINDOWS: Final = """
SELECT toString(finding_id) AS finding_id, countIf(verdict = 'violated') AS events,
    toUnixTimestamp64Nano(min(first_at)) AS first_seen, toUnixTimestamp64Nano(max(last_at)) AS last_seen
FROM windowed_current
WHERE (empty({tenants:Array(String)}) OR has({tenants:Array(String)}, tenant))
    AND (empty({controls:Array(String)}) OR has({controls:Array(String)}, control_id))
    AND until > fromUnixTimestamp64Nano({since:Int64}, 'UTC') AND since < fromUnixTimestamp64Nano({until:Int64}, 'UTC')
    AND unit_id IN (SELECT unit_id FROM windowed_verdicts WHERE verdict = 'violated')
GROUP BY finding_id ORDER BY finding_id
"""
_LAST_NS: Final = (1 << 63) - 1
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class Records:
    """What people did, of one scope, with what is closed left out."""

    def __init__(self, reader: Reader, scope: Scope, disclosure: Disclosure, where: Folders, now: datetime) -> None:
        """Take the store, and where people's keys lie."""
        self._reader, self._scope, self._disclosure, self._where, self._now = reader, scope, disclosure, where, now
        self._people_told: dict[str, str] = {}

    def files(self, deleted: Iterable[str], ids: Mapping[str, str]) -> dict[str, bytes]:
        """The bundle's files, by name.

        Args:
            deleted: the deletions that took events of shown messages.
            ids: what the ids of shown findings are in the bundle.
        """
        self._ids = ids
        return {
            standalone.ACTIONS: _ndjson(self._actions()),
            standalone.WAIVERS: _ndjson(self._waivers()),
            standalone.PEOPLE: _ndjson(self._people()),
            standalone.HOLDS: _ndjson(self._holds()),
            "restatements.ndjson": _ndjson(self._restatements()),
            standalone.DELETIONS: _ndjson(self._deletions(deleted)),
        }

    @cached_property
    def _standings(self) -> dict[str, Standing]:
        tenant = self._scope.tenants[0] if len(self._scope.tenants) == 1 else None
        found = standings(self._reader, Wanted(tenant=tenant), self._now, self._where)
        return {each.finding_id: each for each in found}

    def states(self) -> dict[str, dict[str, Any]]:
        """State, owner and deadline of each finding, by id, as of the export."""
        return {finding_id: self._state(each) for finding_id, each in self._standings.items()}

    def _state(self, standing: Standing) -> dict[str, Any]:
        due = standing.due
        return {
            "state": standing.state,
            "owner": self._person(standing.life.owner),
            "due": None if due is None or due.due is None else _ns(due.due),
            "waiver": None if standing.waiver is None else standing.waiver.waiver_id,
        }

    def of_windows(self) -> list[dict[str, Any]]:
        """The scope's findings of windows, sequences and absences, as `FoundSoFar.told` tells those of events.

        With `restated_on`, when late events last changed them. No sealed verdict counts them, so that they are for
        renderings only.
        """
        found = []
        for row in self._reader.frame(_OF_WINDOWS, self._within()).iter_rows(named=True):
            each = self._standings.get(row["finding_id"])
            if each is None or (self._scope.findings and each.finding_id not in self._scope.findings):
                continue
            told = self._fingerprint(each.fingerprint)
            closed = told != each.fingerprint
            about = {
                "finding_id": replaced_finding_id(each.finding_id, self._disclosure) if closed else each.finding_id,
                "tenant": each.tenant, "domain": each.domain, "control": each.control_id,
                "version": each.control_version, "kind": each.kind, "severity": each.control_severity,
                "fingerprint": told, "bytes": each.bytes, "sample_event_ids": [],
                "restated_on": None if each.restated_on is None else _ns(each.restated_on),
            }  # fmt: skip
            found.append(row | about | self._state(each))
        return found

    def _within(self) -> dict[str, Any]:
        scope = self._scope
        asked = {"tenants": list(scope.tenants), "controls": list(scope.controls), "since": scope.since}
        return asked | {"until": min(scope.until, _LAST_NS)}

    def _recorded(self, kinds: Iterable[str]) -> Iterator[tuple[dict[str, Any], dict[str, str]]]:
        """Actions whose names begin so, in the order of the log, each with its attributes."""
        names = "^(" + "|".join(kind.replace(".", "[.]") for kind in kinds) + ")"
        asked = {"kinds": names, "tenants": list(self._scope.tenants)}
        for row in self._reader.frame(_ACTIONS, asked).iter_rows(named=True):
            yield row, dict(zip(row.pop("keys"), row.pop("texts"), strict=True))

    def _actions(self) -> list[dict[str, Any]]:
        said = []
        for row, attributes in self._recorded(standalone.RECORDED):
            about = next((attributes[name] for name in _ABOUT if attributes.get(name)), "")
            row |= {"who": self._person(row["who"]), "reason": self._text(row["reason"])}
            if attributes.get(FINDING_ID):
                about = attributes[FINDING_ID] = self._finding_id(attributes[FINDING_ID].lower())
            row |= {"about": self._text(about), "attributes": self._attributes(attributes)}
            said.append(row)
        return said

    def _finding_id(self, finding_id: str) -> str:
        if finding_id in self._ids or not self._disclosure.closes:
            return self._ids.get(finding_id, finding_id)
        return replaced_finding_id(finding_id, self._disclosure)

    def _attributes(self, attributes: Mapping[str, str]) -> dict[str, str] | None:
        """None where attributes are closed."""
        if "attributes" in self._disclosure.redacted:
            return None
        closed = self._disclosure.closed_keys.get("attributes", frozenset())
        told = {name: self._text(text) for name, text in sorted(attributes.items()) if name not in closed}
        if "actor_id" in self._disclosure.redacted:
            told |= dict.fromkeys(told.keys() & _OF_PEOPLE, REDACTED)
        return told

    def _waivers(self) -> list[dict[str, Any]]:
        """Every waiver that was ever proposed; one that nobody's registered key signed is refused."""
        known = {each.waiver_id: each for each in all_waivers(self._reader, self._where)}
        said = []
        for row in self._reader.frame(
            _ACTIONS, {"kinds": f"^{PROPOSE}$", "tenants": list(self._scope.tenants)}
        ).to_dicts():
            waiver_id = dict(zip(row["keys"], row["texts"], strict=True)).get(WAIVER_ID, "")
            waiver = known.get(waiver_id)
            if waiver is None or waiver.tenant != row["tenant"]:
                said.append({"id": self._text(waiver_id), "tenant": row["tenant"], "state": "refused"})
            else:
                said.append(self._waiver(waiver))
        return list({each["id"]: each for each in said}.values())

    def _waiver(self, waiver: Waiver) -> dict[str, Any]:
        return {
            "id": self._text(waiver.waiver_id),
            "tenant": waiver.tenant,
            "state": waiver.state(self._now),
            "control": waiver.control,
            "where": self._fingerprint(waiver.where),
            "reason": self._text(waiver.reason),
            "expires": _ns(waiver.expires),
            "proposed_by": self._person(waiver.proposed_by),
            "approved_by": self._person(waiver.approved_by),
            "revoked_by": self._person(waiver.revoked_by),
        }

    def _people(self) -> list[dict[str, str]]:
        """The registered keys of those who did something about waivers; of nobody where who did is closed."""
        if "actor_id" in self._disclosure.redacted:
            return []
        known = read_people(self._where.keys)
        named = {row["who"] for row, _ in self._recorded(["waiver."])} & known.keys()
        return [
            {"person": person, "public_key": base64.b64encode(known[person]).decode()}
            for person in sorted(named)
            if self._text(person) == person
        ]

    def _holds(self) -> list[dict[str, Any]]:
        done = [
            {**row, "attributes": told, "received_at": _moment(row["at"])} for row, told in self._recorded(["hold."])
        ]
        return hold_rows(done, Shown(self._attributes, self._text, self._person))

    def _restatements(self) -> list[dict[str, Any]]:
        rows = self._reader.frame(_RESTATEMENTS, self._within()).to_dicts()
        said = []
        for row in rows:
            pairs = dict(zip(row.pop("keys"), row.pop("texts"), strict=True))
            shown = self._fingerprint(pairs)
            if shown != pairs:  # ids are hashes of what is closed
                row |= {"unit": REDACTED, "finding_id": REDACTED}
            said.append(row | {"fingerprint": shown})
        return said

    def _deletions(self, deleted: Iterable[str]) -> list[dict[str, Any]]:
        return [row | {"rule": self._text(row["rule"])} for row in deletions(self._reader, deleted)]

    def _fingerprint(self, pairs: Mapping[str, str]) -> dict[str, str]:
        closed = self._disclosure.redacted
        return {name: self._closed(text) if name in closed else self._text(text) for name, text in pairs.items()}

    def _person(self, who: str) -> str:
        """Who acts is the actor of the action's event, and closed where that is."""
        if "actor_id" not in self._disclosure.redacted:
            return self._text(who)
        return self._closed(self._people_told.setdefault(one_spelling(who), who))  # one person, one pseudonym

    def _closed(self, text: str) -> str:
        if not text or not self._disclosure.pseudonyms:
            return REDACTED if text else text
        return str(pseudonyms(pl.Series([text], dtype=pl.String), self._disclosure.pseudonym_key)[0])

    def _text(self, text: str) -> str:
        says = repeats(pl.Series([text], dtype=pl.String), self._disclosure.values).any()
        return REDACTED if says else text


def _moment(ns: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ns // 1000)


def _ns(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000


def _ndjson(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(standalone.canonical(row) + b"\n" for row in rows)
