"""The controls' conditions as plain functions, by domain: which actions and which data each is about, and what it says.

`about` looks at where data has its home and what it is, which few combinations answer, so that the answers are
remembered: True, False, or the name of what is missing. `says` looks at the event: True = violated, False = satisfied,
a text = what is missing, None = not applicable after all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from same_result_lists import dated, within

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Event = dict[str, Any]
    About = Callable[[tuple[str, ...], tuple[str, ...]], bool | str]
    Says = Callable[["Event"], bool | str | None]

TO, BY, OWNER, STAFF = "destination_country", "actor_country", "destination_control_country", "actor_nationality"
FROM = "source_country"
BASIS, PAPER = "transfer_basis", "approval_id"


class Condition(NamedTuple):
    acts: Callable[[str], bool]
    about: About
    says: Says


# What is done.


def moves(action: str) -> bool:
    """Whether it moves data to a place."""
    return action not in {"network.flow", "data.delete"}


def whatever(_action: str) -> bool:
    return True


def among(*actions: str) -> Callable[[str], bool]:
    return lambda action: action in actions


def takes_technology(action: str) -> bool:
    return action.startswith("model.weights.") or action in {"data.copy", "data.export", "data.replicate", "data.read"}


STORES = among("data.copy", "data.replicate", "data.export", "backup.write")
KEEPS = among("data.copy", "data.replicate", "data.export", "backup.write", "index.build")
COPIES, READS = among("data.copy", "data.export"), among("data.read")
HANDS_OVER = among("data.export", "data.copy", "data.replicate")
SESSION, CALL = among("admin.session", "admin.command"), among("model.invoke", "model.fallback")
REACHES = among("admin.session", "admin.command", "data.read", "data.copy", "data.export")
KEY = among("key.use", "key.rotate")

# What data it is done with.


def anything(_home: tuple[str, ...], _categories: tuple[str, ...]) -> bool:
    return True


def of(category: str, *more: str) -> About:
    """Data of one of these categories."""
    wanted = {category, *more}
    return lambda _, categories: not wanted.isdisjoint(categories) if categories else "categories"


def at_home(country: str, category: str, *more: str) -> About:
    """Data of one of these categories that must stay in `country`."""
    wanted = {category, *more}

    def about(home: tuple[str, ...], categories: tuple[str, ...]) -> bool | str:
        if (home and country not in home) or (categories and wanted.isdisjoint(categories)):
            return False
        return "home_jurisdictions" if not home else "categories" if not categories else True

    return about


def foreign_personal(home: tuple[str, ...], categories: tuple[str, ...]) -> bool | str:
    if (categories and "personal" not in categories) or "US" in home:
        return False
    return "categories" if not categories else "home_jurisdictions" if not home else True


# What is wrong with it.


def abroad(column: str) -> Says:
    """It happens outside the countries where the data must stay."""

    def says(event: Event) -> bool | str:
        home, place = event["home_jurisdictions"], event.get(column)
        if not home:
            return "home_jurisdictions"
        return place not in home if place is not None else column

    return says


def weights_abroad(event: Event) -> bool | str | None:
    """Weights are outside of where they must stay; of what is read from a store, at either end."""
    action, kind, home = event["action"], event.get("object_type"), event["home_jurisdictions"]
    if not action.startswith("model.weights.") and kind != "weights":
        return None if kind is not None else "object_type"
    if not home:
        return "home_jurisdictions"
    return has_left(event, home)


def has_left(event: Event, home: Sequence[str]) -> bool | str:
    """Outside of its home; of what is read from a store, at either end."""
    places = {column: event.get(column) for column in ((TO, FROM) if event["action"] == "data.read" else (TO,))}
    if any(place is not None and place not in home for place in places.values()):
        return True
    return next((column for column, place in places.items() if place is None), False)


def technology_abroad(event: Event) -> bool | str:
    """Outside of Japan, with no licence on record."""
    allowed, is_abroad = event.get(PAPER), has_left(event, ("JP",))
    if allowed not in {None, "none"} or is_abroad is not True:
        return is_abroad if allowed in {None, "none"} else False
    return True if allowed else PAPER


def outside(column: str, *fine: str) -> Says:
    is_fine = within(*fine)

    def says(event: Event) -> bool | str:
        place = event.get(column)
        return not is_fine(place, event["occurred_at"]) if place is not None else column

    return says


def without(paper: str, column: str, *fine: str) -> Says:
    """Outside of what is fine, with nothing on record that allows it."""
    is_fine = within(*fine)

    def says(event: Event) -> bool | str:
        place, allowed = event.get(column), event.get(paper)
        if allowed not in {None, "none"} or is_fine(place, event["occurred_at"]):
            return False
        return column if place is None else True if allowed else paper

    return says


def unapproved(event: Event) -> bool | str:
    paper = event.get(PAPER)
    return paper == "none" if paper is not None else PAPER


def touching(places: str, *columns: str) -> Says:
    """One of the parties is in one of these places."""
    is_there = within(places)

    def says(event: Event) -> bool | str:
        at = event["occurred_at"]
        if any(is_there(event.get(column), at) for column in columns):
            return True
        return next((column for column in columns if event.get(column) is None), False)

    return says


def ordered(event: Event) -> bool | str | None:
    """The provider's log says that an order asked for it."""
    if event.get("source_format") not in {"gcp.access_transparency", "gcp.access_approval"}:
        return None
    reason = event.get("reason")
    return "THIRD_PARTY_DATA_REQUEST" in reason if reason is not None else "reason"


def unregistered_provider(event: Event) -> bool | str:
    to, entity = event.get(TO), event.get("destination_entity")
    if to == "SG" or REGISTERED(entity, event["occurred_at"]):
        return False
    if to is None:
        return TO
    return True if entity is not None or not REGISTER else "destination_entity"


def owned_outside_union(event: Event) -> bool | str:
    to, owner, at = event.get(TO), event.get(OWNER), event["occurred_at"]
    if (to is not None and not UNION(to, at)) or UNION(owner, at):
        return False
    return TO if to is None else True if owner is not None else OWNER


def certified(event: Event) -> bool | str | None:
    to, basis = event.get(TO), event.get(BASIS)
    if to == "SG" or basis not in {None, "cbpr"}:
        return None
    return TO if to is None else not SYSTEMS(to, event["occurred_at"]) if basis else BASIS


def only_of(column: str, values: tuple[str, ...], says: Says) -> Says:
    """`says`, of events that have one of these values in a column, in any case."""

    def narrowed(event: Event) -> bool | str | None:
        value = event.get(column)
        if value is not None and value.lower() not in values:
            return None
        return says(event) if value is not None else column

    return narrowed


def nowhere(event: Event) -> bool:
    return bool(event["destination_country_basis"] == "unknown")


def disagreed(event: Event) -> bool | None:
    subjects = {claim.partition(":")[0] for claim in event.get("contradictions", ())}
    if event["action"] == "network.flow":
        return None if subjects.isdisjoint({"source", "destination"}) else True
    return not subjects.isdisjoint({"actor", "source", "destination", "key"})


def by_way_of_others(event: Event) -> bool | str | None:
    """From home to home over a path that is known to cross another country."""
    start, end, path = event.get(FROM), event.get(TO), event.get("transit_countries")
    if event.get("transit_basis", "unknown") == "unknown" or (start and end and start != end):
        return None
    if not start or not end:
        return TO if start else FROM
    if not path:
        return "transit_countries"
    return "none" not in path and any(country != start for country in path)


def is_no_measurement(action: str) -> bool:
    return action not in {"data.delete", "host.state", "gpu.state"}


SYSTEMS = within("@sg_pdpr12_systems")
REGISTER, REGISTERED, UNION = dated("sg_mas658_register"), within("@sg_mas658_register"), within("@eu27")
SENSITIVE, CONFIDENTIAL = ("official: sensitive", "protected"), ("confidential",)
VENDOR, ADMINISTRATORS = ("vendor",), ("operator", "vendor")

TRANSFERS = {
    "AU-APP8-01": Condition(moves, at_home("AU", "personal"), without(BASIS, TO, "AU", "@au_app8_prescribed")),
    "AU-APP8-02": Condition(CALL, at_home("AU", "personal"), without(BASIS, TO, "AU", "@au_app8_prescribed")),
    "AU-APP8-03": Condition(READS, at_home("AU", "personal"), without(BASIS, BY, "AU", "@au_app8_prescribed")),
    "JP-APPI28-01": Condition(moves, at_home("JP", "personal"), without(BASIS, TO, "JP", "@jp_appi28_designated")),
    "MY-PDPA129-01": Condition(moves, at_home("MY", "personal"), without(BASIS, TO, "MY")),
    "SG-PDPA26-01": Condition(moves, at_home("SG", "personal"), without(BASIS, TO, "SG")),
    "SG-BA47-01": Condition(moves, at_home("SG", "bank_customer"), without(BASIS, TO, "SG")),
    "SG-PDPR12-01": Condition(moves, at_home("SG", "personal"), certified),
    "US-DSP302-01": Condition(HANDS_OVER, of("us_bulk_sensitive"), without(BASIS, TO, "@us_territory")),
    "EU-GDPR44-01": Condition(moves, of("eu_personal"), without(BASIS, TO, "@eea", "@eu_adequate")),
}
RESIDENCY = {
    "AU-MHR77-01": Condition(moves, of("my_health_record"), outside(TO, "AU")),
    "AU-SOCI6D-01": Condition(moves, at_home("AU", "soci_operational"), outside(TO, "AU")),
    "AU-ISMEYES-01": Condition(moves, at_home("AU", "austeo", "agao"), outside(TO, "AU")),
    "AU-ISM1572-01": Condition(
        moves, at_home("AU", "au_government"), outside("destination_region", "@au_ism1572_regions")
    ),
    "AU-CPS230-01": Condition(moves, at_home("AU", "apra_critical"), without(PAPER, TO, "AU")),
    "AU-SACSF21-01": Condition(
        moves, at_home("AU", "sa_government"), only_of("classification", SENSITIVE, without(PAPER, TO, "AU"))
    ),
    "JP-APPIENV-01": Condition(
        KEEPS, at_home("JP", "jp_published_handling"), outside(TO, "JP", "@jp_published_countries")
    ),
    "MY-NCCP-01": Condition(
        moves, at_home("MY", "my_government"), only_of("classification", CONFIDENTIAL, outside(TO, "MY"))
    ),
    "MY-RMIT-01": Condition(moves, at_home("MY", "bnm_critical"), without(PAPER, TO, "MY")),
    "SG-IM8DP1-01": Condition(KEEPS, at_home("SG", "sg_government"), outside(TO, "SG")),
    "US-DFARS-01": Condition(moves, at_home("US", "us_dod"), without(PAPER, TO, "@us_territory")),
    "US-FEDRAMP-01": Condition(moves, at_home("US", "us_federal"), outside(TO, "@us_territory")),
    "EU-DORA30-01": Condition(moves, of("dora_function"), outside(TO, "@eu_dora_locations")),
    "SOV-03-01": Condition(among("index.build"), anything, abroad(TO)),
    "SOV-06-01": Condition(among("telemetry.export"), anything, abroad(TO)),
    "SOV-09-01": Condition(among("dns.query"), anything, abroad(TO)),
    "SOV-10-01": Condition(among("backup.write", "data.replicate"), anything, abroad(TO)),
    "SOV-11-01": Condition(COPIES, of("training_data"), abroad(TO)),
    "SOV-13-01": Condition(whatever, anything, by_way_of_others),
    "SOV-16-01": Condition(moves, anything, nowhere),
    "SOV-24-01": Condition(is_no_measurement, anything, disagreed),
}
TECHNOLOGY = {
    "AU-DTC-01": Condition(moves, at_home("AU", "dsgl"), without(PAPER, TO, "AU")),
    "JP-FEFA25-01": Condition(takes_technology, at_home("JP", "jp_controlled_technology"), technology_abroad),
    "US-DSP301-01": Condition(moves, of("us_human_omic"), touching("@us_dsp_coc", TO, BY)),
    "US-DSP401-01": Condition(moves, of("us_bulk_sensitive"), touching("@us_dsp_coc", TO, BY)),
    "US-DSP1104-01": Condition(moves, of("us_bulk_sensitive", "us_human_omic"), touching("@us_dsp_coc", TO, BY)),
    "US-ITAR-01": Condition(moves, at_home("US", "itar"), without(PAPER, TO, "@us_territory")),
    "US-ITAR-02": Condition(REACHES, at_home("US", "itar"), without(PAPER, STAFF, "US")),
    "US-EAR-01": Condition(REACHES, at_home("US", "ear_controlled"), without(PAPER, STAFF, "US")),
    "SOV-02-01": Condition(takes_technology, anything, weights_abroad),
}
PEOPLE = {
    "AU-SOCI6E-01": Condition(SESSION, at_home("AU", "soci_operational"), outside(BY, "AU")),
    "AU-ISMEYES-02": Condition(REACHES, at_home("AU", "austeo"), outside(STAFF, "AU")),
    "AU-ISMBG-01": Condition(SESSION, at_home("AU", "au_government"), only_of("actor_type", VENDOR, unapproved)),
    "JP-APPIENV-02": Condition(
        READS, at_home("JP", "jp_published_handling"), outside(BY, "JP", "@jp_published_countries")
    ),
    "JP-ESPA52-01": Condition(
        among("admin.session", "admin.command", "config.change"),
        at_home("JP", "jp_espa_facility"),
        only_of("actor_type", VENDOR, unapproved),
    ),
    "US-NDAA1692-01": Condition(REACHES, at_home("US", "us_dod"), touching("@us_ndaa1692_covered", BY)),
    "SOV-01-01": Condition(SESSION, anything, abroad(BY)),
    "SOV-01-02": Condition(SESSION, anything, only_of("actor_type", ADMINISTRATORS, abroad("actor_control_country"))),
    "SOV-05-02": Condition(KEY, anything, abroad(BY)),
    "SOV-08-01": Condition(SESSION, anything, only_of("actor_type", VENDOR, unapproved)),
}
PROVIDERS = {
    "AU-HCF-01": Condition(
        STORES,
        at_home("AU", "au_government"),
        only_of("classification", SENSITIVE, outside("destination_entity", "@au_hcf_certified")),
    ),
    "AU-PSPF-FOCI-01": Condition(moves, at_home("AU", "au_government"), without(PAPER, OWNER, "AU")),
    "MY-NCCP-02": Condition(
        STORES, at_home("MY", "my_government"), only_of("classification", CONFIDENTIAL, outside(OWNER, "MY"))
    ),
    "SG-MAS658-01": Condition(moves, at_home("SG", "bank_customer"), unregistered_provider),
    "US-DSP401-02": Condition(moves, of("us_bulk_sensitive", "us_human_omic"), touching("@us_dsp_coc", OWNER)),
    "US-REACH-01": Condition(STORES, foreign_personal, touching("US", OWNER)),
    "EU-DATA32-01": Condition(STORES, of("eu_non_personal"), owned_outside_union),
    "SOV-04-01": Condition(CALL, anything, abroad(TO)),
    "SOV-04-02": Condition(CALL, anything, abroad(OWNER)),
    "SOV-14-01": Condition(whatever, anything, ordered),
    "SOV-05-01": Condition(KEY, anything, abroad("key_country")),
}
CONDITIONS = TRANSFERS | RESIDENCY | TECHNOLOGY | PEOPLE | PROVIDERS
