"""One event: every field that is known, how each place is known, and the raw text."""

from __future__ import annotations

import json
from typing import Final

import streamlit as st

from onshore_dashboard import finding_queries, pages, session
from onshore_dashboard.geometry import country_name
from onshore_dashboard.markup import Column, Html, chip, facts, table, text
from onshore_dashboard.views.address import named_finding, parse_count, parse_id, show_nothing
from onshore_dashboard.views.finding_list import plain
from onshore_pipeline.axis_facts import AS_PATH, carriers_of, context_of, files_of, stated_of
from onshore_pipeline.domain.axes import AXES, SUBJECTS, Axis, axes_of
from onshore_pipeline.domain.event import EVENT_COLUMNS, PARTIES

_MAPS: Final = ("attributes", "resource_attributes")
_LISTS: Final = (*(f"{party}_country_candidates" for party in PARTIES), "transit_countries", "contradictions")
_PARTY_FIELDS: Final = (
    "id", "address", "host", "asn", "region", "facility", "account", "entity", "entity_country", "control_country",
)  # fmt: skip
_WHERE_FROM: Final = (
    "source_format", "schema_url", "collector_id", "collector_sequence", "kafka_topic", "topic_id", "kafka_partition",
    "kafka_offset", "record_index", "trace_id", "span_id", "attempt_id", "observed_at", "ingested_at",
)  # fmt: skip


def show() -> None:
    """The page of the event that the address names."""
    tenant = st.query_params.get("tenant")
    finding = None if tenant else named_finding()
    if finding is None and not tenant:
        return
    event_id, occurred_ns = parse_id(st.query_params.get("event")), parse_count(st.query_params.get("at"))
    if event_id is None or occurred_ns is None:
        show_nothing("event")
        return
    found = finding_queries.event(session.CALM, event_id, str(finding["tenant"] if finding else tenant), occurred_ns)
    if found.is_empty():
        show_nothing("event")
        return
    if finding:
        label = plain(f"Back to the finding of {finding['control_id']}")
        st.page_link(
            pages.finding(), label=label, icon=":material/arrow_back:", query_params={"finding": finding["finding"]}
        )
    else:
        st.page_link(pages.access(), label="Access from outside", icon=":material/arrow_back:")
    _show_event(found.row(0, named=True))


def _show_event(event: dict[str, str | None]) -> None:
    st.title(f"{event['action']} at {(event['occurred_at'] or '')[:19]} UTC", anchor=False)
    st.html(f"{chip(str(event['domain']), 'kind')} {chip(str(event['outcome']), 'kind')} {_code(event['event_id'])}")
    st.subheader("Raw text")
    if event["body"] is None:
        st.html('<p class="on-empty">The source sent no text with this event; its attributes are below.</p>')
    else:
        st.code(event["body"], language=None, wrap_lines=True)
    st.subheader("Who and where")
    st.html(_parties(event))
    st.subheader("Where each truly is, and under whose law")
    st.html(_axes(event))
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("What is known")
        st.html(facts(_rest(event)))
    with right:
        st.subheader("Where it came from")
        shown = [name for name in (*_WHERE_FROM, "leaf_hash") if event[name] is not None]
        st.html(facts([(name.replace("_", " "), _code(event[name])) for name in shown]))
    for name, title in zip(_MAPS, ("Attributes", "Resource attributes"), strict=True):
        st.subheader(title)
        st.html(_map_table(event[name], title))


def _parties(event: dict[str, str | None]) -> Html:
    columns = (Column("Party"), Column("Country"), Column("Known by"), Column("Everything else", wide=True))
    return table(columns, [_party(event, name) for name in PARTIES], "Parties of the event", "")


def _party(event: dict[str, str | None], party: str) -> tuple[str | Html | None, ...]:
    country, candidates = event[f"{party}_country"], event[f"{party}_country_candidates"]
    place = f"{country_name(country)} ({country})" if country else f"one of {candidates}" if candidates else None
    known = [(field.replace("_", " "), event[f"{party}_{field}"]) for field in _PARTY_FIELDS]
    rest = " · ".join(f"{text(name)} <b>{text(value)}</b>" for name, value in known if value is not None)
    return party, place, str(event[f"{party}_country_basis"]), Html(rest) if rest else None


def _axes(event: dict[str, str | None]) -> Html:
    """The seven axes of the parties and the key; the page has every column as text."""
    listed = {name: value.split(", ") if value else [] for name, value in event.items() if name in _LISTS}
    message = (str(event["topic_id"]), int(event["kafka_partition"] or 0), int(event["kafka_offset"] or 0))
    digest = context_of(session.CALM, *message, str(event["attempt_id"]))
    stated, files = stated_of(session.CALM, event, digest), files_of(session.CALM, digest)
    as_path = str(json.loads(event["attributes"] or "{}").get(AS_PATH, ""))
    carriers = carriers_of(session.CALM, as_path, event["occurred_at"], digest)
    told = axes_of({**event, **listed}, digest, stated, files, carriers)
    by_axis = ((name, *(_axis(axis, digest) for axis in told if axis.axis == name)) for name in AXES)
    columns = (Column("Axis"), *(Column(subject.capitalize()) for subject in SUBJECTS))
    return table(columns, by_axis, "Seven axes", "")


def _axis(axis: Axis, digest: str) -> Html:
    """What is known, how, by whom and the version of that; the digest of all registries would tell a reader nothing."""
    if not axis.values:
        return Html(f"<span class='on-small'>unknown {text(axis.note)}</span>")
    version = axis.version if axis.version != digest else ""
    how = " · ".join(part for part in (axis.basis, axis.source, version, axis.note) if part)
    return Html(f"<b>{text(', '.join(axis.values))}</b><br><span class='on-small'>{text(how)}</span>")


def _rest(event: dict[str, str | None]) -> list[tuple[str, str | Html | None]]:
    """Every known column that has no place of its own on the page; a basis says nothing where nothing is known."""
    elsewhere = {"event_id", "body", "leaf_hash", *_MAPS, *_WHERE_FROM}
    elsewhere |= {f"{party}_{field}" for party in PARTIES for field in _PARTY_FIELDS}
    elsewhere |= {
        f"{party}_{field}" for party in PARTIES for field in ("country", "country_basis", "country_candidates")
    }
    shown = (column.name for column in EVENT_COLUMNS if column.name not in elsewhere)
    return [
        (name.replace("_", " "), event[name])
        for name in shown
        if event[name] is not None and not (name.endswith("_basis") and event[name] == "unknown")
    ]


def _code(value: str | None) -> Html:
    return Html(f"<code>{text(value)}</code>")


def _map_table(as_json: str | None, label: str) -> Html:
    pairs = json.loads(as_json or "{}")
    rows = ((Html(f"<code>{text(key)}</code>"), str(value)) for key, value in sorted(pairs.items()))
    return table((Column("Name"), Column("Value", wide=True)), rows, label, "None.")
