"""`onshore dead-letters` beside a running stack: what it does, and what it refuses in one readable line."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

import otlp_messages as otlp
from cloudtrail_texts import log_file, text_of
from onshore_pipeline.broker import TENANT_HEADER, Outgoing
from onshore_pipeline.embedded.local_log import LocalLog
from running_stack import run_onshore

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from running_stack import RunningStack

BROKEN = b"\x0anothing that is OTLP"
WHO = ("--as", "kim", "--reason", "a test")


def send(stack: RunningStack, mark: str, *values: bytes) -> None:
    """Past the receiver, which would refuse them, under a tenant of the test's own."""
    producer = LocalLog(stack.data_dir / "log", now_ns=time.time_ns).producer()
    producer.send("otlp_logs", [Outgoing(value, ((TENANT_HEADER, mark.encode()),)) for value in values])
    producer.close()


def letters(stack: RunningStack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run_onshore(stack.folder, "dead-letters", *arguments, "--data-dir", str(stack.data_dir))


def test_bad_messages_are_listed_tried_again_and_given_up_beside_the_worker(stack: RunningStack, mark: str) -> None:
    good = otlp.logs([otlp.movement()])
    send(stack, mark, BROKEN, good, BROKEN)
    counted = "SELECT count() FROM dead_letter_states WHERE tenant = {mark:String} AND state = {state:String}"
    stack.wait_for(counted, 2, mark=mark, state="open")
    listed = json.loads(letters(stack, "list", "--tenant", mark, "--json").stdout)
    assert [each["stage"] for each in listed] == ["decode", "decode"]

    would = letters(stack, "replay", "--tenant", mark, *WHO, "--dry-run", "--json")
    assert (would.returncode, len(json.loads(would.stdout)["failed"])) == (1, 2)
    tried = letters(stack, "replay", "--tenant", mark, *WHO)
    assert tried.returncode == 1
    assert "2 fail again and stay open:" in tried.stdout
    shown = json.loads(letters(stack, "show", listed[0]["id"], "--json").stdout)
    assert [(each["who"], each["outcome"]) for each in shown["actions"]] == [("kim", "failed")]

    given_up = letters(stack, "discard", "--tenant", mark, "--id", listed[0]["id"][:12], *WHO, "--json")
    assert (given_up.returncode, json.loads(given_up.stdout)["closed"]) == (0, 1)
    stack.wait_for(counted, 1, mark=mark, state="discarded")
    again = letters(stack, "discard", listed[0]["id"], *WHO)
    assert (again.returncode, again.stdout) == (2, "")
    assert "there is no open dead letter" in again.stderr
    assert json.loads(letters(stack, "discard", "--tenant", mark, *WHO, "--json").stdout)["closed"] == 1
    stack.wait_for(counted, 2, mark=mark, state="discarded")
    nothing = letters(stack, "replay", "--tenant", mark, *WHO)
    assert (nothing.returncode, nothing.stdout) == (0, "no open dead letters like that; nothing was done\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("replay", "--all", "--reason", "x"), "--as is missing"),
        (("discard", "--all", "--as", "kim"), "--reason is missing"),
        (("discard", "--all", "--as", "kim", "--reason", "x" * 501), "501 characters"),
        (("replay", *WHO), "say which: ids"),
        (("replay", "00000000", *WHO), "no open dead letter 00000000"),
        (("replay", "--since", "soon", *WHO), "--since 'soon' is no time"),
        (("list", "--stage", "thinking"), "--stage thinking"),
        (("list", "--limit", "many"), "--limit"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(stack: RunningStack, arguments: tuple[str, ...], named: str) -> None:
    done = letters(stack, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert named in line


@pytest.mark.parametrize("arguments", [("list",), ("replay", "--all", *WHO), ("discard", "--all", *WHO)])
def test_without_a_stack_it_says_how_to_start_one(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run_onshore(tmp_path, "dead-letters", *arguments)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "run `onshore up`" in line


def test_what_a_reader_could_not_read_is_listed_with_file_line_and_reason_and_the_rest_arrives(
    stack: RunningStack, mark: str
) -> None:
    logs = stack.folder / f"{mark}.json"
    logs.write_bytes(log_file(*text_of(1), '\n{"eventVersion": nonsense}', "\n" + text_of(2)[0].replace("id-2", mark)))
    here = ("--data-dir", str(stack.data_dir))
    collected = run_onshore(stack.folder, "collect", "cloudtrail", str(logs), *here)
    assert collected.returncode == 1, collected.stderr
    assert f"UNREADABLE {logs}: line 2, byte " in collected.stderr
    stack.wait_for_events(mark, 1)
    pattern = f"%{mark}%"
    counted = "SELECT count() FROM dead_letter_states WHERE reason LIKE {like:String} AND state = 'open'"
    stack.wait_for(counted, 1, like=pattern)
    (letter,) = json.loads(letters(stack, "list", "--stage", "collect", "--reason-like", pattern, "--json").stdout)
    assert letter["stage"] == "collect"
    assert letter["reason"].startswith(f"{logs}, line 2, byte ")
    assert "is not JSON" in letter["reason"]
    shown = letters(stack, "list", "--stage", "collect", "--reason-like", pattern).stdout
    assert "collect" in shown
    assert "1 dead letters with 1 records" in shown
    assert json.loads(letters(stack, "discard", letter["id"], *WHO, "--json").stdout)["closed"] == 1
