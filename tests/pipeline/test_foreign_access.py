"""The foreign-access ledger: who reached in, from where, and who let him; what nobody stated is unknown."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from dashboard_stack import RunningStore, running_store
from onshore_pipeline.__main__ import app
from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTS = ("actor_country", "source_country", "destination_country", "transit", "key_country")


def event(name: str, at: str, **columns: str) -> str:
    """An INSERT of one event; every column given as an SQL literal."""
    given = {
        "event_id": f"'{uuid.uuid5(uuid.NAMESPACE_OID, name)}'",
        "tenant": "'acme'",
        "domain": "'infrastructure'",
        "action": "'admin.session'",
        "outcome": "'success'",
        "occurred_at": f"'{at}'",
        "source_format": "'otlp.log'",
        "kafka_topic": "'otlp_logs'",
        "topic_id": f"'{uuid.UUID(int=1)}'",
        "kafka_partition": "0",
        "kafka_offset": "0",
        "record_index": "0",
        "attempt_id": f"'{uuid.UUID(int=2)}'",
        **{f"{part}_basis": "'unknown'" for part in PARTS},
        "reason": f"'{name}'",
        **columns,
    }
    return f"INSERT INTO events ({', '.join(given)}) VALUES ({', '.join(given.values())})"


EVENTS = (
    event("a provider without a word on approval", "2026-07-10 10:00:00", actor_type="'vendor'"),
    event(
        "a provider with an approval that another event tells of",
        "2026-07-10 11:00:00",
        actor_type="'vendor'",
        actor_employer="'Google LLC'",
        actor_country="'CA'",
        approval_id="'projects/1/approvalRequests/a'",
    ),
    event(
        "the approval",
        "2026-07-10 10:30:00",
        action="'access.approve'",
        actor_type="'user'",
        approval_id="'projects/1/approvalRequests/a'",
        approval_by="'ciso@example.com'",
        approval_expires_at="'2026-07-12 00:00:00'",
    ),
    event("a vendor who states that there is none", "2026-07-10 12:00:00", actor_type="'vendor'", approval_id="'none'"),
    event("abroad", "2026-07-10 13:00:00", actor_type="'user'", actor_country="'IN'", destination_country="'AU'"),
    event("at home", "2026-07-10 14:00:00", actor_type="'user'", actor_country="'AU'", destination_country="'AU'"),
    event("nobody knows where", "2026-07-10 15:00:00", actor_type="'user'", destination_country="'AU'"),
    *(
        event(
            name,
            f"2026-07-10 {hour}:00:00",
            actor_type="'operator'",
            actor_country="'AU'",
            destination_country="'AU'",
            **({"actor_entity": f"'{employer}'", "actor_control_country": f"'{control}'"} if employer else {}),
        )
        for name, hour, employer, control in (
            ("own staff at home", "18", "Telstra", "AU"),
            ("at home for a company of a group abroad", "19", "OVHcloud", "FR"),
            ("an operator of whom nobody knows whose he is", "20", "", ""),
        )
    ),
    event("another tenant", "2026-07-10 16:00:00", tenant="'other'", actor_type="'vendor'"),
    event("no access", "2026-07-10 17:00:00", action="'config.read'", actor_type="'user'", actor_country="'IN'"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStore]:
    with running_store(tmp_path_factory.mktemp("ledger")) as running:
        admin = running.admin()
        for statement in EVENTS:
            admin.command(statement)
        admin.close()
        yield running


def run(
    store: RunningStore, folder: Path, *arguments: str, command: tuple[str, str] = ("foreign-access", "list")
) -> Result:
    reader = json.loads(store.credentials.read_text())["reader"]
    secret = folder / "password"
    secret.write_text(reader["password"])
    environment = {
        "ONSHORE_CLICKHOUSE_URL": store.url,
        "ONSHORE_CLICKHOUSE_USER": reader["user"],
        "ONSHORE_CLICKHOUSE_PASSWORD_FILE": str(secret),
    }
    return CliRunner().invoke(app, [*command, *arguments], env=environment)


def listed(store: RunningStore, folder: Path, *arguments: str) -> dict[str, dict[str, Any]]:
    done = run(store, folder, "--json", *arguments)
    assert done.exit_code == 0, done.output
    return {row["reason"]: row for row in json.loads(done.stdout)}


def test_providers_vendors_and_administrators_abroad_are_listed_the_newest_first(
    store: RunningStore, tmp_path: Path
) -> None:
    assert list(listed(store, tmp_path)) == [
        "at home for a company of a group abroad",
        "another tenant",
        "abroad",
        "a vendor who states that there is none",
        "a provider with an approval that another event tells of",
        "the approval",
        "a provider without a word on approval",
    ]


def test_a_ledger_that_is_longer_than_what_is_listed_says_so(store: RunningStore, tmp_path: Path) -> None:
    whole = listed(store, tmp_path)
    for arguments in (("--limit", "2"), ("--limit", "2", "--json")):
        done = run(store, tmp_path, *arguments)
        assert done.exit_code == 0, done.output
        assert done.stderr == "onshore: there are more; the newest 2 are listed (--limit)\n"
        assert sum(row["event_id"][:8] in done.stdout for row in whole.values()) == 2
    assert run(store, tmp_path, "--limit", str(len(whole)), "--json").stderr == ""


def test_an_approval_that_nobody_stated_is_unknown_and_never_none(store: RunningStore, tmp_path: Path) -> None:
    rows = listed(store, tmp_path)
    assert rows["a provider without a word on approval"]["approval"] == "unknown"
    assert rows["a provider without a word on approval"]["approval_by"] is None
    assert rows["a vendor who states that there is none"]["approval"] == "none"


def test_who_approved_and_until_when_comes_from_the_decision(store: RunningStore, tmp_path: Path) -> None:
    row = listed(store, tmp_path)["a provider with an approval that another event tells of"]
    assert (row["approval"], row["approval_by"]) == ("approved", "ciso@example.com")
    assert row["approval_expires_at"].startswith("2026-07-12T00:00:00")
    assert (row["employer"], row["country"]) == ("Google LLC", "CA")


def test_sessions_of_unknown_place_are_listed_when_asked_for(store: RunningStore, tmp_path: Path) -> None:
    assert listed(store, tmp_path, "--unknown")["nobody knows where"]["abroad"] == "unknown"
    assert "an operator of whom nobody knows whose he is" in listed(store, tmp_path, "--unknown")
    assert listed(store, tmp_path, "--unknown").keys().isdisjoint({"at home", "own staff at home"})


def test_an_employer_is_the_organisation_that_the_actor_is_of_where_nobody_names_another(
    store: RunningStore, tmp_path: Path
) -> None:
    row = listed(store, tmp_path)["at home for a company of a group abroad"]
    assert (row["employer"], row["employer_control_country"], row["controlled_abroad"]) == ("OVHcloud", "FR", "yes")
    assert "employed by OVHcloud (controlled from FR), from AU" in run(store, tmp_path).stdout


def test_a_list_is_narrowed_by_time_and_tenant(store: RunningStore, tmp_path: Path) -> None:
    narrowed = listed(store, tmp_path, "--from", "2026-07-10T12:00Z", "--to", "2026-07-10T16:30Z", "--tenant", "acme")
    assert list(narrowed) == ["abroad", "a vendor who states that there is none"]


def test_text_says_unknown_and_an_empty_list_says_what_to_connect(store: RunningStore, tmp_path: Path) -> None:
    assert "approval: unknown, by unknown" in run(store, tmp_path).output
    assert "Access Transparency" in run(store, tmp_path, "--tenant", "nobody").output


def test_an_event_of_the_ledger_is_shown_on_seven_axes_with_unknown_said_as_unknown(
    store: RunningStore, tmp_path: Path
) -> None:
    row = listed(store, tmp_path)["abroad"]
    shown = run(store, tmp_path, row["event_id"], command=("event", "show"))
    assert shown.exit_code == 0, shown.output
    assert "physical location          IN (unknown)" in shown.stdout
    assert "transit path               unknown" in shown.stdout
    told = json.loads(run(store, tmp_path, row["event_id"], "--json", command=("event", "show")).stdout)
    assert len(told["axes"]) == 28
    assert (told["actor_country"], told["contradictions"]) == ("IN", [])


def test_an_event_that_there_is_none_of_is_an_error_with_a_remedy(store: RunningStore, tmp_path: Path) -> None:
    for asked, why in (("abc", "no event id"), (str(uuid.UUID(int=7)), "no such event is committed")):
        with pytest.raises(OnshoreError, match=why):
            raise run(store, tmp_path, asked, command=("event", "show")).exception or AssertionError
