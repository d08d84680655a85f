"""What should have been seen, what of it was seen, and a finding for the rest; however often it is measured."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_collectors.digests.chain import check_chains, check_logs
from onshore_collectors.digests.files import gather, hash_of
from onshore_collectors.digests.public_keys import load_public_keys
from onshore_collectors.digests.statements import statements
from onshore_collectors.files.source_files import find_files
from onshore_pipeline import assembly
from onshore_pipeline.broker import COLLECTOR_HEADER, RUN_HEADER, SEQUENCE_HEADER, TENANT_HEADER, Outgoing
from onshore_pipeline.commands.coverage_status import show_coverage
from onshore_pipeline.context.expected_sources import Register, read_register
from onshore_pipeline.controls.load import load_controls
from onshore_pipeline.jobs import aggregate
from onshore_pipeline.jobs import coverage_rows as rows
from onshore_pipeline.jobs.measure import Measurer
from onshore_pipeline.store.reader import Reader
from signed_digests import SOURCE, Chain, listed_keys

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW: Final = datetime.now(UTC).replace(second=0, microsecond=0)
FOUND: Final = """SELECT control_id, tenant, fingerprint[{by:String}], events FROM findings
WHERE control_id = {control:String} ORDER BY ALL"""


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path / "data") as running:
        yield running


def register(folder: Path, *, silence: str = "10m", since: timedelta = timedelta(hours=2), more: str = "") -> Register:
    """One expected source: tenant acme's collector c1."""
    folder.mkdir(exist_ok=True)
    (folder / "expected_sources.yaml").write_text(
        "# version: 7\n"
        f"- {{source: edge, tenant: acme, collector: 'c*', heard_every: {silence}, late_by: 1m,"
        f" since: '{(NOW - since).isoformat()}', owner: ops, why: who reads the files{more}}}\n"
    )
    return read_register(folder)


def send(pipeline: Pipeline, value: bytes, **headers: str) -> None:
    names = {"collector": COLLECTOR_HEADER, "sequence": SEQUENCE_HEADER, "run": RUN_HEADER}
    told = tuple((names[name], text.encode()) for name, text in headers.items())
    producer = assembly.local_log(pipeline.settings).producer()
    producer.send("otlp_logs", [Outgoing(value, ((TENANT_HEADER, b"acme"), *told))])
    producer.close()


def processed(pipeline: Pipeline) -> None:
    pipeline.work()
    pipeline.sequence()


def heard_at(pipeline: Pipeline, *minutes_ago: int, collector: str = "c1") -> None:
    times = [int((NOW - timedelta(minutes=ago)).timestamp()) * 10**9 for ago in minutes_ago]
    resource = {"onshore.collector.id": collector}
    send(pipeline, otlp.logs([otlp.movement()] * len(times), resource=resource, at_ns=times))


def covered(pipeline: Pipeline, kind: str, columns: str) -> list[tuple[Any, ...]]:
    return pipeline.rows(f"SELECT {columns} FROM coverage WHERE kind = '{kind}' ORDER BY since, why")


def found(pipeline: Pipeline, control: str) -> list[tuple[Any, ...]]:
    by = rows.CONTROLS[control][1][1]
    result = pipeline.client.query(FOUND, parameters={"control": control, "by": by}).result_rows
    return [tuple(row)[1:] for row in result]


def test_a_silent_source_is_a_finding_and_being_heard_again_closes_its_silence(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    expected = register(tmp_path / "context")
    heard_at(pipeline, *range(119, 60, -5))
    processed(pipeline)
    pipeline.measure(expected, NOW)
    last = NOW - timedelta(minutes=64 - 1)
    assert covered(pipeline, "heard", "source, state, expected, seen, control_id") == [
        ("edge", "silent", 119 * 60, 119 * 60 - 62 * 60, rows.SILENT)
    ]
    silence = covered(pipeline, "silence", "state, since, until, owner, matters")
    assert silence == [("silent", last.replace(tzinfo=None), None, "ops", "who reads the files")]
    assert found(pipeline, rows.SILENT) == [("acme", "edge", 1)]
    heard_at(pipeline, 20, 15, 10, 5)
    processed(pipeline)
    pipeline.measure(expected, NOW)
    ended = (NOW - timedelta(minutes=20)).replace(tzinfo=None)
    assert covered(pipeline, "silence", "state, since, until") == [("missed", last.replace(tzinfo=None), ended)]
    assert covered(pipeline, "heard", "state, seen") == [("missed", 119 * 60 - 43 * 60)]
    assert found(pipeline, rows.SILENT) == [("acme", "edge", 1)]


def test_a_silence_that_late_events_fill_leaves_a_finding_of_nothing(pipeline: Pipeline, tmp_path: Path) -> None:
    expected = register(tmp_path / "context")
    heard_at(pipeline, *range(120, 60, -5))
    processed(pipeline)
    pipeline.measure(expected, NOW)
    heard_at(pipeline, *range(60, 0, -5))
    processed(pipeline)
    assert pipeline.measure(expected, NOW) == 1
    assert covered(pipeline, "heard", "state, expected - seen") == [("seen", 0)]
    assert found(pipeline, rows.SILENT) == [("acme", "edge", 0)]
    assert pipeline.measure(expected, NOW) == 0  # nothing new to say


def test_what_is_too_young_to_be_late_is_not_called_silent(pipeline: Pipeline, tmp_path: Path) -> None:
    heard_at(pipeline, 119)
    processed(pipeline)
    pipeline.measure(register(tmp_path / "context", since=timedelta(minutes=9)), NOW)
    assert covered(pipeline, "heard", "state, expected, seen") == [("waiting", None, None)]
    assert found(pipeline, rows.SILENT) == []


def test_a_source_that_was_expected_until_then_is_not_missed_afterwards(pipeline: Pipeline, tmp_path: Path) -> None:
    until = (NOW - timedelta(minutes=60)).isoformat()
    heard_at(pipeline, *range(120, 60, -5))
    processed(pipeline)
    pipeline.measure(register(tmp_path / "context", more=f", until: '{until}'"), NOW)
    assert covered(pipeline, "heard", "state, expected, seen") == [("seen", 3600, 3600)]


def test_who_was_heard_and_is_not_registered_is_unknown_and_not_wrong(pipeline: Pipeline, tmp_path: Path) -> None:
    heard_at(pipeline, 5, collector="stranger")
    processed(pipeline)
    pipeline.measure(register(tmp_path / "context"), NOW)
    told = covered(pipeline, "unregistered", "tenant, source, collector_id, state, expected, why")
    words = "1 events of a source that is not registered: register it"
    assert told == [("acme", "otlp.log", "stranger", "unknown", None, words)]


def test_holes_in_numbers_are_findings_restarts_are_not_and_doubles_are_counted(pipeline: Pipeline) -> None:
    one = otlp.logs([otlp.movement()])
    for number, run in ((0, "a"), (1, "a"), (4, "a"), (0, "b"), (1, "b"), (1, "b"), (2, "d")):
        send(pipeline, one, collector="k", sequence=str(number), run=run)
    send(pipeline, one, collector="old", sequence="17")  # nobody knows where it began
    processed(pipeline)
    pipeline.measure(now=NOW)
    assert found(pipeline, rows.HOLES) == []  # they may still come
    pipeline.measure(now=datetime.now(UTC) + timedelta(minutes=6))
    told = covered(pipeline, "sequence", "collector_id, state, expected, seen, doubled")
    assert sorted(told) == [("k", "missed", 10, 6, 1), ("old", "seen", 1, 1, 0)]
    assert found(pipeline, rows.HOLES) == [("acme", "k", 4)]
    assert found(pipeline, rows.DOUBLES) == [("acme", "k", 1)]
    holes = {row[0] for row in covered(pipeline, "sequence_gap", "why")}
    assert holes == {"numbers 2 to 3 of start a", "numbers 0 to 1 of start d"}


def test_what_senders_lost_and_what_digests_prove_are_rows_and_findings(pipeline: Pipeline) -> None:
    def said(action: str, **more: str | int) -> dict[str, str | int]:
        return {"onshore.action": f"telemetry.{action}", **{f"onshore.{key}": text for key, text in more.items()}}

    trail = {"coverage.source": "trail-1", "coverage.from": "2026-11-20T00:00:00Z"}
    events = [
        said("gap", reason="queue full") | {"onshore.data.count": 5},
        *(said("verified", **trail, **{"coverage.to": f"2026-11-20T0{hour}:00:00Z"}) for hour in (1, 2, 3)),
        said("gap", **trail, **{"coverage.to": "2026-11-20T05:00:00Z", "coverage.reason": "no digest of 04:00"}),
        said(
            "altered", **trail, **{"coverage.to": "2026-11-20T06:00:00Z", "coverage.reason": "file x has another hash"}
        ),
        said("skipped", **{"coverage.source": "flow-1", "reason": "SKIPDATA"}),
        said("verified", **{"coverage.source": "trail-2", "coverage.to": "2026-11-20T01:00:00Z"}),
        said("unverified", **{"coverage.source": "trail-2", "coverage.to": "2026-11-20T02:00:00Z"}),
    ]
    for _ in range(2):  # a file that is read again says the same again
        send(pipeline, otlp.logs(events, resource={"onshore.collector.id": "c1"}))
    processed(pipeline)
    pipeline.measure()
    assert covered(pipeline, "digests", "source, state, expected, seen, why") == [
        ("trail-2", "unknown", 2, 1, "1 verified, 0 missing, 0 altered, 1 not to be verified"),
        ("trail-1", "wrong", 5, 3, "3 verified, 1 missing, 1 altered"),
    ]
    assert {row[:2] for row in covered(pipeline, "digest_gap", "state, why")} == {
        ("missed", "no digest of 04:00"),
        ("wrong", "file x has another hash"),
    }
    assert found(pipeline, rows.DROPPED) == [("acme", "c1", 5)]
    assert found(pipeline, rows.DIGEST_GAPS) == [("acme", "trail-1", 1)]
    assert found(pipeline, rows.ALTERED) == [("acme", "trail-1", 1)]
    assert found(pipeline, rows.SKIPPED) == [("acme", "flow-1", 1)]


def verification_of(folder: Path, keys: Path | None) -> bytes:
    """What `onshore collect cloudtrail-digests` sends about a folder."""
    gathered = gather(find_files([str(folder)]).files, lambda _: None)
    found = check_chains(gathered.digests, load_public_keys(keys) if keys else {}, gathered.signatures)
    check_logs(found, gathered.find, lambda path: hash_of(path, lambda _: None))
    request = ExportLogsServiceRequest()
    scope = request.resource_logs.add().scope_logs.add()
    scope.scope.attributes.add(key="encoding.format").value.string_value = "aws.cloudtrail.digest"
    for record in statements(found):
        scope.log_records.add().body.string_value = record.text
    return request.SerializeToString()


def test_a_digest_that_the_next_run_verifies_counts_once_and_what_was_missing_and_came_is_missing_no_more(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    chain = Chain(tmp_path / "bucket")
    keys = tmp_path / "keys.json"
    keys.write_text(listed_keys(chain.key))

    def seen(keys: Path | None = keys) -> list[tuple[Any, ...]]:
        send(pipeline, verification_of(chain.folder, keys))
        processed(pipeline)
        pipeline.measure()
        return covered(pipeline, "digests", "state, expected, seen")

    chain.digest(1, logs=1)
    assert seen() == [("unknown", 2, 0)]  # it and the log file it lists
    chain.digest(2, logs=0)
    chain.keep_metadata()
    assert seen() == [("seen", 2, 2)]
    lost = chain.logs[0].read_bytes()
    chain.logs[0].unlink()
    assert seen() == [("missed", 3, 2)]
    assert found(pipeline, rows.DIGEST_GAPS) == [("acme", SOURCE, 1)]
    chain.logs[0].write_bytes(lost)
    for given in (keys, None):  # a run without keys takes nothing back
        assert seen(given) == [("seen", 2, 2)]
        assert found(pipeline, rows.DIGEST_GAPS) == [("acme", SOURCE, 0)]
        assert covered(pipeline, "digest_gap", "why") == []


def test_clocks_that_are_off_and_decoders_that_lose_fields_are_findings(pipeline: Pipeline, tmp_path: Path) -> None:
    now_ns = int(datetime.now(UTC).timestamp()) * 10**9
    beat: dict[str, str | int] = {"onshore.action": "telemetry.heartbeat"}
    lossy = otlp.movement() | {"onshore.source.losses": "awsRegion"}
    for name, late_s, event in (
        ("ahead", -300, otlp.movement()),
        ("behind", 300, beat),
        ("late", 300, otlp.movement()),  # what was written down earlier says nothing about the clock
        ("c-tight", -40, lossy),
    ):
        send(pipeline, otlp.logs([event], resource={"onshore.collector.id": name}, at_ns=now_ns - late_s * 10**9))
    processed(pipeline)
    pipeline.measure(register(tmp_path / "context", more=", clock_within: 30s"))
    assert [row[1] for row in found(pipeline, rows.CLOCK)] == ["ahead", "behind", "c-tight"]
    assert found(pipeline, rows.LOSSES) == [("acme", "otlp.log", 1)]
    (why,) = covered(pipeline, "losses", "why")
    assert why == ("1 events lack awsRegion, which their decoder drops",)


def test_a_flow_log_that_tells_of_a_window_without_traffic_says_nothing_about_a_clock(pipeline: Pipeline) -> None:
    ended = int(datetime.now(UTC).timestamp()) - 300
    no_data = f"2 123456789010 eni-1 - - - - - - - {ended - 600} {ended} - NODATA"
    flow: dict[str, str | int] = {"log.record.format": "aws.vpcflow"}
    send(pipeline, otlp.logs([flow], resource={"onshore.collector.id": "reader"}, at_ns=0, body=no_data))
    processed(pipeline)
    pipeline.measure()
    assert pipeline.rows("SELECT source_format, sum(heartbeats) FROM heard_hourly GROUP BY ALL") == [("aws.vpcflow", 1)]
    assert not found(pipeline, rows.CLOCK)


def test_a_register_that_cannot_be_read_is_said_and_the_last_one_stays(pipeline: Pipeline, tmp_path: Path) -> None:
    register(tmp_path / "context")
    file = tmp_path / "context" / "expected_sources.yaml"
    reader = assembly.entry_reader(pipeline.settings)
    measurer = Measurer(pipeline.client, lambda: read_register(tmp_path / "context"))
    measurer.measure({}, reader.log_id)
    file.write_text(file.read_text().replace("heard_every: 10m", "heard_every: often"))
    measurer.measure({}, reader.log_id)
    reader.close()
    ((why,),) = covered(pipeline, "register", "why")
    assert why == f"{file}:2: 'heard_every' is written 90s, 15m, 2h or 1d, not 'often'"
    assert [row[0] for row in covered(pipeline, "heard", "source")] == ["edge"]


def test_while_messages_wait_for_a_worker_nobody_is_called_silent(pipeline: Pipeline, tmp_path: Path) -> None:
    # The silence that is allowed is longer than a whole run of all tests.
    expected = register(tmp_path / "context", silence="2h", since=timedelta(hours=6))
    heard_at(pipeline, *range(359, 0, -5))
    processed(pipeline)
    later = NOW + timedelta(hours=5)
    reader = assembly.entry_reader(pipeline.settings)
    for behind, state in ((True, "seen"), (False, "silent")):
        Measurer(pipeline.client, lambda: expected, lambda behind=behind: behind, lambda: later).measure(  # type: ignore[misc]
            {}, reader.log_id
        )
        assert covered(pipeline, "heard", "state") == [(state,)]
    reader.close()


def test_old_measurements_go_and_the_newest_stays(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aggregate, "_RECORDS_TO_DROP", 1)
    heard_at(pipeline, *range(119, 60, -5))
    processed(pipeline)
    expected = register(tmp_path / "context")
    for _ in range(3):
        pipeline.measure(expected, NOW)
    kept = covered(pipeline, "heard", "source, state")
    aggregate.drop_old_generations(pipeline.client)
    assert pipeline.one("SELECT uniqExact(generation) FROM coverage_built") == 1
    assert covered(pipeline, "heard", "source, state") == kept
    assert found(pipeline, rows.SILENT) == [("acme", "edge", 1)]


def test_status_says_the_share_that_was_seen_and_exits_1_where_some_was_not(
    pipeline: Pipeline, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reader_of = json.loads((tmp_path / "data" / "credentials.json").read_text())["reader"]
    reader = Reader(pipeline.url, reader_of["user"], reader_of["password"])
    assert show_coverage(reader, as_json=False) == 0
    assert "not measured yet" in capsys.readouterr().out
    heard_at(pipeline, *range(119, 60, -5))
    heard_at(pipeline, 5, collector="stranger")
    processed(pipeline)
    pipeline.measure(register(tmp_path / "context"), NOW)
    assert show_coverage(reader, as_json=False) == 1
    out = capsys.readouterr().out
    assert out.startswith("silent     47.89 %  heard        acme edge: silent since ")
    assert "unknown    unknown  unregistered acme otlp.log: 1 events of a source that is not registered" in out
    assert show_coverage(reader, as_json=True) == 1
    told = {row["kind"]: row["share"] for row in json.loads(capsys.readouterr().out)}
    assert (told["heard"], told["unregistered"]) == (pytest.approx(57 / 119), None)
    reader.close()


def test_the_controls_of_coverage_say_what_findings_say() -> None:
    controls = {each.id: each for each in load_controls().controls}
    for control_id, (severity, group_by) in rows.CONTROLS.items():
        control = controls[control_id]
        assert (control.severity, control.group_by, control.version) == (severity, group_by, rows.VERSION)
        assert (control.kind, control.status, control.confidence) == ("review", "review", "policy")
