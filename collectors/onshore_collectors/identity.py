"""Who sends: resource attributes under their OpenTelemetry names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def read_host_id(machine_id: Path = Path("/etc/machine-id")) -> str | None:
    """What OpenTelemetry calls `host.id` on Linux: the machine id; None where there is none."""
    try:
        return machine_id.read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def build_resource(
    service_name: str,
    *,
    collector_id: str | None = None,
    host_id: str | None = None,
    host_name: str | None = None,
    cloud_provider: str | None = None,
    cloud_region: str | None = None,
    cloud_account_id: str | None = None,
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Resource attributes under their OpenTelemetry names; what is None is left out, never guessed."""
    named = {
        "service.name": service_name,
        "onshore.collector.id": collector_id,
        "host.id": host_id,
        "host.name": host_name,
        "cloud.provider": cloud_provider,
        "cloud.region": cloud_region,
        "cloud.account.id": cloud_account_id,
        **(more or {}),
    }
    return {key: value for key, value in named.items() if value is not None}
