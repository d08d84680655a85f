"""`onshore status`: health and lag of the running stack."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

import typer

from onshore_pipeline.commands.options import DataDirOption, JsonOption
from onshore_pipeline.settings import Settings, load_settings
from onshore_pipeline.stack import DataDir, store_address

_FRESH_S: Final = 10.0


def status(data_dir: DataDirOption = None, as_json: JsonOption = False) -> int:
    """Say what is stored, how far the worker is behind, and what needs attention; exit 1 if something does."""
    settings = load_settings({"data_dir": data_dir})
    report = {**_stored(settings), **_worker(settings)}
    attention = _attention(report)
    if as_json:
        typer.echo(json.dumps({**report, "attention": attention}))
    else:
        for name, value in report.items():
            shown = f"{value:,}" if isinstance(value, int) else value
            typer.echo(f"{name.replace('_', ' '):<24} {shown}")
        for line in attention:
            typer.echo(f"ATTENTION: {line}")
    return 1 if attention else 0


def _stored(settings: Settings) -> dict[str, Any]:
    from onshore_pipeline.store.reader import Reader

    address = store_address(settings, writing=False)
    reader = Reader(address.url, address.user, address.password)
    row = reader.frame(
        "SELECT count() AS messages, sum(records) AS records, sum(events) AS events,"
        " sum(dead_lettered) AS dead_lettered, toString(max(appended_at)) AS last_commit FROM evidence_log"
        " WHERE kind = 'message'"
    ).row(0, named=True)
    findings = reader.frame("SELECT count() AS findings FROM findings").row(0, named=True)
    return {name: value if isinstance(value, str) else int(value or 0) for name, value in {**row, **findings}.items()}


def _worker(settings: Settings) -> dict[str, Any]:
    path = DataDir(settings.data_dir).worker_status
    if not path.exists():
        return {"worker": "never heard of", "waiting_messages": 0, "worker_silent_s": 0}
    said = json.loads(path.read_text())
    waiting = sum(part["end_offset"] - part["next_offset"] for part in said["lag"])
    silent = (datetime.now(UTC) - datetime.fromisoformat(said["at"])).total_seconds()
    return {
        "worker": "running" if silent < _FRESH_S else "silent",
        "waiting_messages": waiting,
        "worker_silent_s": int(silent),
    }


def _attention(report: dict[str, Any]) -> list[str]:
    found = []
    if report["worker"] != "running":
        found.append(f"the worker is {report['worker']} ({report['worker_silent_s']} s)")
    if report["dead_lettered"]:
        found.append(f"{report['dead_lettered']:,} records could not be read and are dead letters")
    return found
