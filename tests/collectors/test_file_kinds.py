"""Every kind of log file: which pieces are found in it, and of which format each is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from onshore_collectors.files.kinds import KINDS, kind_of_format
from onshore_collectors.files.pieces import Piece, RawRecord, Unreadable
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNKS = (3, 1 << 18)


def read(kind: str, content: bytes, chunk: int = 1 << 18) -> list[Piece]:
    (read_pieces,) = [each.read for each in KINDS if each.name == kind]
    return list(read_pieces(content[at : at + chunk] for at in range(0, len(content), chunk)))


def texts(pieces: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, RawRecord)]


def formats(pieces: Sequence[Piece]) -> list[str]:
    return [piece.format if isinstance(piece, RawRecord) else "unreadable" for piece in pieces]


def unreadable(pieces: Sequence[Piece]) -> list[tuple[int, int, str, str]]:
    return [(each.position, each.line, each.reason, each.text) for each in pieces if isinstance(each, Unreadable)]


# --- arrangements of JSON ---

ENTRIES = [{"insertId": f"i{number}", "timestamp": "2025-09-27T21:13:15.943125002Z"} for number in range(3)]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize(
    "content",
    [
        "\n".join(map(json.dumps, ENTRIES)),
        "\r\n".join(map(json.dumps, ENTRIES)) + "\r\n",
        "\r".join(map(json.dumps, ENTRIES)),
        json.dumps(ENTRIES),
        "\n".join(json.dumps(entry) for entry in ENTRIES) + "\n\n",
        json.dumps({"entries": ENTRIES, "nextPageToken": "x"}),
        json.dumps({"nextPageToken": "x", "flag": True, "about": {"a": 1}, "tags": ["b"], "entries": ENTRIES}),
        json.dumps({"deep": {"a": {"b": []}}, "entries": ENTRIES}),
    ],
)
def test_records_are_found_in_any_arrangement(content: str, chunk: int) -> None:
    pieces = read("gcp-audit", content.encode(), chunk)
    assert texts(pieces) == [json.dumps(entry) for entry in ENTRIES]
    first = pieces[0]
    assert isinstance(first, RawRecord)
    assert (first.uid, first.time_ns) == ("i0", 1_759_007_595_943_125_002)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_indented_records_keep_their_exact_text(chunk: int) -> None:
    whole = [json.dumps(entry, indent=2) for entry in ENTRIES]
    assert texts(read("gcp-audit", "\n".join(whole).encode(), chunk)) == whole
    listed = json.dumps({"kind": "EventList", "metadata": {}, "items": ENTRIES}, indent=1)
    found = texts(read("kubernetes-audit", listed.encode(), chunk))
    assert [json.loads(text) for text in found] == ENTRIES
    assert all(text in listed for text in found)


def test_a_broken_record_in_a_list_costs_only_itself() -> None:
    first, _, third = map(json.dumps, ENTRIES)
    content = f'{{"entries": [{first},\n{{"insertId": "x", "broken: 1}},\n{third}]}}'.encode()
    pieces = read("gcp-audit", content)
    assert texts(pieces) == [first, third]
    ((position, line, reason, text),) = unreadable(pieces)
    assert (content[position:].startswith(text.encode()), line) == (True, 2)
    assert text.startswith('{"insertId": "x", "broken')
    assert "is not JSON" in reason


def test_a_broken_line_among_json_lines_costs_only_itself() -> None:
    first, _, third = map(json.dumps, ENTRIES)
    pieces = read("okta", f"{first}\n{first[:30]}\nno JSON at all\n{third}\n".encode())
    assert texts(pieces) == [first, third]
    assert [(line, text) for _, line, _, text in unreadable(pieces)] == [
        (2, f"{first[:30]}\n"),
        (3, "no JSON at all\n"),
    ]


@pytest.mark.parametrize("chunk", [1, *CHUNKS])
@pytest.mark.parametrize("ends", [("\n",) * 6, ("\r",) * 6, ("\r\n",) * 6, ("\r\n", "\r", "\n", "\n", "\r", "\r\n")])
def test_lines_are_counted_whatever_ends_them(ends: tuple[str, ...], chunk: int) -> None:
    lines = ['{"a": "é"}', "no JSON", '{"a": 1}', "", "nor this", '{"a": 2}']
    content = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    told = unreadable(read("mcp", content, chunk))
    assert [(line, text.strip()) for _, line, _, text in told] == [(2, "no JSON"), (5, "nor this")]
    assert [content[at:].startswith(text.encode()) for at, _, _, text in told] == [True, True]


# --- formats by record ---


def test_google_records_are_told_apart_by_their_log() -> None:
    names = ["cloudaudit.googleapis.com%2Factivity", "compute.googleapis.com%2Fvpc_flows"]
    names += ["dns.googleapis.com%2Fdns_queries", "cloudaudit.googleapis.com%2Faccess_transparency", "other"]
    names += ["compute.googleapis.com%2Ffirewall", "networksecurity.googleapis.com%2Ffirewall_threat"]
    lines = [json.dumps({"logName": f"projects/p/logs/{name}"}) for name in names]
    pieces = read("gcp-audit", "\n".join(lines).encode())
    told = ["gcp.audit", "gcp.vpcflow", "gcp.dns", "gcp.access_transparency", "gcp.audit", "gcp.firewall", "gcp.audit"]
    assert formats(pieces) == told


def test_azure_records_are_told_apart_by_category_and_operation() -> None:
    records: list[dict[str, object]] = [
        {"category": "Administrative"},
        {"category": "StorageRead"},
        {"category": "PipelineRuns"},
        {"operationName": {"value": "Microsoft.CustomerLockbox/requests/write"}},
        {"category": {"value": "Security"}},
    ]
    expected = ["azure.activity", "azure.storage", "azure.datafactory", "azure.lockbox", "azure.activity"]
    assert formats(read("azure-activity", json.dumps({"records": records}).encode())) == expected
    assert formats(read("azure-activity", "\n".join(map(json.dumps, records)).encode())) == expected


def test_gateways_are_told_apart_by_what_they_write() -> None:
    records = [{"litellm_call_id": "1"}, {"upstream_cluster": "c", "response_flags": "-"}, {"request_id": "r"}]
    pieces = read("gateway", "\n".join(map(json.dumps, records)).encode())
    assert formats(pieces) == ["gateway.litellm", "gateway.envoy", "gateway.vllm"]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_reads_a_json_record_of_its_format(kind: object) -> None:
    name = next(each.name for each in KINDS if each is kind)
    pieces = read(name, b'{"eventVersion": "1", "a": [{"b": 2}]}\n')
    assert texts(pieces) == ['{"eventVersion": "1", "a": [{"b": 2}]}']
    assert not unreadable(pieces)


# --- CloudWatch Logs ---


def subscribed(*messages: str) -> bytes:
    events = [{"id": str(at), "timestamp": 1, "message": message} for at, message in enumerate(messages)]
    return json.dumps({"messageType": "DATA_MESSAGE", "logGroup": "g", "logEvents": events}).encode()


@pytest.mark.parametrize(
    ("kind", "name", "source_format"),
    [("redfish", "Events", "redfish.event"), ("model-registry", "events", "model.registry")],
)
def test_envelopes_of_events_are_taken_apart(kind: str, name: str, source_format: str) -> None:
    events = [{"EventId": "1", "id": "1"}, {"EventId": "2", "id": "2"}]
    pieces = read(kind, json.dumps({"Context": "x", name: events}).encode())
    assert texts(pieces) == [json.dumps(event) for event in events]
    assert formats(pieces) == [source_format] * 2


def test_cloudwatch_holds_records_in_its_messages() -> None:
    trail = '{"eventVersion":"1.08","eventID":"é\\"x"}'
    pieces = read("cloudtrail", subscribed(trail, "no JSON") + subscribed(trail))
    assert texts(pieces) == [trail, trail]
    assert pieces[0] == RawRecord(trail, "aws.cloudtrail", 'é"x')
    ((_, _, reason, text),) = unreadable(pieces)
    assert reason.startswith("holds a message that is not JSON")
    assert '"no JSON"' in text
    flow = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
    assert read("flow-logs", subscribed(flow)) == [RawRecord(flow, "aws.vpcflow")]


# --- lines ---


@pytest.mark.parametrize("chunk", CHUNKS)
def test_lines_end_with_any_line_end_and_blank_ones_are_none(chunk: int) -> None:
    pieces = read("s3-access", b"\xef\xbb\xbfone\ntwo\r\n\r\n\nthree\rfour\xc3\xa9", chunk)
    assert texts(pieces) == ["one", "two", "three", "fouré"]
    assert [piece.open_end for piece in pieces if isinstance(piece, RawRecord)] == [False, False, False, True]


def test_a_line_that_is_not_utf8_is_told_with_its_place() -> None:
    pieces = read("s3-access", b"one\ntw\xff\nthree\n")
    assert texts(pieces) == ["one", "three"]
    assert unreadable(pieces) == [(4, 2, "is not UTF-8", "tw\udcff")]


def test_a_very_long_line_is_passed_over_in_bounded_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b"one\n"
        for _ in range(50):
            yield b"x" * (1 << 20)
        yield b"\ntwo\n"

    (read_pieces,) = [each.read for each in KINDS if each.name == "s3-access"]
    pieces = list(read_pieces(chunks()))
    assert texts(pieces) == ["one", "two"]
    (told,) = [piece for piece in pieces if isinstance(piece, Unreadable)]
    assert (told.position, told.line, told.size) == (4, 2, (50 << 20) + 1)
    assert told.reason == "is longer than 8 MiB; 52,428,801 bytes passed over"


@pytest.mark.parametrize("chunk", CHUNKS)
def test_flow_logs_carry_the_heading_of_their_file(chunk: int) -> None:
    content = b"account-id srcaddr\n1 10.0.0.1\n- -\nversion  srcaddr bytes\n2 10.0.0.2 5\n"
    pieces = read("flow-logs", content, chunk)
    first, second = (("aws.vpcflow.fields", text) for text in ("account-id srcaddr", "version srcaddr bytes"))
    assert [(each.text, each.attributes) for each in pieces if isinstance(each, RawRecord)] == [
        ("1 10.0.0.1", (first,)),
        ("- -", (first,)),
        ("2 10.0.0.2 5", (second,)),
    ]
    assert read("flow-logs", b"2 1 eni-1 ACCEPT OK\n") == [RawRecord("2 1 eni-1 ACCEPT OK", "aws.vpcflow")]


@pytest.mark.parametrize("stray", ["connection reset", "OK", "truncated"])
def test_a_stray_line_of_a_flow_log_is_a_record_and_no_heading(stray: str) -> None:
    flow = "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
    pieces = read("flow-logs", f"{flow}\n{stray}\n{flow}\n".encode())
    assert pieces == [RawRecord(text, "aws.vpcflow") for text in (flow, stray, flow)]


@pytest.mark.parametrize("heading", ["log_status start", "start log-status", "region dstaddr", "bytes packets"])
def test_a_heading_names_a_field_that_a_flow_log_must_have(heading: str) -> None:
    (piece,) = read("flow-logs", f"{heading}\n1 2\n".encode())
    assert isinstance(piece, RawRecord)
    assert piece.attributes == (("aws.vpcflow.fields", heading),)


@pytest.mark.parametrize("chunk", CHUNKS)
def test_a_csv_record_may_go_over_several_lines(chunk: int) -> None:
    one = '2025-01-01 00:00:00.000 UTC,"u","AUDIT: SESSION,1,""x\r\ny"""'
    two = "2025-01-01 00:00:01.000 UTC,v,,"
    assert texts(read("pgaudit", f"{one}\r\n{two}\n".encode(), chunk)) == [one, two]


def test_a_quote_that_is_never_closed_costs_only_its_own_lines() -> None:
    one, two = '2025-01-01 00:00:00.000 UTC,"u"', '2025-01-01 00:00:02.000 UTC,"w"'
    broken = '2025-01-01 00:00:01.000 UTC,"u,\ngoes on'
    pieces = read("pgaudit", f"{one}\n{broken}\n{two}\n{two}\n".encode())
    assert texts(pieces) == [one, two, two]
    assert unreadable(pieces) == [(len(one) + 1, 2, "opens a quote that is never closed", broken)]


# --- lines and JSON in one file ---

SSHD = [
    "Nov 27 09:14:02 bastion-1 sshd[4711]: Accepted publickey for aiko from 203.0.113.9 port 51234 ssh2: ED25519 x",
    "2026-11-27T09:15:40.113257+11:00 b1 sshd-session[47]: Failed password for root from 198.51.100.7 port 2 ssh2",
]
COREDNS = [
    '[INFO] 10.0.1.4:51234 - 4711 "A IN api.example.com. udp 50 false 1232" NOERROR qr,rd,ra 106 0.002s',
    "[INFO] plugin/reload: Running configuration",
]
VLLM = [
    'INFO:     10.0.1.4:51234 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
    '(APIServer pid=87) INFO:     10.0.1.5:40022 - "GET /v1/models HTTP/1.1" 401 Unauthorized',
]


@pytest.mark.parametrize("chunk", CHUNKS)
@pytest.mark.parametrize(
    ("kind", "source_format", "lines"),
    [("vpn", "vpn.session", SSHD), ("dns", "dns.query", COREDNS), ("gateway", "gateway.vllm", VLLM)],
)
def test_lines_and_json_may_stand_in_one_file_in_any_order(
    kind: str, source_format: str, lines: list[str], chunk: int
) -> None:
    entry = '{"id": "i1", "time": "2026-11-27T09:14:02Z"}'
    for mixed in (lines, [entry, *lines, entry], [lines[0], entry, lines[1]]):
        pieces = read(kind, ("\n".join(mixed) + "\n").encode(), chunk)
        assert texts(pieces) == mixed
        assert formats(pieces) == [source_format] * len(mixed)
        read_as_json = [piece for piece in pieces if isinstance(piece, RawRecord) and piece.uid == "i1"]
        assert [piece.time_ns for piece in read_as_json] == [1_795_770_842_000_000_000] * mixed.count(entry)
        named = list(kind_of_format("file", source_format).read(iter([("\n".join(mixed) + "\n").encode()])))
        assert texts(named) == mixed


def test_a_last_line_without_an_end_may_go_on_when_the_file_grows() -> None:
    pieces = read("vpn", "\n".join(SSHD).encode())
    assert [piece.open_end for piece in pieces if isinstance(piece, RawRecord)] == [False, True]


def test_what_is_neither_whole_json_nor_a_readable_line_costs_only_itself() -> None:
    broken = b'{"event": "session.start", "user":'
    pieces = read("vpn", b"\n".join([SSHD[0].encode(), broken, b"caf\xe9", SSHD[1].encode(), b""]))
    assert texts(pieces) == SSHD
    assert [(line, text) for _, line, _, text in unreadable(pieces)] == [(2, broken.decode() + "\n"), (3, "caf\udce9")]


def test_a_very_long_line_among_json_is_passed_over() -> None:
    long = "x" * ((8 << 20) + 1)
    pieces = read("vpn", f'{{"id": "i1"}}\n{long}\n{SSHD[0]}\n'.encode())
    assert texts(pieces) == ['{"id": "i1"}', SSHD[0]]
    (told,) = [piece for piece in pieces if isinstance(piece, Unreadable)]
    assert (told.line, told.size, len(told.text) < 1 << 18) == (2, len(long) + 1, True)
    assert told.reason.startswith("is longer than 8 MiB")


def test_envoys_text_form_is_refused_with_what_to_do() -> None:
    line = (
        '[2026-11-27T09:14:02.113Z] "POST /v1/chat/completions HTTP/1.1" 200 - 154 0 226 100 "10.0.35.28" "-" "-" "-"'
    )
    pieces = read("gateway", f"{VLLM[0]}\n{line}\n{VLLM[1]}\n".encode())
    assert texts(pieces) == VLLM
    ((_, line_number, reason, text),) = unreadable(pieces)
    assert (line_number, text) == (2, line)
    assert "JSON" in reason


# --- any format ---


def test_any_format_is_read_as_json_or_lines() -> None:
    assert formats(list(kind_of_format("file", "vendor.ticket").read(iter([b'{"id": 1}'])))) == ["vendor.ticket"]
    assert formats(list(kind_of_format("file", "my.own").read(iter([b'{"id": 1}\n{"id": 2}'])))) == ["my.own"] * 2
    assert formats(list(kind_of_format("file", "my.own").read(iter([b"a line\n"])))) == ["my.own"]
    with pytest.raises(SettingsError, match="is no source format"):
        kind_of_format("file", "nonsense")


def test_every_command_and_format_is_in_the_page_of_sources() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sources.md").read_text()
    section = page.partition("## Files")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:4] for line in section.splitlines() if line.startswith("| `")]
    told = {
        name: set(re.findall("`([^`]+)`", row[2])) for row in rows for name in re.findall("`([a-z0-9-]+)[^`]*`", row[0])
    }
    assert {*told} == {*(kind.name for kind in KINDS), "cloudtrail-digests", "file"}
    for kind in KINDS:
        assert set(kind.formats) <= told[kind.name], kind.name
