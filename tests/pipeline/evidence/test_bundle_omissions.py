"""What an operator leaves out of a bundle, or says otherwise, and signs again: refused, or said not to be proved."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import bundles
from altered_bundles import Told, put_together, taken_apart
from bundles import Files, said_by_both
from onshore_pipeline.evidence import verify_standalone as standalone

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

FILES = bundles.files_of(bundles.GOLDEN / "v2" / "good.zip")
ENTRIES = taken_apart(FILES)
CONTROL = ENTRIES[0].violations()[0][0]
EVERY_VIOLATION = "Every event that was sealed as violating one of these controls is here."


def said(raw: bytes, folder: Path) -> tuple[int, str]:
    (folder / "bundle.zip").write_bytes(raw)
    return said_by_both(folder / "bundle.zip")


def not_proved(text: str) -> str:
    return text.partition("Not proved:")[2]


def of_control(control: str = CONTROL) -> list[Told]:
    """The golden bundle's entries, with the violations of one control shown, nothing else, and nothing deleted."""
    return [each.only({index for name, index in each.violations() if name == control}) for each in ENTRIES[1:]]


def test_the_golden_bundle_taken_apart_and_put_together_is_good(tmp_path: Path) -> None:
    code, text = said(put_together(FILES, ENTRIES), tmp_path)
    assert code == 0, text


def test_of_a_control_every_violation_is_here(tmp_path: Path) -> None:
    scope = {"controls": [CONTROL], "range": [1, 5], "from": ENTRIES[1].entry["timestamp"]}
    code, text = said(put_together(FILES, [ENTRIES[0], *of_control()], scope=scope), tmp_path)
    assert code == 0, text
    assert EVERY_VIOLATION in text


def test_a_violating_message_without_its_verdicts_is_missed(tmp_path: Path) -> None:
    scope = {"controls": [CONTROL], "range": [1, 5], "from": ENTRIES[1].entry["timestamp"]}
    hidden = [ENTRIES[0], ENTRIES[1].hidden(), *of_control()[1:]]
    code, text = said(put_together(FILES, hidden, scope=scope), tmp_path)
    assert (code, "comes without its verdicts" in text) == (1, True), text


def test_a_message_without_its_verdicts_is_missed_whatever_is_asked_for(tmp_path: Path) -> None:
    silent = [replace(ENTRIES[0], verdicts=None), *ENTRIES[1:]]
    code, text = said(put_together(FILES, silent), tmp_path)
    assert (code, "comes without its verdicts" in text) == (1, True), text


def test_with_tenants_named_missing_verdicts_cannot_be_checked(tmp_path: Path) -> None:
    silent = [replace(ENTRIES[0], verdicts=None), *ENTRIES[1:]]
    code, text = said(put_together(FILES, silent, scope={"tenants": ["default"]}), tmp_path)
    assert (code, "ask for an export without tenants" in text) == (2, True), text


def test_where_an_event_was_deleted_not_every_violation_is_said_to_be_here(tmp_path: Path) -> None:
    shown = [each.only({index for name, index in each.violations() if name == CONTROL}) for each in ENTRIES]
    code, text = said(put_together(FILES, shown, scope={"controls": [CONTROL]}), tmp_path)
    assert code == 0, text
    assert EVERY_VIOLATION not in text
    assert "0 messages come without their verdicts, 1 of their events were deleted" in not_proved(text)


def test_a_range_that_is_cut_in_front_of_a_message_that_was_asked_for_is_refused(tmp_path: Path) -> None:
    code, text = said(put_together(FILES, ENTRIES[:2], scope={"range": [0, 1]}), tmp_path)
    assert (code, "entry 1 (otlp_logs[0]@1) was asked for and is not in [0, 1)" in text) == (1, True), text


def test_a_message_that_was_asked_for_is_in_the_range_and_not_shown_from_elsewhere(tmp_path: Path) -> None:
    code, text = said(put_together(FILES, [*ENTRIES[:2], ENTRIES[3]], scope={"range": [0, 1]}), tmp_path)
    assert code == 1, text


def test_a_range_whose_neighbour_is_left_out_is_refused(tmp_path: Path) -> None:
    code, text = said(put_together(FILES, ENTRIES[:1], scope={"range": [0, 1]}), tmp_path)
    assert (code, "entry 1, next to the range, is left out" in text) == (1, True), text


def test_with_tenants_named_a_withheld_neighbour_is_said_not_to_prove_the_bounds(tmp_path: Path) -> None:
    scope = {"range": [0, 1], "tenants": ["default"]}
    code, text = said(put_together(FILES, ENTRIES[:1], scope=scope), tmp_path)
    assert code == 0, text
    assert "1 of the entries next to it are withheld" in not_proved(text)


def test_a_shorter_time_has_a_shorter_range_and_what_lies_farther_off_is_said_not_to_be_proved(tmp_path: Path) -> None:
    scope = {"range": [0, 1], "to": ENTRIES[1].entry["timestamp"]}
    code, text = said(put_together(FILES, ENTRIES[:2], scope=scope), tmp_path)
    assert code == 0, text
    assert "a log is not in the order of its messages' times" in not_proved(text)
    assert "a log is not in the order" not in said(put_together(FILES, ENTRIES), tmp_path)[1]


PEOPLE = bundles.files_of(bundles.GOLDEN / "v2-people" / "good.zip")


def rewritten(
    files: Files,
    change: Callable[[dict[str, Any]], object],
    *names: str,
    actions: Collection[str] = ("hold.place", "evidence.delete"),
) -> Files:
    """With the rows of these files changed, and of the actions only some."""
    made = dict(files)
    for name in names:
        rows = [json.loads(line) for line in bundles.lines(made, name)]
        for row in rows:
            if "action" not in row or row["action"] in actions:
                change(row)
        made[name] = b"".join(standalone.canonical(row) + b"\n" for row in rows)
    return made


@pytest.mark.parametrize(
    "change",
    [
        {"who": "somebody else"},
        {"who": "redacted"},
        {"reason": "another case"},
        {"at": 1},
        {"tenant": "another"},
        {"about": "h-2"},
        {"attributes": None},
    ],
    ids=json.dumps,
)
def test_a_record_that_says_else_than_its_sealed_event_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    code, text = said(bundles.signed(rewritten(PEOPLE, lambda row: row.update(change), standalone.ACTIONS)), tmp_path)
    assert code == 1, text


def test_a_hold_of_another_scope_is_refused_though_its_record_says_the_same(tmp_path: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if "action" not in row:
            row |= {"dataset": "something harmless", "placed_by": "nobody"}
        elif row["action"] == "hold.place":
            row["who"] = "nobody"
            row["attributes"]["onshore.hold.dataset"] = "something harmless"

    code, text = said(bundles.signed(rewritten(PEOPLE, change, standalone.ACTIONS, standalone.HOLDS)), tmp_path)
    assert (code, "says another who of hold.place" in text) == (1, True), text


def test_an_attribute_that_was_not_sealed_is_refused(tmp_path: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        row["attributes"]["onshore.hold.until"] = "2026-12-01"

    code, text = said(bundles.signed(rewritten(PEOPLE, change, standalone.ACTIONS)), tmp_path)
    assert (code, "says onshore.hold.until of" in text) == (1, True), text


@pytest.mark.parametrize("change", [{"events": 500}, {"rule": "all: keep 99y (court order 12)"}, {"tenant": "another"}])
@pytest.mark.parametrize("files", [FILES, PEOPLE], ids=["v2", "v2-people"])
def test_a_deletion_that_says_else_than_its_tombstone_is_refused(
    files: Files, change: dict[str, Any], tmp_path: Path
) -> None:
    made = bundles.signed(rewritten(files, lambda row: row.update(change), standalone.DELETIONS))
    code, text = said(made, tmp_path)
    if "events" in change:  # these tombstones are of before they told it
        assert (code, "How many events 1 of 1 deletions took" in not_proved(text)) == (0, True), text
    else:
        assert (code, "than its tombstone" in text) == (1, True), text


def with_deleted(deletion: str) -> list[Told]:
    """The golden bundle's entries, with the violating event of the second message said to be deleted."""
    gone = ENTRIES[1]
    leaf = standalone.leaf_hashes([gone.events[0][:-1]])[0].hex()
    deleted = ([0, 0, leaf, deletion],)
    message = replace(gone, events=[], openings=[], positions=[], hashes=(), deleted=deleted)
    return [*ENTRIES[:1], message, *ENTRIES[2:]]


def test_a_deletion_that_nobody_recorded_is_refused(tmp_path: Path) -> None:
    made_up = {"events": 2, "id": "made-up", "root": "00" * 32, "rule": "records act"}
    files = FILES | {standalone.DELETIONS: FILES[standalone.DELETIONS] + standalone.canonical(made_up) + b"\n"}
    code, text = said(put_together(files, with_deleted("made-up")), tmp_path)
    assert (code, "has no evidence.delete about deletion made-up" in text) == (1, True), text


def test_a_deletion_whose_tombstone_is_not_shown_is_said_to_be_the_operators_word(tmp_path: Path) -> None:
    entries = [*ENTRIES[:4], ENTRIES[4].only(())]
    code, text = said(put_together(FILES, entries), tmp_path)
    assert code == 0, text
    assert "1 of 1 deletions: no tombstone of theirs is among the shown events" in not_proved(text)
    assert "in 1 of 3 actions: they are not among the shown events" in not_proved(text)


def test_a_tombstone_may_be_shown_from_outside_of_the_scope_and_nothing_else_may(tmp_path: Path) -> None:
    tombstone = ENTRIES[4].entry["timestamp"]
    scope = {"range": [0, 4], "to": tombstone}
    opened = json.loads(FILES[standalone.MANIFEST])["counts"]["opened"]
    shown = replace(ENTRIES[4], verdicts=None, positions=[0])
    code, text = said(put_together(FILES, ENTRIES, keep=[shown], scope=scope, counts={"opened": opened}), tmp_path)
    assert code == 0, text
    assert "no tombstone of theirs" not in text
    scope = {"range": [0, 3], "to": ENTRIES[3].entry["timestamp"]}
    shown = replace(ENTRIES[3], verdicts=None, positions=[0])
    code, text = said(put_together(FILES, ENTRIES[:4], keep=[shown], scope=scope), tmp_path)
    assert (code, "the scope does not ask for it" in text) == (1, True), text


def test_where_not_all_leaves_of_a_deletion_are_here_which_it_took_is_said_not_to_be_proved(tmp_path: Path) -> None:
    files = rewritten(FILES, lambda row: row.update(events=2), standalone.DELETIONS)
    code, text = said(bundles.signed(files), tmp_path)
    assert code == 0, text
    assert "Which events 1 of 1 deletions took: not all of their leaves are here" in not_proved(text)
    assert "Which events 1 of 1" not in said(bundles.signed(FILES), tmp_path)[1]


def test_signatures_that_are_not_checked_stand_among_what_is_not_proved(tmp_path: Path) -> None:
    code, text = said(bundles.signed(FILES), tmp_path)
    assert (code, "who are said to have: 2 signatures are not checked" in not_proved(text)) == (0, True), text
    assert "signatures are not checked" not in said(bundles.signed(PEOPLE), tmp_path)[1]


def test_another_spelling_of_a_name_is_no_second_person_who_confirms_a_hold(tmp_path: Path) -> None:
    def change(row: dict[str, Any]) -> None:
        if row.get("action") == "hold.confirm":
            row["who"] = "Rina-Sample "
        elif row.get("placed_by"):
            row["confirmed_by"] = "Rina-Sample "

    hidden = [
        each.only(()) if each.entry["topic"] == standalone.ACTIONS_TOPIC else each for each in taken_apart(PEOPLE)
    ]
    assert said(put_together(PEOPLE, hidden), tmp_path)[0] == 0
    files = rewritten(PEOPLE, change, standalone.ACTIONS, standalone.HOLDS, actions=("hold.confirm",))
    code, text = said(put_together(files, hidden), tmp_path)
    assert (code, "is said to be confirmed; the actions about it say placed" in text) == (1, True), text


def test_tombstones_are_counted_apart_from_the_events_of_a_control(tmp_path: Path) -> None:
    shown = [each.only({index for name, index in each.violations() if name == CONTROL}) for each in ENTRIES]
    code, text = said(put_together(FILES, [*shown[:4], ENTRIES[4]], scope={"controls": [CONTROL]}), tmp_path)
    assert code == 0, text
    assert f"3 events that violate {CONTROL} and 1 tombstones are shown; 2 other events" in text
