"""That `onshore up` lets strangers' clients read the store and do nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from otlp_messages import logs, movement

if TYPE_CHECKING:
    from running_stack import RunningStack


def test_the_read_only_user_reads_events_and_findings(stack: RunningStack, mark: str) -> None:
    stack.send_logs(logs([movement(actor_id=mark)]))
    stack.wait_for("SELECT count() FROM findings WHERE fingerprint['actor_id'] = {who:String}", 1, who=mark)
    event = stack.row("SELECT * FROM events_current WHERE actor_id = {who:String}", who=mark)
    assert (event["source_country"], event["destination_country"]) == ("AU", "US")
    assert (event["home_jurisdictions"], event["categories"]) == (["AU"], ["personal"])
    assert (event["bytes"], event["transfer_basis"]) == (1000, "none")
    finding = stack.row("SELECT * FROM findings WHERE fingerprint['actor_id'] = {who:String}", who=mark)
    assert (finding["control_id"], finding["events"], finding["bytes"]) == ("AU-APP8-01", 1, 1000)
    assert finding["sample_event_ids"] == [event["event_id"]]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO events (tenant) VALUES ('forged')",
        "INSERT INTO evidence_log (log_index) VALUES (0)",
        "CREATE TABLE mine (x UInt8) ENGINE = Memory",
        "CREATE VIEW mine AS SELECT 1",
        "DROP TABLE events",
        "DELETE FROM evidence_log WHERE 1",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1:1', 'default', 'events')",
        "SELECT count() FROM events INTO OUTFILE '/tmp/onshore-outfile'",
        "SET readonly = 0",
    ],
)
def test_the_read_only_user_changes_and_reaches_nothing_else(stack: RunningStack, statement: str) -> None:
    before = stack.one("SELECT count() FROM evidence_log")
    with pytest.raises(DatabaseError):
        stack.reader.command(statement)
    assert stack.one("SELECT count() FROM evidence_log") == before


def test_the_store_never_says_that_it_has_what_it_refused(stack: RunningStack) -> None:
    writer = stack.writer()
    try:
        writer.command("CREATE TABLE refusing (n UInt8, CONSTRAINT few CHECK n < 5) ENGINE = MergeTree ORDER BY n")
        with pytest.raises(DatabaseError):
            writer.raw_insert("refusing", ["n"], b"7\n", fmt="TSV")
    finally:
        writer.command("DROP TABLE IF EXISTS refusing")
        writer.close()


@pytest.mark.parametrize("part", ["store", "otlp_http"])
@pytest.mark.parametrize("headers", [{"host": "onshore.example"}, {"origin": "https://evil.example"}])
def test_a_web_page_cannot_make_a_browser_talk_to_it(stack: RunningStack, part: str, headers: dict[str, str]) -> None:
    address = stack.addresses[part] + ("/?query=SELECT%201" if part == "store" else "/v1/logs")
    sent = headers | {"content-type": "application/json"}
    user = (stack.addresses["store_user"], stack.addresses["store_password"]) if part == "store" else None
    assert httpx.post(address, content=b"{}", headers=sent, auth=user).status_code == 403


def test_nobody_reads_without_a_password(stack: RunningStack) -> None:
    for user in (None, (stack.addresses["store_user"], ""), ("default", "")):
        answer = httpx.get(stack.addresses["store"], params={"query": "SELECT count() FROM events"}, auth=user)
        assert answer.status_code in {401, 403}


def test_every_port_is_on_loopback_only(stack: RunningStack) -> None:
    listening = {
        socket.laddr.ip.removeprefix("::ffff:")
        for process in stack.everything()
        for socket in process.net_connections()
        if socket.status == "LISTEN"
    }
    assert listening == {"127.0.0.1"}
    assert (stack.data_dir / "stack.json").stat().st_mode & 0o777 == 0o600
    assert (stack.folder / "ready.json").stat().st_mode & 0o777 == 0o600
