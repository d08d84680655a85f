"""This machine as OpenTelemetry resource attributes: what it knows of itself, and what its operator states.

A cloud is named only where the firmware tables name it, which the hypervisor writes. A region stands nowhere on the
machine, so it is set only where the operator states it: AWS_REGION and the like say where calls go, not where this is.
"""

from __future__ import annotations

import platform
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from onshore_collectors.identity import read_host_id
from onshore_pipeline.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

STATED: Final = "OTEL_RESOURCE_ATTRIBUTES"  # the variable that OpenTelemetry's SDKs read

# Field of the firmware tables → the text that a cloud's hypervisors write there → cloud.provider.
_CLOUDS: Final = {
    "sys_vendor": {"Amazon EC2": "aws", "Alibaba Cloud": "alibaba_cloud"},
    "product_name": {"Google Compute Engine": "gcp"},
    "chassis_asset_tag": {"7783-7084-3265-9085-8269-3286-77": "azure", "OracleCloud.com": "oracle_cloud"},
}
_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64"}


def describe_machine(
    environment: Mapping[str, str], more: Iterable[str] = (), *, firmware: Path = Path("/sys/class/dmi/id")
) -> dict[str, str]:
    """Resource attributes of this machine; what is not known is left out.

    Args:
        environment: read for `OTEL_RESOURCE_ATTRIBUTES`, which wins over what the machine says of itself.
        more: texts like `onshore.source.facility=syd-1`, which win over everything.
        firmware: folder of the firmware tables.

    Raises:
        SettingsError: what the operator states is not `key=value`.
    """
    machine = {
        "host.id": read_host_id(),
        "host.name": socket.gethostname(),
        "host.arch": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "cloud.provider": _cloud(firmware),
        **_operating_system(),
    }
    known = {key: value for key, value in machine.items() if value}
    stated = [part for part in environment.get(STATED, "").split(",") if part.strip()]
    return {**known, **_pairs(stated, STATED, encoded=True), **_pairs(more, "--resource", encoded=False)}


def _operating_system() -> dict[str, str | None]:
    named: dict[str, str] = {}
    if platform.system() == "Linux":
        try:
            named = platform.freedesktop_os_release()
        except OSError:
            named = {}
    return {
        "os.type": platform.system().lower(),
        "os.name": named.get("NAME") or platform.system(),
        "os.version": named.get("VERSION_ID") or platform.release(),
        "os.description": named.get("PRETTY_NAME") or platform.platform(),
    }


def _cloud(firmware: Path) -> str | None:
    for field, clouds in _CLOUDS.items():
        try:
            text = (firmware / field).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            continue
        if text in clouds:
            return clouds[text]
    return None


def _pairs(texts: Iterable[str], setting: str, *, encoded: bool) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not key or not equals:
            raise SettingsError(setting, f"{text!r} is not like onshore.source.facility=syd-1")
        pairs[key] = unquote(value) if encoded else value
    return pairs
