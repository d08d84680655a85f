"""Controls: every control in plain words, what it rests on, what it needs, and whether it is judged."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import streamlit as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from onshore_dashboard import queries, session
from onshore_dashboard.formats import number
from onshore_dashboard.markup import Html, Tile, chip, facts, paragraph, severity, text, tiles
from onshore_dashboard.views.finding_list import kind_chip
from onshore_dashboard.views.notices import explained
from onshore_dashboard.views.scope import ANY, jurisdiction_name

if TYPE_CHECKING:
    from collections.abc import Iterable

STATUSES: Final = {
    "executable": "judged on every event that it applies to",
    "review": "for a person to review",
    "clock": "a deadline that findings start",
    "catalogue": "known and not judged yet",
    "disabled": "not verified, not judged",
}
_SEARCHED: Final = ("control_id", "title", "instrument", "rationale", "needs")


def show() -> None:
    """The page."""
    st.title("Controls")
    with explained():
        _show()


def _show() -> None:
    controls = queries.catalogue(session.CALM).to_dicts()
    st.html(tiles(_tiles(controls)))
    first, second, third = st.columns([1.4, 1, 1], vertical_alignment="bottom")
    wanted = first.text_input("Search", key="search", bind="query-params", placeholder="weights, health, 12h, ISM ...")
    jurisdictions = sorted({str(each["jurisdiction"]) for each in controls})
    jurisdiction = second.selectbox("Jurisdiction", [ANY, *jurisdictions], key="jurisdiction", bind="query-params")
    status = third.selectbox("Status", [ANY, *STATUSES], key="status", bind="query-params")
    shown = [each for each in controls if matches(each, wanted or "", jurisdiction or ANY, status or ANY)]
    st.html(paragraph(f"{number(len(shown))} of {number(len(controls))} controls. Not legal advice."))
    if not controls:
        st.html(paragraph("No control is in the store yet: the worker puts them there when it starts.", "empty"))
    elif not shown:
        st.html(paragraph("No control fits. Take a word out of the search, or choose all.", "empty"))
    else:
        st.html("".join(_entry(each) for each in shown))


def matches(control: dict[str, Any], wanted: str, jurisdiction: str, status: str) -> bool:
    """Whether a control is to be shown: every word of `wanted` stands somewhere in what it says."""
    if jurisdiction not in {ANY, control["jurisdiction"]} or status not in {ANY, control["status"]}:
        return False
    said = " ".join(str(control[name]) for name in (*_SEARCHED, "text")).lower()
    return all(word in said for word in wanted.lower().split())


def _tiles(controls: Iterable[dict[str, Any]]) -> list[Tile]:
    counts = Counter(str(each["status"]) for each in controls)
    return [Tile(status.capitalize(), number(counts[status]), meaning) for status, meaning in STATUSES.items()]


def _entry(control: dict[str, Any]) -> Html:
    """One control: a line that opens."""
    marks = f"{severity(control['severity'])} {kind_chip(control['kind'])} {chip(control['status'], 'note')}"
    line = f"<b>{text(control['control_id'])}</b> {text(control['title'])} {marks}"
    return Html(f"<details class='on-entry'><summary>{line}</summary>{_body(control)}</details>")


def _body(control: dict[str, Any]) -> Html:
    written = _written(str(control["text"]))
    pairs: list[tuple[str, str | Html | None]] = [
        ("Rests on", control["instrument"]),
        ("Jurisdiction", jurisdiction_name(str(control["jurisdiction"]))),
        ("How sure", f"{control['confidence']}, checked on {control['checked_on']}"),
        ("In force", _in_force(control)),
        ("Applies to", _code(written.get("applies"))),
        *_looks_at(written),
        ("Violated if", _code(written.get("violated"))),
        ("Deadline", _deadline(written.get("clock"))),
        ("Clocks", ", ".join(map(str, written.get("clocks") or ())) or None),
        ("Needs", control["needs"]),
        ("A regulator asks for", control["evidence"]),
        ("First thing to do", control["remediation"]),
        ("Maps to", ", ".join(map(str, written.get("maps_to") or ())) or None),
    ]
    examples = [(str(each["name"]), _expected(each)) for each in written.get("examples") or ()]
    shown = facts([pair for pair in pairs if pair[1]])
    return Html(f"{paragraph(control['rationale'])}{shown}{facts(examples) if examples else ''}")


def _looks_at(written: dict[str, Any]) -> list[tuple[str, str | Html | None]]:
    """What a control that looks at more than one event looks at, in the order of its file."""
    if window := written.get("window"):
        every = "" if window["every"] == window["period"] else f", a new one every {window['every']}"
        return [("Looks at", f"windows of {window['period']}{every}, by {_listed(window.get('group_by'))}")]
    if absence := written.get("absence"):
        lacks = f"{_code(absence['of'])} does not come again within {text(str(absence['longer_than']))}"
        return [("Violated if", Html(f"{lacks}, by {text(_listed(absence.get('group_by')))}"))]
    steps = [
        f"{'then, within ' + text(str(step['within'])) + ', ' if 'within' in step else ''}{_code(step['when'])}"
        for step in written.get("sequence") or ()
    ]
    by = text(_listed(written.get("group_by")))
    return [("Violated if", Html(f"by {by}: {'; '.join(steps)}"))] if steps else []


def _listed(names: object) -> str:
    return ", ".join(map(str, names)) if isinstance(names, list) else str(names)


def _expected(example: dict[str, Any]) -> str:
    missing = f", {example['missing']} missing" if example.get("missing") else ""
    return f"{str(example['verdict']).replace('_', ' ')}{missing}"


def _written(source: str) -> dict[str, Any]:
    """The fields of a control's file; none when it cannot be read, for the worker has refused such a file before."""
    try:
        read = YAML(typ="safe", pure=True).load(source)
    except YAMLError:
        return {}
    return read if isinstance(read, dict) else {}


def _in_force(control: dict[str, Any]) -> str:
    until = control["effective_to"]
    return f"from {control['effective_from']}" + (f" to {until}" if until else "")


def _code(condition: object) -> Html | None:
    return Html(f"<code>{text(' '.join(str(condition).split()))}</code>") if condition else None


def _deadline(clock: object) -> str | None:
    return f"{clock['deadline']} from {clock['start']}" if isinstance(clock, dict) else None
