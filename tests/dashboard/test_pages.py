"""The pages, run as Streamlit runs them but without a browser."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

import dashboard_history
from dashboard_stack import running_store
from onshore_dashboard import finding_queries
from onshore_dashboard.access_queries import accesses
from onshore_dashboard.finding_queries import FindingFilter
from onshore_dashboard.queries import Scope
from onshore_dashboard.settings import SECRETS_SECTION, Settings
from onshore_dashboard.views.address import parse_count, parse_id
from onshore_dashboard.views.first_steps import curl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dashboard_stack import RunningStore
    from onshore_pipeline.store.reader import Reader

APP = Path(str(files("onshore_dashboard") / "app.py"))


@pytest.fixture(autouse=True)
def no_shared_answers() -> Iterator[None]:
    """Answers are shared by everybody who looks at the same time; tests look at different stores."""
    yield
    st.cache_data.clear()
    st.cache_resource.clear()


def _open(
    url: str, credentials: Path | None, page: str = "operations", context_dir: Path | None = None, **parameters: str
) -> AppTest:
    """Run one page to its end."""
    app = (
        AppTest.from_string(_SCRIPT.format(page=page), default_timeout=60) if page != "app" else AppTest.from_file(APP)
    )
    app.default_timeout = 60
    reader = json.loads(credentials.read_text())["reader"] if credentials else {"user": "nobody", "password": "wrong"}
    told = Settings(url, reader["user"], reader["password"], context_dir=context_dir)
    app.secrets[SECRETS_SECTION] = told.as_secrets()
    for name, value in parameters.items():
        app.query_params[name] = value
    return app.run()


_SCRIPT = """
import streamlit as st
from onshore_dashboard import pages
from onshore_dashboard.views import {page}
st.navigation(pages.all_pages())
{page}.show()
"""


def _words(app: AppTest) -> str:
    assert not app.exception
    shown = [element.proto.body for element in app.get("html")]
    return "\n".join([*shown, *(title.value for title in app.title), *(code.value for code in app.code)])


def test_operations_shows_the_state_of_the_stack(filled: RunningStore) -> None:
    words = _words(_open(filled.url, filled.credentials, "app"))
    assert "Events a second" in words
    assert "not known here: no worker reports to this dashboard" in words
    assert "1 of 2" in words
    assert "&lt;script&gt;truncated" in words
    assert "<script>truncated" not in words
    assert "<code>destination_country</code> missing in" in words


def test_an_empty_store_says_what_to_do(empty_store: RunningStore) -> None:
    words = _words(_open(empty_store.url, empty_store.credentials, "app"))
    assert "Nothing has arrived yet" in words
    assert "onshore demo" in words
    assert "http://127.0.0.1:4318/v1/logs" in words


def test_a_store_that_is_down_is_named_with_what_to_check() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    words = _words(_open(f"http://127.0.0.1:{port}", None, "app"))
    assert "The store does not answer" in words
    assert f"http://127.0.0.1:{port}" in words
    assert "onshore doctor" in words


def test_a_store_that_refuses_the_user_says_so_and_shows_no_figure(filled: RunningStore) -> None:
    words = _words(_open(filled.url, None, "app"))
    assert "The store refused" in words
    assert "Events a second" not in words


def test_compliance_shows_shares_with_their_denominators(filled: RunningStore) -> None:
    words = _words(_open(filled.url, filled.credentials, "compliance"))
    assert "applicable verdicts" in words
    assert "Could not be decided" in words
    assert "Privacy Act 1988 (Cth), Australian Privacy Principle 8.1" in words
    assert "Every jurisdiction" in words
    assert "No two claims about a place disagree" in _words(_open(filled.url, filled.credentials, "compliance"))


def test_a_scope_in_the_address_narrows_the_page(filled: RunningStore) -> None:
    app = _open(filled.url, filled.credentials, "compliance", jurisdiction="JP", tenant="hoshi-bank")
    words = _words(app)
    assert app.selectbox(key="jurisdiction").value == "JP"
    assert "JP-APPI28-01" in words
    assert "AU-APP8-01" not in words


def test_a_scope_that_nobody_offered_is_dropped(filled: RunningStore) -> None:
    app = _open(filled.url, filled.credentials, "compliance", jurisdiction="' OR 1=1", period="12 parsecs", tenant="%")
    assert not app.exception
    assert app.selectbox(key="jurisdiction").value == "all"
    assert app.selectbox(key="period").value == "30 days"
    assert app.selectbox(key="tenant").value == "all"


def test_controls_are_told_in_plain_words_and_counted_by_status(filled: RunningStore) -> None:
    words = _words(_open(filled.url, filled.credentials, "controls"))
    for said in ("Executable", "Catalogue", "AU-APP8-01", "Australian Privacy Principle 8.1", "A regulator asks for"):
        assert said in words


def test_controls_can_be_searched_and_narrowed_in_the_address(filled: RunningStore) -> None:
    app = _open(filled.url, filled.credentials, "controls", search="KEYS home", jurisdiction="*")
    words = _words(app)
    assert app.text_input(key="search").value == "KEYS home"
    assert "SOV-09-01" in words
    assert "AU-APP8-01" not in words
    assert "No control fits" in _words(_open(filled.url, filled.credentials, "controls", status="clock"))


def test_a_search_is_text_and_never_markup(filled: RunningStore) -> None:
    words = _words(_open(filled.url, filled.credentials, "controls", search="<img src=x>"))
    assert "<img" not in words


def test_a_finding_that_claims_to_be_of_the_future_says_so(tmp_path: Path) -> None:
    with running_store(tmp_path) as running:
        admin = running.admin()
        admin.command("INSERT INTO rollup_runs (* EXCEPT(log_id)) VALUES (1, now64(3), map(0, 1), 1, 1, 1)")
        admin.command(f"""INSERT INTO findings_built VALUES
            (toUUID('{UUID(int=1)}'), 1, 'acme', 'data_movement', 'X', 1,
            'violation', 'high', map(), toDateTime64('2026-01-01 00:00:00', 9, 'UTC'),
            toDateTime64('2200-01-01 00:00:00', 9, 'UTC'), 1, 0, [])""")
        admin.close()
        said = "2200-01-01 00:00:00, a time in the future that its sender claims"
        assert f"last seen {said}" in _words(_open(running.url, running.credentials, "compliance"))
        assert said in _words(_open(running.url, running.credentials, "finding_detail", finding=str(UUID(int=1))))


@pytest.mark.parametrize("finding", ["", "not-an-id", "00000000-0000-0000-0000-000000000001", "'"])
@pytest.mark.parametrize("page", ["finding_detail", "event_detail"])
def test_an_address_that_names_no_finding_is_no_error(filled: RunningStore, page: str, finding: str) -> None:
    assert "No such finding" in _words(_open(filled.url, filled.credentials, page, finding=finding))


@pytest.mark.parametrize("page", ["findings", "compliance"])
def test_a_person_s_key_that_is_none_is_named_and_hides_nothing(
    filled: RunningStore, tmp_path: Path, page: str
) -> None:
    assert "not in force" not in _words(_open(filled.url, filled.credentials, page, context_dir=tmp_path))
    (tmp_path / "people_keys").mkdir()
    (tmp_path / "people_keys" / "rina.pem").write_text("no key")
    words = _words(_open(filled.url, filled.credentials, page, context_dir=tmp_path))
    assert "Waivers that these keys signed are not in force." in words
    assert "rina.pem: no public key in PEM" in words
    assert "findings" in words


def test_a_finding_shows_its_control_and_an_event_its_raw_text(
    filled: RunningStore, store: Reader, now: datetime
) -> None:
    wanted = FindingFilter(Scope(), control_id="AU-APP8-01")
    row = finding_queries.findings(store, wanted, now, limit=1).row(0, named=True)
    words = _words(_open(filled.url, filled.credentials, "finding_detail", finding=row["finding"]))
    assert "Personal information leaves Australia" in words
    assert "Stop the flow, then ask its owner for the basis." in words
    assert "violated: destination_country <> 'AU'" in words

    one = finding_queries.finding_events(store, UUID(row["finding"])).row(0, named=True)
    address = {"finding": row["finding"], "event": one["event"], "at": str(one["occurred_ns"])}
    words = _words(_open(filled.url, filled.credentials, "event_detail", **address))
    assert "<b>raw & untouched</b>" in words  # in a code block, which shows it as it is
    assert "Australia (AU)" in words
    assert "job.id" in words


def test_an_address_that_names_no_event_is_no_error(filled: RunningStore, store: Reader, now: datetime) -> None:
    row = finding_queries.findings(store, FindingFilter(Scope()), now, limit=1).row(0, named=True)
    address = {"finding": row["finding"], "event": row["finding"], "at": "1"}
    assert "No such event" in _words(_open(filled.url, filled.credentials, "event_detail", **address))


@pytest.mark.parametrize("given", [None, "", "x", "-1", "1.5", "٣", str(2**63), "1" * 40])
def test_only_natural_numbers_are_times_in_an_address(given: str | None) -> None:
    assert parse_count(given) is None


def test_ids_in_an_address_are_parsed_and_not_passed_on() -> None:
    assert parse_id("no") is None
    assert parse_id(None) is None
    assert parse_id(str(UUID(int=5))) == UUID(int=5)


def test_the_shell_command_of_the_first_steps_sends_one_otlp_record() -> None:
    # the shell puts the command together, and in curl's place something that prints what would be sent
    shell = f'curl() {{ for last; do :; done; printf %s "$last"; }}; {curl("http://127.0.0.1:4318")}'
    sent = json.loads(subprocess.run(["/bin/sh", "-c", shell], capture_output=True, check=True).stdout)
    (record,) = sent["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    assert int(record["timeUnixNano"]) > 10**18
    stated = {attribute["key"]: attribute["value"]["stringValue"] for attribute in record["attributes"]}
    assert stated["onshore.destination.country"] == "US"
    assert stated["onshore.transfer.basis"] == "none"


def test_claims_that_disagree_stand_side_by_side_and_lead_to_an_event(tmp_path: Path) -> None:
    with running_store(tmp_path) as running:
        admin, now = running.admin(), datetime.now(UTC)
        dashboard_history.fill(admin, now, events=200)
        admin.command(
            "ALTER TABLE events UPDATE contradictions = ['destination:region=us-east-1,declared=<b>AU</b>']"
            " WHERE tenant = 'hoshi-bank' AND source_format = 'otlp.log' AND kafka_offset = 0"
            " SETTINGS mutations_sync = 1"
        )
        events, newest = admin.query(
            "SELECT count(), argMax(toString(event_id), occurred_at) FROM events_current WHERE notEmpty(contradictions)"
        ).result_rows[0]
        page = _open(running.url, running.credentials, "compliance")
        shown = _words(page)
        admin.close()
    assert events > 0
    assert "region: us-east-1<br>declared: &lt;b&gt;AU&lt;/b&gt;" in shown
    assert f">{events}<" in shown
    assert f"event={newest}&amp;at=" in shown


def test_access_from_outside_says_what_to_connect_when_there_is_none(empty_store: RunningStore) -> None:
    assert "Azure Customer Lockbox" in _words(_open(empty_store.url, empty_store.credentials, "access"))


def test_access_from_outside_says_unknown_where_no_approval_is_known_and_leads_to_the_event(tmp_path: Path) -> None:
    with running_store(tmp_path) as store:
        admin = store.admin()
        admin.command(
            "INSERT INTO events (event_id, tenant, domain, action, outcome, occurred_at, source_format, kafka_topic,"
            " topic_id, kafka_partition, kafka_offset, record_index, attempt_id, actor_type, actor_employer, reason)"
            " VALUES (generateUUIDv4(), 'acme', 'infrastructure', 'admin.session', 'success', now64(9),"
            " 'gcp.access_transparency', 't', generateUUIDv4(), 0, 0, 0, generateUUIDv4(), 'vendor', 'Google LLC',"
            " 'case 123')"
        )
        admin.close()
        words = _words(_open(store.url, store.credentials, "access"))
        assert "Google LLC" in words
        assert "case 123" in words
        assert ">unknown</span> <span class='on-small'>by" in words
        reader = store.reader()
        row = accesses(reader, Scope()).row(0, named=True)
        reader.close()
        at = {"tenant": row["tenant"], "event": row["event"], "at": str(row["occurred_ns"])}
        assert "admin.session" in _words(_open(store.url, store.credentials, "event_detail", **at))
