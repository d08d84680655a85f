from __future__ import annotations

import hashlib
import json
import stat
from typing import TYPE_CHECKING

import pytest

from onshore_collectors.receiver.refusals import Refusal
from onshore_collectors.receiver.tenants import Sender, TenantRegistry, add_tenant
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "conf" / "tenants.json"


def test_a_sender_without_a_token_is_the_default_tenant_unless_tokens_are_required(path: Path) -> None:
    assert TenantRegistry(path).tenant_of(None) == "default"
    assert TenantRegistry(None).tenant_of(None) == "default"
    with pytest.raises(Refusal, match="onshore tenants add"):
        TenantRegistry(path, require_token=True).tenant_of(None)


def test_a_token_stands_for_its_tenant_and_is_stored_nowhere(path: Path) -> None:
    tokens = {name: add_tenant(path, name) for name in ("sydney", "tokyo-1")}
    registry = TenantRegistry(path)
    assert {name: registry.tenant_of(f"Bearer {token}") for name, token in tokens.items()} == {
        "sydney": "sydney",
        "tokyo-1": "tokyo-1",
    }
    text = path.read_text()
    assert not any(token in text for token in tokens.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["tenants.json", "tenants.json.lock"]


def test_a_tenant_may_have_two_tokens_while_one_is_exchanged(path: Path) -> None:
    old, new = add_tenant(path, "sydney"), add_tenant(path, "sydney")
    registry = TenantRegistry(path)
    assert [registry.tenant_of(f"Bearer {token}") for token in (old, new)] == ["sydney", "sydney"]


def test_a_token_may_be_that_of_one_collector_and_names_it(path: Path) -> None:
    plain, bound = add_tenant(path, "sydney"), add_tenant(path, "sydney", collector="syd-1/host")
    registry = TenantRegistry(path)
    assert registry.sender_of(f"Bearer {plain}") == Sender("sydney")
    assert registry.sender_of(f"Bearer {bound}") == Sender("sydney", "syd-1/host")
    assert registry.sender_of(None).collector == ""
    with pytest.raises(SettingsError, match="'Syd 1' is not a name"):
        add_tenant(path, "sydney", collector="Syd 1")


@pytest.mark.parametrize("authorization", ["Bearer nobody", "Bearer", "Bearer ", "", "Basic YTpi", "Bearer \udcff"])
def test_what_stands_for_no_tenant_is_refused(path: Path, authorization: str) -> None:
    add_tenant(path, "sydney")
    with pytest.raises(Refusal) as refused:
        TenantRegistry(path).tenant_of(authorization)
    assert refused.value.http == 401


def test_a_changed_registry_is_read_again(path: Path) -> None:
    registry = TenantRegistry(path)
    token = add_tenant(path, "sydney")
    assert registry.tenant_of(f"Bearer {token}") == "sydney"
    path.unlink()
    with pytest.raises(Refusal):
        registry.tenant_of(f"Bearer {token}")


def test_a_registry_damaged_later_leaves_the_tenants_known_before(path: Path) -> None:
    token = add_tenant(path, "sydney")
    registry = TenantRegistry(path)
    path.write_text("{")
    assert registry.tenant_of(f"Bearer {token}") == "sydney"


DIGEST = hashlib.sha256(b"token").hexdigest()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "not JSON"),
        ("[]", "not JSON like"),
        ('{"tenants": 7}', "not a list"),
        ('{"tenants": [7]}', "entry 1"),
        (json.dumps({"tenants": [{"name": "a", "token_sha256": DIGEST}, {"name": "b"}]}), "entry 2"),
        (json.dumps({"tenants": [{"name": "Sydney!", "token_sha256": DIGEST}]}), "'Sydney!' is not a tenant's name"),
        (json.dumps({"tenants": [{"name": "a", "token_sha256": "abc"}]}), "64 lower-case hexadecimal digits"),
    ],
)
def test_a_malformed_registry_is_an_error_that_names_file_and_entry(path: Path, content: str, why: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(SettingsError, match=why) as error:
        TenantRegistry(path)
    assert str(path) in str(error.value)
    with pytest.raises(SettingsError):
        add_tenant(path, "sydney")
    assert path.read_text() == content


@pytest.mark.parametrize("name", ["", "Sydney", "a b", "-a", "a" * 64, "é", "a\n"])
def test_a_name_that_would_not_survive_headers_and_files_is_refused(path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match="tenant"):
        add_tenant(path, name)
    assert not path.exists()
