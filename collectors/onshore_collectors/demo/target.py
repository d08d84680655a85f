"""Where a play is sent, and by whose tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.tokens import tokens_from_files, tokens_in
from onshore_collectors.receiver.tenants import DEFAULT_TENANT
from onshore_collectors.stack_address import endpoint_of
from onshore_pipeline.errors import OnshoreError, SettingsError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir, running_stack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_NO_DASHBOARD: Final = ""


@dataclass(frozen=True, slots=True)
class Target:
    """A receiver and who we are there.

    Attributes:
        endpoint: base address of the receiver.
        tokens: tenant → bearer token; empty: everything is sent without one.
        dashboard: the stack's dashboard, '' where there is none or it is not known.
    """

    endpoint: str
    tokens: Mapping[str, str]
    dashboard: str = _NO_DASHBOARD

    def __repr__(self) -> str:
        """Without the tokens."""
        return f"Target({self.endpoint}, {len(self.tokens)} tenants)"

    def stored_as(self, tenant: str) -> str:
        """The name that the store will know the tenant by: senders without a token are one tenant together."""
        return tenant if tenant in self.tokens else DEFAULT_TENANT


def find_target(otlp: str | None, token_files: Sequence[str], data_dir: Path | None, tenants: Sequence[str]) -> Target:
    """The receiver at `otlp`, else the one of the stack that runs in the data directory.

    Tenants get tokens of their own where the data directory is at hand: it was named, or its stack's receiver is the
    one at `otlp`. Elsewhere `token_files` (TENANT=FILE) count, and without them the sender is the tenant `default`.

    Raises:
        SettingsError: the address, a token or the data directory is unusable.
        OnshoreError: no address was given and no stack runs in the data directory.
    """
    if otlp is not None:
        endpoint_of(otlp)
    settings = load_settings({"data_dir": data_dir})
    try:
        stack = running_stack(settings)
    except SettingsError as error:
        if error.name != "data_dir":
            raise
        if otlp is None:
            raise OnshoreError(f"{error.why}; a receiver elsewhere is named with --otlp http://HOST:4318") from None
        stack = {}
    endpoint = (otlp or str(stack["otlp_http"])).rstrip("/")
    is_ours = data_dir is not None or endpoint == str(stack.get("otlp_http", "")).rstrip("/")
    dashboard = str(stack.get("dashboard", _NO_DASHBOARD)) if is_ours else _NO_DASHBOARD
    if is_ours and not token_files:
        return Target(endpoint, tokens_in(DataDir(settings.data_dir), tenants), dashboard)
    return Target(endpoint, tokens_from_files(token_files, tenants), dashboard)
