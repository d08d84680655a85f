"""`onshore dead-letters list` and `show` on a real store."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

import otlp_messages as otlp
from embedded_pipeline import Pipeline, running_pipeline
from onshore_pipeline.__main__ import app
from onshore_pipeline.broker import Outgoing
from onshore_pipeline.errors import OnshoreError
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BROKEN = b"\x0anothing that is OTLP \xff\x00"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with running_pipeline(tmp_path_factory.mktemp("letters")) as running:
        announce(running)
        yield running


def announce(pipeline: Pipeline) -> None:
    """Leave the addresses where commands look for them, as `onshore up` does."""
    data = DataDir(pipeline.settings.data_dir)
    reader = json.loads(data.credentials.read_text())["reader"]
    addresses = {"store": pipeline.url, "store_user": reader["user"], "store_password": reader["password"]}
    data.stack.write_text(json.dumps(addresses))


class Commands:
    def __init__(self, pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
        self._pipeline, self._capsys = pipeline, capsys

    def text(self, *arguments: str) -> str:
        here = ("--data-dir", str(self._pipeline.settings.data_dir))
        self._capsys.readouterr()
        app(["dead-letters", *arguments, *here], standalone_mode=False)
        return self._capsys.readouterr().out

    def json(self, *arguments: str) -> Any:
        return json.loads(self.text(*arguments, "--json"))


@pytest.fixture
def run(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> Commands:
    return Commands(pipeline, capsys)


def dead_letter(pipeline: Pipeline, *, tenant: str, value: bytes = BROKEN) -> None:
    """One letter of a tenant of its own."""
    pipeline.send("otlp_logs", [otlp.logs([otlp.movement()]), value], tenant=tenant)
    pipeline.work()
    pipeline.sequence()


def test_without_dead_letters_it_says_so_and_how_to_see_closed_ones(run: Commands) -> None:
    assert "no open dead letters" in run.text("list", "--tenant", "nobody")
    assert "--state all" in run.text("list", "--tenant", "nobody")
    assert run.json("list", "--tenant", "nobody") == []


def test_a_letter_is_listed_and_shown_with_bytes_and_headers(pipeline: Pipeline, run: Commands, tmp_path: Path) -> None:
    tenant = uuid4().hex
    dead_letter(pipeline, tenant=tenant)
    (listed,) = run.json("list", "--tenant", tenant)
    assert (listed["state"], listed["stage"], listed["topic"], listed["records"]) == ("open", "decode", "otlp_logs", 1)
    assert (listed["record_indexes"], listed["closed_at"]) == ([], None)
    assert listed["id"][:8] in run.text("list", "--tenant", tenant)
    shown = run.json("show", listed["id"][:13], "--payload", str(tmp_path / "bytes"))
    assert (tmp_path / "bytes").read_bytes() == BROKEN
    assert shown["headers"] == [["onshore-tenant", tenant]]
    assert (shown["clock"], shown["headers_trusted"], shown["actions"]) == ("broker", True, [])
    assert "the whole message" in run.text("show", listed["id"])


def test_filters_leave_out_what_is_not_meant(pipeline: Pipeline, run: Commands) -> None:
    tenant = uuid4().hex
    dead_letter(pipeline, tenant=tenant)
    for found in (
        ("--reason-like", "READABLE"), ("--reason-like", "not%otlp%"), ("--stage", "decode"), ("--since", "10m"),
        ("--topic", "otlp_logs"), ("--state", "all"), ("--since", "2020-01-01T00:00Z"), ("--limit", "1"),
    ):  # fmt: skip
        assert len(run.json("list", "--tenant", tenant, *found)) == 1, found
    for missed in (
        ("--reason-like", "readable"[::-1]), ("--stage", "judge"), ("--since", "2999-01-01"),
        ("--topic", "otlp_spans"), ("--state", "discarded"),
    ):  # fmt: skip
        assert run.json("list", "--tenant", tenant, *missed) == [], missed


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("list", "--since", "yesterday"), "--since 'yesterday'"),
        (("list", "--stage", "reading"), "--stage reading"),
        (("list", "--state", "shut"), "--state shut"),
        (("show", "nonsense"), "'nonsense' is no id"),
        (("show", "0000000000"), "no dead letter 0000000000"),
    ],
)
def test_what_means_nothing_is_refused_by_name(run: Commands, arguments: tuple[str, ...], named: str) -> None:
    with pytest.raises(OnshoreError, match=named.replace("(", r"\(")):
        run.text(*arguments)


def test_headers_that_are_no_text_are_kept_byte_for_byte(pipeline: Pipeline) -> None:
    from onshore_pipeline import assembly
    from onshore_pipeline.jobs.letters import portions
    from onshore_pipeline.jobs.wanted_letters import Wanted, ids
    from onshore_pipeline.store.reader import Reader

    mark = uuid4().hex
    headers = (("onshore-tenant", mark.encode()), ("übung", bytes(range(256))), ("übung", b""))
    producer = assembly.local_log(pipeline.settings).producer()
    producer.send("otlp_spans", [Outgoing(BROKEN, headers)])
    producer.close()
    pipeline.work()
    pipeline.sequence()
    writer = json.loads(DataDir(pipeline.settings.data_dir).credentials.read_text())["writer"]
    reader = Reader(pipeline.url, writer["user"], writer["password"])
    ((letter,),) = portions(reader, ids(reader, Wanted(tenant=mark)))
    assert (letter.message.headers, letter.message.value, letter.message.topic) == (headers, BROKEN, "otlp_spans")
    assert (letter.indexes, letter.trusted, letter.records, letter.state) == (None, True, 1, "open")
