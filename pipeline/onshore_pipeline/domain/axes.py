"""The seven axes of an event's parties and its key: location is one of them, and jurisdiction is not location.

Physical location, operating entity, ultimate parent's country, reach of governing law, key custodian, administration
location and transit path; each with its basis, the source that said it, and that source's version. Unknown is said as
unknown and never left out. What a place or an owner follows from the event keeps as the name of a claim (`provenance`),
and an owner has the basis of that; an owner of an event that was located before it was kept, the weakest that it can
have. Whose further law reaches an organisation, from where a facility is administered and whose a key's custodian is
the event does not keep: that is what the registries say that it was located with (`Stated`), looked up when it is asked
for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from onshore_pipeline.domain import provenance
from onshore_pipeline.domain.event import PARTIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from onshore_pipeline.domain.provenance import Origin

SUBJECTS: Final = (*PARTIES, "key")
AXES: Final = (
    *("physical location", "operating entity", "ultimate parent's country", "governing-law reach", "key custodian"),
    *("administration location", "transit path"),
)
REGISTRATION: Final = "registration"
"""Where an organisation is registered, which registries state beside the axes."""

_ENDS: Final = ("source", "destination")
_STRENGTH: Final = ("attested", "observed", "asserted", "inferred", "unknown")
_ADMINISTRATION: Final = ("admin.", "access.", "config.", "key.rotate")
_REGISTRIES: Final = "registries and reference data"


@dataclass(frozen=True, slots=True)
class Axis:
    """What is known about one subject on one axis.

    Attributes:
        subject: one of `SUBJECTS`.
        axis: one of `AXES`.
        values: what is known, empty where nothing is.
        basis: attested, observed, asserted, inferred or unknown.
        source: who says so; empty where nothing is known.
        version: of the source; empty where nothing is known or it has none.
        note: '' or what limits the answer: one of several, at least these, or disputed with every claim.
    """

    subject: str
    axis: str
    values: tuple[str, ...] = ()
    basis: str = "unknown"
    source: str = ""
    version: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Stated:
    """What a row of the registries says about one subject on one axis.

    Attributes:
        countries: alpha-2, sorted; all of them are meant, not one of them.
        source: file and line.
        version: of the file.
        basis: *asserted* by the user's own row, *inferred* of a row that ships.
    """

    countries: tuple[str, ...]
    source: str
    version: str
    basis: str = "asserted"


def axes_of(
    event: Mapping[str, Any],
    context_digest: str,
    stated: Mapping[tuple[str, str], Stated] | None = None,
    files: Mapping[str, str] | None = None,
    carriers: Sequence[str] = (),
) -> list[Axis]:
    """The seven axes of actor, source, destination and key, in that order.

    Args:
        event: columns of `events`; null or an empty list is unknown.
        context_digest: of the registries that the event was located with, as its log entry names it.
        stated: by subject and axis, what these registries say beside that (`axis_facts.stated_of`).
        files: versions of these registries by file (`axis_facts.files_of`).
        carriers: whose networks are on the way (`axis_facts.carriers_of`); that says who carried it, not where.
    """
    said = _Said(event, context_digest, stated or {}, files or {}, carriers)
    return [axis for subject in SUBJECTS for axis in said.of(subject)]


class _Said:
    """One event, asked for axes."""

    def __init__(
        self,
        event: Mapping[str, Any],
        context_digest: str,
        stated: Mapping[tuple[str, str], Stated],
        files: Mapping[str, str],
        carriers: Sequence[str],
    ) -> None:
        self._event, self._context, self._stated, self._files = event, context_digest, stated, files
        self._carriers = carriers
        self._sender = str(event.get("source_format") or "sender")
        self._from = provenance.read(event.get("provenance"))

    def of(self, subject: str) -> list[Axis]:
        """The seven, in the order of `AXES`."""
        place = self._place(subject)
        entity, parent = self._owner(subject)
        return [
            place,
            entity,
            parent,
            self._reach(subject, place, parent),
            self._custodian(subject),
            self._administration(subject),
            self._transit(subject),
        ]

    def _place(self, subject: str) -> Axis:
        country = self._event.get(f"{subject}_country")
        several = tuple(self._event.get(f"{subject}_country_candidates") or ())
        claims = [text for text in self._event.get("contradictions") or () if str(text).startswith(f"{subject}:")]
        note = f"disputed: {'; '.join(claims)}" if claims else "one of these" if not country and several else ""
        values = (country,) if country else several
        basis = str(self._event.get(f"{subject}_country_basis") or "unknown")
        told = self._told(subject, AXES[0], values, basis, note)
        claimed = self._from[subject].place if subject in self._from else ()
        return self._by_origins(told, [provenance.PLACES[claim] for claim in claimed])

    def _owner(self, subject: str) -> tuple[Axis, Axis]:
        """Who runs it, and the country of that company's ultimate parent."""
        if subject == "key":
            return self._held(subject, AXES[1]), self._from_registry(subject, AXES[2])
        name = self._values(f"{subject}_entity")
        basis = "asserted" if subject == "actor" else "inferred"
        parent = self._values(f"{subject}_control_country")
        return (
            self._by_owner(self._told(subject, AXES[1], name, basis), subject),
            self._by_row(self._told(subject, AXES[2], parent, "inferred"), AXES[2]),
        )

    def _reach(self, subject: str, place: Axis, parent: Axis) -> Axis:
        """Whose law reaches it: of its place, of its operator's registration and owner, and as the registries state."""
        if subject == "key":
            registered = self._from_registry(subject, REGISTRATION)
        else:
            country = self._values(f"{subject}_entity_country")
            registered = self._by_row(self._told(subject, AXES[3], country, "inferred"), REGISTRATION)
        parts = (place, registered, parent)
        further = [self._from_registry(subject, AXES[3])]
        known = [part for part in (*parts, *further) if part.values]
        if not known:
            return Axis(subject, AXES[3])
        values = tuple(dict.fromkeys(value for part in known for value in part.values))
        is_whole = all(part.values for part in parts) and not place.note
        weakest = max((part.basis for part in known), key=_STRENGTH.index)
        source = ", ".join(dict.fromkeys(part.source for part in known if part.source))
        version = known[0].version if known == further else self._context
        return Axis(subject, AXES[3], values, weakest, source, version, "" if is_whole else "at least these")

    def _custodian(self, subject: str) -> Axis:
        """Who holds the key of the data; an actor has none."""
        return Axis(subject, AXES[4]) if subject == "actor" else self._held(subject, AXES[4])

    def _held(self, subject: str, axis: str) -> Axis:
        return self._by_owner(self._told(subject, axis, self._values("key_custodian"), "asserted"), "key")

    def _administration(self, subject: str) -> Axis:
        """From where it is administered: as its facility's row says, and where the one stood who administered it now.

        Where one administers from elsewhere than the registry says, both are told, and that they disagree.
        """
        registered = self._from_registry(subject, AXES[5])
        does = str(self._event.get("action") or "").startswith(_ADMINISTRATION)
        if subject not in {"destination", "key"} or not does:
            return registered
        actor = self._place("actor")
        if not registered.values:
            return Axis(subject, AXES[5], actor.values, actor.basis, actor.source, actor.version, actor.note)
        if not actor.values or (set(actor.values) <= set(registered.values) and not actor.note):
            return registered
        values = tuple(dict.fromkeys((*registered.values, *actor.values)))
        weakest = max((registered.basis, actor.basis), key=_STRENGTH.index)
        claims = f"registry={'+'.join(registered.values)},actor={'+'.join(actor.values)}"
        source = f"{registered.source}, {actor.source}" if actor.source else registered.source
        return Axis(subject, AXES[5], values, weakest, source, self._context, f"disputed: {subject}:{claims}")

    def _from_registry(self, subject: str, axis: str) -> Axis:
        stated = self._stated.get((subject, axis))
        if stated is None or not stated.countries:
            return Axis(subject, axis)
        return Axis(subject, axis, stated.countries, stated.basis, stated.source, stated.version)

    def _by_row(self, told: Axis, stated_as: str) -> Axis:
        """With the row that says the same as the event's column: that is where it comes from."""
        stated = self._stated.get((told.subject, stated_as))
        if stated is None or stated.countries != told.values:
            return told
        return replace(told, source=stated.source, version=stated.version)

    def _by_owner(self, told: Axis, owned: str) -> Axis:
        """With what the owner of one of the subjects follows from, where the event keeps it."""
        owner = self._from[owned].owner if owned in self._from else ""
        if not told.values or not owner:
            return told
        origin = provenance.OWNERS[owner]
        return replace(self._by_origins(told, [origin]), basis=origin.basis)

    def _by_origins(self, told: Axis, origins: list[Origin]) -> Axis:
        """With who says so, and the versions of what they say it by: of registries, else of the record."""
        if not told.values or not origins:
            return told
        source = ", ".join(dict.fromkeys(each.says.replace(provenance.SENDER, self._sender) for each in origins))
        versions = [
            f"{name} {version}".rstrip()
            for name, version in sorted(self._files.items())
            if any(name.startswith(begins) for each in origins for begins in each.files)
        ]
        if any(not each.files for each in origins) and (schema := self._event.get("schema_url")):
            versions.insert(0, str(schema))
        by_files = any(each.files for each in origins)
        return replace(told, source=source, version=", ".join(versions) or (self._context if by_files else ""))

    def _transit(self, subject: str) -> Axis:
        """The countries on the way, and whose networks carried it; a key does not travel."""
        values = () if subject == "key" else tuple(self._event.get("transit_countries") or ())
        carried = f"carried by {', '.join(self._carriers)}" if self._carriers and subject in _ENDS else ""
        return self._told(subject, AXES[6], values, str(self._event.get("transit_basis") or "unknown"), carried)

    def _values(self, column: str) -> tuple[str, ...]:
        value = self._event.get(column)
        return (str(value),) if value else ()

    def _told(self, subject: str, axis: str, values: tuple[str, ...], basis: str, note: str = "") -> Axis:
        if not values:
            return Axis(subject, axis, note=note)
        by_basis = {
            "attested": ("a statement signed by a registered attestor", self._context),
            "observed": ("our own collector on the machine, as own registries place it", self._context),
            "asserted": (f"{self._sender} or own registries", self._context),
            "inferred": (_REGISTRIES, self._context),
        }
        source, version = by_basis.get(basis, ("", ""))
        return Axis(subject, axis, values, basis, source, version, note)
