from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_collectors.demo.target import find_target
from onshore_collectors.demo.tokens import FILE_NAME, tokens_from_files, tokens_in
from onshore_collectors.receiver.tenants import TenantRegistry
from onshore_pipeline.errors import OnshoreError, SettingsError
from onshore_pipeline.stack import DataDir

if TYPE_CHECKING:
    from pathlib import Path

TENANTS = ("north", "south")


@pytest.fixture
def data(tmp_path: Path) -> DataDir:
    directory = DataDir(tmp_path / "data")
    directory.make()
    return directory


def test_each_tenant_gets_a_token_that_the_receiver_knows(data: DataDir) -> None:
    tokens = tokens_in(data, TENANTS)
    registry = TenantRegistry(data.tenants)
    assert {name: registry.tenant_of(f"Bearer {token}") for name, token in tokens.items()} == {
        "north": "north",
        "south": "south",
    }


def test_tokens_are_remembered_where_only_their_owner_can_read_them(data: DataDir) -> None:
    tokens = tokens_in(data, TENANTS)
    before = data.tenants.read_text()
    assert tokens_in(data, TENANTS) == tokens
    assert data.tenants.read_text() == before
    assert (data.path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_a_token_that_the_receiver_forgot_is_replaced(data: DataDir) -> None:
    tokens = tokens_in(data, TENANTS)
    data.tenants.unlink()
    fresh = tokens_in(data, TENANTS)
    assert set(fresh.values()).isdisjoint(tokens.values())
    assert tokens_in(data, TENANTS) == fresh


def test_a_damaged_memory_is_written_anew(data: DataDir) -> None:
    (data.path / FILE_NAME).write_text("[")
    assert set(tokens_in(data, TENANTS)) == set(TENANTS)


def test_tokens_may_come_from_files(tmp_path: Path) -> None:
    for name in TENANTS:
        (tmp_path / name).write_text(f"token-of-{name}\n")
    named = [f"{name}={tmp_path / name}" for name in TENANTS]
    assert tokens_from_files(named, TENANTS) == {"north": "token-of-north", "south": "token-of-south"}


@pytest.mark.parametrize(
    ("named", "why"),
    [
        (["north"], "is not TENANT=FILE"),
        (["west=/etc/hostname"], "with one of north, south"),
        (["north=/nowhere"], "/nowhere"),
        (["north={good}"], "is missing for south"),
        (["north={bad}"], "does not hold a token"),
    ],
)
def test_unusable_token_arguments_are_named(tmp_path: Path, named: list[str], why: str) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text("token")
    bad.write_text("two words")
    with pytest.raises(SettingsError, match=why):
        tokens_from_files([text.format(good=good, bad=bad) for text in named], TENANTS)


def test_an_address_alone_makes_the_sender_the_default_tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target = find_target("http://127.0.0.1:4318/", (), None, TENANTS)
    assert (target.endpoint, dict(target.tokens), target.stored_as("north")) == ("http://127.0.0.1:4318", {}, "default")


def test_an_address_and_a_data_directory_give_the_tenants_their_own_tokens(data: DataDir) -> None:
    target = find_target("http://127.0.0.1:4318", (), data.path, TENANTS)
    assert target.stored_as("north") == "north"
    assert "Bearer" not in repr(target)
    assert target.tokens["north"] not in repr(target)


def test_the_running_stacks_own_address_finds_its_data_directory(
    data: DataDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data.path.rename(".onshore")
    (tmp_path / ".onshore" / "stack.json").write_text(
        '{"otlp_http": "http://127.0.0.1:4318", "dashboard": "http://127.0.0.1:8501"}'
    )
    target = find_target("http://127.0.0.1:4318", (), None, TENANTS)
    assert (target.stored_as("south"), target.dashboard) == ("south", "http://127.0.0.1:8501")
    elsewhere = find_target("http://127.0.0.1:4319", (), None, TENANTS)
    assert (elsewhere.stored_as("south"), elsewhere.dashboard) == ("default", "")


def test_without_a_stack_the_error_says_how_to_name_a_receiver(tmp_path: Path) -> None:
    with pytest.raises(OnshoreError, match=r"run `onshore up`.*--otlp"):
        find_target(None, (), tmp_path / "nothing", TENANTS)
