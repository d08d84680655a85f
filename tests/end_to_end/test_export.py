"""From a running stack to a regulator's empty directory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from onshore_pipeline.evidence import verify_standalone
from otlp_messages import logs, movement
from running_stack import run_onshore

if TYPE_CHECKING:
    from running_stack import RunningStack

NAMED = ("--recipient", "OAIC", "--as", "Kim Lee", "--reason", "Request 17")
EVER = ("--from", "2020-01-01", "--to", "2100-01-01")


def test_a_bundle_of_a_running_stack_is_checked_in_an_empty_directory(
    stack: RunningStack, mark: str, tmp_path: Path
) -> None:
    stack.send_logs(logs([movement(actor_id="carol@example.org", key_id=mark)]))
    stack.wait_for("SELECT count() FROM events_current WHERE key_id = {mark:String}", 1, mark=mark)
    here = ("--data-dir", str(stack.data_dir))
    asked = (*EVER, *NAMED, "--tenant", "default", "--profile", "minimal", "--recipient-country", "AU")
    made = run_onshore(tmp_path, "export", *asked, "--out", str(tmp_path / "bundle.zip"), "--json", *here)
    assert made.returncode == 0, made.stderr
    told = json.loads(made.stdout)
    keys = run_onshore(tmp_path, "keys", "show", *here)
    (tmp_path / "key").write_text(keys.stdout)
    shutil.copy(Path(verify_standalone.__file__), tmp_path / "verify.py")
    command = [sys.executable, "-I", "verify.py", "bundle.zip", "--key", "key"]
    alone = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert alone.stdout.startswith("NOT WITNESSED")
    ours = run_onshore(tmp_path, "verify", str(tmp_path / "bundle.zip"), "--key", str(tmp_path / "key"))
    assert (ours.returncode, ours.stdout) == (0, alone.stdout)
    assert b"carol@example.org" not in (tmp_path / "bundle.zip").read_bytes()
    # The export is an event itself.
    deed = "SELECT count() FROM events_current WHERE action = 'evidence.export' AND has(attributes.values, {id:String})"
    deed = deed.replace("attributes.values", "mapValues(attributes)")
    stack.wait_for(deed, 1, id=told["export"])


def test_an_event_of_a_running_stack_is_proved_by_itself_and_disclosed_later(
    stack: RunningStack, mark: str, tmp_path: Path
) -> None:
    stack.send_logs(logs([movement(actor_id="dave@example.org", key_id=mark)]))
    stack.wait_for("SELECT count() FROM events_current WHERE key_id = {mark:String}", 1, mark=mark)
    event_id = str(stack.one("SELECT toString(event_id) FROM events_current WHERE key_id = {mark:String}", mark=mark))
    here = ("--data-dir", str(stack.data_dir))
    to = ("--recipient-country", "AU", "--out", "event.ndjson", "--open", "actor_id")
    made = run_onshore(tmp_path, "event", "prove", event_id, *NAMED, *to, *here)
    assert made.returncode == 0, made.stderr
    (tmp_path / "key").write_text(run_onshore(tmp_path, "keys", "show", *here).stdout)
    asked = ("event.ndjson", "--proof", "event.ndjson.tlog-proof", "--key", "key")
    command = [sys.executable, "-I", verify_standalone.__file__, *asked]
    alone = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr) == (0, "")
    assert 'actor_id is "dave@example.org"' in alone.stdout
    ours = run_onshore(tmp_path, "verify", *asked)
    assert (ours.returncode, ours.stdout) == (0, alone.stdout)
    (tmp_path / "event.ndjson").write_bytes((tmp_path / "event.ndjson").read_bytes().replace(b"dave", b"eve"))
    assert run_onshore(tmp_path, "verify", *asked).returncode == 1
