"""Registries that somebody edits while a stack runs: in force without a restart, recorded once, with their effect."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any, Final

from running_stack import run_onshore, running_stack

if TYPE_CHECKING:
    from pathlib import Path

    from running_stack import RunningStack

CHANGES: Final = "SELECT count() FROM message_actions_current WHERE action = 'context.change'"
STATES: Final = "SELECT count() FROM events_current WHERE action = 'host.state' AND tenant = {tenant:String}"
PLACE: Final = """
SELECT ifNull(toString(source_country), ''), toString(source_country_basis) FROM events_current
WHERE action = 'host.state' AND tenant = {tenant:String}
"""


def test_a_machine_is_observed_where_the_collector_with_its_token_sits_and_every_change_is_recorded(
    tmp_path: Path,
) -> None:
    context = tmp_path / "context"
    context.mkdir()
    with running_stack(tmp_path / "stack", "--no-dashboard", ONSHORE_CONTEXT_DIR=str(context)) as stack:
        assert place_of(stack, "before", "--collector", "syd-1/host")[1] != "observed"
        (context / "collectors.yaml").write_text(
            f"- {{collector: syd-1/host, host: {socket.gethostname()}, facility: SYD1}}\n"
            "- {collector: mel-1/host, host: another-machine, country: AU}\n"
        )
        (context / "facilities.yaml").write_text("- {facility: SYD1, country: AU}\n")
        stack.wait_for(CHANGES, 1)
        assert place_of(stack, "bound", "--collector", "syd-1/host") == ("AU", "observed")
        forged = ("--resource", "onshore.collector.id=syd-1/host", "--resource", "onshore-sensor=syd-1/host")
        assert place_of(stack, "plain", collect=forged)[1] != "observed"
        assert place_of(stack, "another", "--collector", "mel-1/host", collect=forged)[1] != "observed"
        (context / "facilities.yaml").write_text("- {facility: SYD1, country: AU, administered_from: [AU, IN]}\n")
        stack.wait_for(CHANGES, 2)
        first, second = history(stack)
        assert first["rows"]["collectors"]["added"]["ids"] == ["mel-1/host", "syd-1/host"]
        assert second["rows"]["facilities"]["changed"]["ids"] == ["syd1"]
        assert second["who"].startswith("worker ")
        assert stack.one(CHANGES) == 2


def place_of(stack: RunningStack, tenant: str, *bound: str, collect: tuple[str, ...] = ()) -> tuple[str, str]:
    """Where this machine is, sent by `onshore collect host` with a token of the tenant: country and basis."""
    here = ("--data-dir", str(stack.data_dir))
    added = run_onshore(stack.folder, "tenants", "add", tenant, *bound, *here, "--json")
    assert added.returncode == 0, added.stderr
    token = stack.folder / f"{tenant}.token"
    token.write_text(json.loads(added.stdout)["token"])
    token.chmod(0o600)
    sent = run_onshore(stack.folder, "collect", "host", "--once", "--token-file", str(token), *collect, *here)
    assert sent.returncode == 0, sent.stderr
    stack.wait_for(STATES, 1, tenant=tenant)
    ((country, basis),) = stack.rows(PLACE, tenant=tenant)
    return country, basis


def history(stack: RunningStack) -> list[dict[str, Any]]:
    done = run_onshore(stack.folder, "context", "history", "--data-dir", str(stack.data_dir), "--json")
    assert done.returncode == 0, done.stderr
    return list(json.loads(done.stdout)["changes"])
