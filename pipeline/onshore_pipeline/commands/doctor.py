"""`onshore doctor`: is this machine fit to run Onshore?"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import socket
import sys
from dataclasses import asdict, dataclass
from typing import Final

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.settings import load_settings

_PACKAGES: Final = (
    "chdb-core", "clickhouse-connect", "crc32c", "grpcio", "iptocc", "kafka-python", "lz4", "opentelemetry-sdk",
    "polars", "polars-hash", "ptars", "pyarrow", "sqlglot", "starlette", "streamlit", "uvicorn", "zstandard",
)  # fmt: skip
_PORTS: Final = {"OTLP over HTTP": 4318, "OTLP over gRPC": 4317, "store": 8123, "dashboard": 8501}
_FREE_BYTES: Final = 5 * 1024**3


@dataclass(frozen=True, slots=True)
class Check:
    """One look at the machine; `remedy` is empty when it is good."""

    name: str
    good: bool
    found: str
    remedy: str = ""


def doctor(data_dir: DataDirOption = None, as_json: JsonOption = False) -> int:
    """Check Python, packages, ports, disk and location data; exit 1 when something would not work."""
    settings = load_settings({"data_dir": data_dir})
    checks = [_python(), *_packages(), *_ports(), _disk(str(settings.data_dir.absolute().parent))]
    geoip = (settings.geoip_dir / "geoip" / "geoip").parent
    found = any((folder / "geoip").is_file() for folder in (geoip, settings.geoip_dir))
    checks.append(
        Check("location data", True, str(settings.geoip_dir) if found else "not found", "" if found else _NO_GEOIP)
    )
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks]))
    else:
        for check in checks:
            typer.echo(f"{'ok ' if check.good else 'BAD'}  {check.name:<22} {check.found}  {check.remedy}".rstrip())
    return 0 if all(check.good for check in checks) else 1


_NO_GEOIP: Final = "optional: Debian's tor-geoipdb places addresses inside clouds; without it they stay unknown"


def _python() -> Check:
    found = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check("Python", good, found, "" if good else "install Python 3.11, 3.12 or 3.13")


def _packages() -> list[Check]:
    checks = []
    for package in _PACKAGES:
        try:
            checks.append(Check(package, True, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            checks.append(Check(package, False, "missing", f"pip install {package}"))
    return checks


def _ports() -> list[Check]:
    checks = []
    for name, port in _PORTS.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                checks.append(Check(f"port {port} ({name})", True, "free"))
            except OSError:
                checks.append(
                    Check(f"port {port} ({name})", True, "in use", "by a running stack? else pick another port")
                )
    return checks


def _disk(folder: str) -> Check:
    while not os.path.isdir(folder):  # noqa: PTH112 - walks up a path that may not exist
        folder = os.path.dirname(folder)  # noqa: PTH120
    free = shutil.disk_usage(folder).free
    good = free >= _FREE_BYTES
    return Check("free disk", good, f"{free / 1024**3:.0f} GiB in {folder}", "" if good else "free at least 5 GiB")
