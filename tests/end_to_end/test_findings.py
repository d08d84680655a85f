"""`onshore findings` and `onshore waivers` beside a running stack: what people do is sealed, and has an effect once."""

from __future__ import annotations

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from onshore_pipeline.actions import Action, encoded
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.embedded.local_log import LocalLog
from running_stack import run_onshore

if TYPE_CHECKING:
    from pathlib import Path

    from running_stack import RunningStack

CONTROL = "AU-APP8-01"


def send(stack: RunningStack, mark: str, *values: bytes) -> None:
    producer = LocalLog(stack.data_dir / "log", now_ns=time.time_ns).producer()
    producer.send("otlp_logs", [Outgoing(value, ((TENANT_HEADER, mark.encode()),)) for value in values])
    producer.close()


def onshore(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_onshore(stack.folder, *arguments, "--data-dir", str(stack.data_dir))


def finding_of(stack: RunningStack, mark: str, events: int = 1) -> str:
    """One finding of this test's own tenant, of so many events."""
    send(stack, mark, otlp.logs([otlp.movement()] * events))
    where = f"FROM findings WHERE tenant = {{mark:String}} AND control_id = '{CONTROL}'"
    stack.wait_for(f"SELECT sum(events) {where}", events, mark=mark)
    return str(stack.reader.query(f"SELECT finding_id {where}", parameters={"mark": mark}).result_rows[0][0])


def act(stack: RunningStack, finding: str, name: str, *more: str, who: str = "rina") -> tuple[int, dict[str, Any]]:
    done = onshore(stack, "findings", name, finding, *more, "--as", who, "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def listed(stack: RunningStack, mark: str) -> dict[str, Any]:
    rows = json.loads(onshore(stack, "findings", "list", "--tenant", mark, "--control", CONTROL, "--json").stdout)
    (row,) = rows
    assert isinstance(row, dict)
    return row


def test_a_finding_is_worked_on_by_people_and_opens_by_itself_when_it_recurs(stack: RunningStack, mark: str) -> None:
    finding = finding_of(stack, mark, events=3)
    assert [act(stack, finding[:8], "ack")[0], act(stack, finding, "ack", who="omar")[0]] == [0, 1]
    assert act(stack, finding, "assign", "--to", "omar")[1]["finding"]["owner"] == "omar"
    code, resolved = act(stack, finding, "resolve", "--reason", "the copy was deleted", who="omar")
    assert (code, resolved["finding"]["state"], resolved["finding"]["events"]) == (0, "resolved", 3)

    later = int((datetime.now(UTC) + timedelta(seconds=1)).timestamp() * 1e9)
    send(stack, mark, otlp.logs([otlp.movement()], at_ns=later))
    stack.wait_for(
        f"SELECT sum(events) FROM findings WHERE tenant = {{mark:String}} AND control_id = '{CONTROL}'", 4, mark=mark
    )
    found = listed(stack, mark)
    assert (found["state"], found["events"], found["owner"]) == ("open", 4, "omar")
    assert [(each["action"], bool(each["refused"])) for each in found["actions"]] == [
        ("finding.acknowledge", False), ("finding.acknowledge", True), ("finding.assign", False),
        ("finding.resolve", False), ("recurrence", False),
    ]  # fmt: skip
    sealed = "SELECT count() FROM events_current WHERE tenant = {mark:String} AND kafka_topic = 'onshore_actions'"
    assert stack.reader.query(sealed, parameters={"mark": mark}).result_rows[0][0] == 4
    shown = onshore(stack, "findings", "show", finding).stdout
    assert "WITHOUT EFFECT, the finding was acknowledged already" in shown
    assert "an event violated the control again" in shown


def test_whoever_is_shown_a_finding_learns_its_law_what_to_do_and_which_events(stack: RunningStack, mark: str) -> None:
    finding = finding_of(stack, mark, events=12)
    told = json.loads(onshore(stack, "findings", "show", finding, "--json").stdout)
    control = load_controls().control(CONTROL)
    assert control is not None
    names = ("title", "instrument", "rationale", "evidence", "remediation")
    assert {name: told[name] for name in names} == {name: getattr(control, name) for name in names}
    seen = stack.reader.query(
        "SELECT toString(event_id) FROM violations_current"
        " WHERE tenant = {mark:String} AND control_id = {control:String}",
        parameters={"mark": mark, "control": CONTROL},
    ).result_rows
    newest = [each["event_id"] for each in told["newest_events"]]
    assert len(set(newest)) == 10
    assert set(newest) <= {event for (event,) in seen}
    text = onshore(stack, "findings", "show", finding).stdout
    assert control.instrument in text
    assert control.remediation.split(",")[0] in text
    assert all(event in text for event in newest)
    shown = onshore(stack, "event", "show", newest[0])
    assert shown.returncode == 0, shown.stderr


def test_a_clock_runs_from_when_somebody_was_aware(stack: RunningStack, mark: str) -> None:
    finding = finding_of(stack, mark)
    before = listed(stack, mark)["clocks"]
    assert [(each["control_id"], each["due"]) for each in before] == [("AU-NDB-30D", None)]
    at = (datetime.now(UTC) - timedelta(days=1)).replace(microsecond=0)
    code, told = act(stack, finding, "aware", "--at", at.isoformat())
    assert (code, told["finding"]["due"]) == (0, (at + timedelta(days=30)).isoformat())
    due = (at + timedelta(days=31)).isoformat()
    assert finding[:8] in onshore(stack, "findings", "list", "--tenant", mark, "--due-before", due).stdout


def test_what_could_have_no_effect_is_refused_and_not_recorded(stack: RunningStack, mark: str) -> None:
    finding = finding_of(stack, mark)
    later = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for said, why in (
        (("resolve", "--reason", "  "), "it gives no reason"),
        (("false-positive", "--reason", ""), "it gives no reason"),
        (("assign", "--to", " "), "it names nobody"),
        (("aware", "--at", later), "its time lies behind the moment"),
        (("assess", "--at", later), "its time lies behind the moment"),
        (("ack", "--as", " "), "it names nobody who does it"),
    ):
        done = onshore(stack, "findings", said[0], finding, "--as", "rina", *said[1:])
        assert (done.returncode, done.stdout) == (2, "")
        assert f"is not recorded, as it would have no effect: {why}" in done.stderr
    assert listed(stack, mark)["actions"] == []


def test_a_clock_runs_from_when_the_first_event_reached_us(stack: RunningStack, mark: str) -> None:
    before = datetime.now(UTC)
    send(stack, mark, otlp.logs([otlp.movement(action="index.build")]))
    stack.wait_for(
        "SELECT count() FROM findings WHERE tenant = {mark:String} AND control_id = 'SOV-03-01'", 1, mark=mark
    )
    rows = json.loads(onshore(stack, "findings", "list", "--tenant", mark, "--control", "SOV-03-01", "--json").stdout)
    (clock,) = rows[0]["clocks"]
    began = datetime.fromisoformat(clock["runs_from"])
    assert (clock["start"], before < began < datetime.now(UTC)) == ("detected", True)
    assert datetime.fromisoformat(clock["due"]) == began + timedelta(hours=24)


@pytest.fixture
def keys(stack: RunningStack) -> dict[str, Path]:
    """A key each for two people, registered."""
    folder = stack.data_dir / "people_keys"
    folder.mkdir(exist_ok=True)
    found = {}
    for name in ("rina", "omar"):
        file = stack.folder / f"{name}.key"
        if not file.exists():
            subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", file], check=True)
            file.chmod(0o600)
            public = folder / f"{name}.pem"
            subprocess.run(["openssl", "pkey", "-in", file, "-pubout", "-out", public], check=True)
        found[name] = file
    return found


def waive(stack: RunningStack, keys: dict[str, Path], name: str, *arguments: str, who: str) -> dict[str, Any]:
    done = onshore(stack, "waivers", name, *arguments, "--as", who, "--key", str(keys[who]), "--json")
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_waiver_of_two_people_marks_a_finding_and_changes_no_count(
    stack: RunningStack, mark: str, keys: dict[str, Path]
) -> None:
    finding_of(stack, mark)
    counted = f"FROM verdict_counts WHERE tenant = {{mark:String}} AND control_id = '{CONTROL}'"
    counts = f"SELECT verdict, sum(events) {counted} GROUP BY verdict"
    before = stack.reader.query(counts, parameters={"mark": mark}).result_rows
    scope = (
        "--control",
        CONTROL,
        "--tenant",
        mark,
        "--where",
        "dataset=patients",
        "--expires",
        "30d",
        "--reason",
        "agreed",
    )
    proposed = waive(stack, keys, "propose", *scope, who="rina")
    assert (listed(stack, mark)["state"], proposed["state"]) == ("open", "proposed")
    assert waive(stack, keys, "approve", proposed["waiver_id"], who="rina")["effect"] is False
    assert waive(stack, keys, "approve", proposed["waiver_id"][:8], who="omar")["effect"] is True
    found = listed(stack, mark)
    assert (found["state"], found["events"], found["waiver"]["approved_by"]) == ("waived", 1, "omar")
    assert "WAIVED until" in onshore(stack, "findings", "list", "--tenant", mark).stdout
    (row,) = json.loads(onshore(stack, "waivers", "list", "--tenant", mark, "--json").stdout)
    assert (row["state"], row["findings"], len(row["refused"])) == ("approved", 1, 1)
    assert stack.reader.query(counts, parameters={"mark": mark}).result_rows == before
    assert waive(stack, keys, "revoke", proposed["waiver_id"], "--reason", "over", who="rina")["effect"] is True
    assert listed(stack, mark)["state"] == "open"


def test_records_of_a_sender_that_claim_to_be_actions_have_no_effect(stack: RunningStack, mark: str) -> None:
    finding = finding_of(stack, mark)
    claimed = Action("finding.resolve", mark, "eve", "trust me", {"onshore.finding.id": finding})
    send(stack, mark, encoded(claimed, uuid4()))
    stack.wait_for(
        "SELECT count() FROM events_current WHERE tenant = {mark:String} AND action = 'finding.resolve'", 1, mark=mark
    )
    found = listed(stack, mark)
    assert (found["state"], found["actions"]) == ("open", [])


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("findings", "ack", "0123", "--as", "kim"), "at least the first 8"),
        (("findings", "ack", "01234567", "--as", "kim"), "no finding's id begins with 01234567"),
        (("findings", "ack", "01234567"), "--as"),
        (("findings", "aware", "01234567", "--as", "kim", "--at", "soon"), "--at 'soon': no time"),
        (("findings", "list", "--severity", "dreadful"), "--severity dreadful"),
        (("findings", "list", "--state", "lost"), "--state lost"),
        (("waivers", "approve", "01234567", "--as", "kim", "--key", "none"), "no waiver's id begins"),
        (
            (
                "waivers",
                "propose",
                "--control",
                CONTROL,
                "--tenant",
                "x",
                "--reason",
                "r",
                "--expires",
                "2y",
                "--as",
                "kim",
                "--key",
                "none",
            ),
            "--expires 2y: write so many days as 30d",
        ),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(stack: RunningStack, arguments: tuple[str, ...], named: str) -> None:
    done = onshore(stack, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_list_that_is_cut_says_so_to_programs_too(stack: RunningStack, mark: str) -> None:
    finding_of(stack, mark)
    send(stack, mark, otlp.logs([otlp.movement(data_set="another")]))
    stack.wait_for(
        f"SELECT count() FROM findings WHERE tenant = {{mark:String}} AND control_id = '{CONTROL}'", 2, mark=mark
    )
    asked = ("findings", "list", "--tenant", mark, "--control", CONTROL, "--json")
    one, both = onshore(stack, *asked, "--limit", "1"), onshore(stack, *asked, "--limit", "2")
    assert (len(json.loads(one.stdout)), one.stderr) == (
        1,
        "onshore: there are more; the first 1 are listed (--limit)\n",
    )
    assert both.stderr == ""


def test_a_list_with_nothing_to_show_says_so(stack: RunningStack) -> None:
    assert onshore(stack, "findings", "list", "--tenant", "nobody").stdout == "no findings like that\n"
    assert "no waivers" in onshore(stack, "waivers", "list", "--tenant", "nobody").stdout
