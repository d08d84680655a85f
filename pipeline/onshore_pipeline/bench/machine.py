"""What a figure was measured on: without it a figure says nothing."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import psutil

_LIBRARIES: Final = (
    "onshore", "chdb-core", "clickhouse-connect", "kafka-python", "numba", "numpy", "opentelemetry-proto", "polars",
    "protobuf", "ptars", "pyarrow",
)  # fmt: skip
_GIT_WITHIN_S: Final = 10.0


def machine() -> dict[str, Any]:
    """Processor, cores, memory, versions, date and commit of this run."""
    return {
        "processor": _processor(),
        "cores": len(psutil.Process().cpu_affinity() if hasattr(psutil.Process, "cpu_affinity") else [])
        or os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: metadata.version(name) for name in _LIBRARIES},
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    """The checkout's commit, with a + where files differ from it; None where this is no checkout."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"],  # noqa: S607 - the one on the path
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=_GIT_WITHIN_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
