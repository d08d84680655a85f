"""The tenants' tokens: made once for a data directory, remembered there for later plays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from onshore_collectors.receiver.refusals import Refusal
from onshore_collectors.receiver.tenants import TenantRegistry, add_tenant
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import read_secret
from onshore_pipeline.stack import write_private

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from onshore_pipeline.stack import DataDir

FILE_NAME = "demo-tokens.json"


def tokens_in(data: DataDir, tenants: Iterable[str]) -> dict[str, str]:
    """A token for each tenant that the receiver of this data directory knows; new ones are added where needed.

    They are kept in the directory, readable by its owner alone. Raises `SettingsError` when the registry of tenants is
    malformed or cannot be written.
    """
    path = data.path / FILE_NAME
    remembered = _remembered(path)
    registry = TenantRegistry(data.tenants)
    try:
        tokens = {
            tenant: remembered[tenant]
            if _is_known(registry, remembered.get(tenant), tenant)
            else add_tenant(data.tenants, tenant)
            for tenant in tenants
        }
        if tokens != remembered:
            write_private(path, json.dumps(remembered | tokens))
    except OSError as error:
        raise SettingsError("data_dir", f"{error.filename or data.path}: {error.strerror}") from None
    return tokens


def tokens_from_files(named: Sequence[str], tenants: Sequence[str]) -> dict[str, str]:
    """The tokens of `TENANT=FILE` arguments.

    Raises:
        SettingsError: an argument is malformed, a file cannot be read, or a tenant has none while another has.
    """
    tokens: dict[str, str] = {}
    for argument in named:
        tenant, separator, file = argument.partition("=")
        if not separator or tenant not in tenants:
            raise SettingsError("--token", f"{argument!r} is not TENANT=FILE with one of {', '.join(tenants)}")
        tokens[tenant] = _checked(read_secret(Path(file), "--token").decode("utf-8", "replace"), file)
    missing = [tenant for tenant in tenants if tenant not in tokens]
    if tokens and missing:
        raise SettingsError("--token", f"is missing for {', '.join(missing)}; name all tenants or none")
    return tokens


def _remembered(path: Path) -> dict[str, str]:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: token for name, token in told.items() if isinstance(token, str)} if isinstance(told, dict) else {}


def _is_known(registry: TenantRegistry, token: str | None, tenant: str) -> bool:
    if token is None:
        return False
    try:
        return registry.tenant_of(f"Bearer {token}") == tenant
    except Refusal:
        return False


def _checked(token: str, file: str) -> str:
    bare = token.strip()
    if not bare or not bare.isascii() or not bare.isprintable() or " " in bare:
        raise SettingsError("--token", f"{file} does not hold a token as `onshore tenants add` prints it")
    return bare
