"""`onshore up`: everything on one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from onshore_pipeline.commands.options import DataDirOption, FailpointOption
from onshore_pipeline.failpoints import at_failpoint
from onshore_pipeline.settings import Settings, load_settings, refuse_unsupported


def up(
    data_dir: DataDirOption = None,
    ready_file: Annotated[Path | None, typer.Option(help="Written (mode 0600) when every part answers")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Play the demo factory once everything runs")] = False,
    no_dashboard: Annotated[bool, typer.Option("--no-dashboard", help="Leave the dashboard out")] = False,
    otlp_http_port: Annotated[int, typer.Option(min=0, max=65535)] = 4318,
    otlp_grpc_port: Annotated[int, typer.Option(min=0, max=65535)] = 4317,
    store_port: Annotated[int, typer.Option(min=0, max=65535)] = 8123,
    dashboard_port: Annotated[int, typer.Option(min=0, max=65535)] = 8501,
    failpoint: FailpointOption = None,
) -> None:
    """Start store, receiver, worker, sequencer and dashboard on 127.0.0.1 and keep them running; port 0 picks one."""
    from onshore_pipeline.embedded.supervisor import Ports, UpOptions, run_stack

    settings = load_settings({"data_dir": data_dir})
    refuse_unsupported(settings)
    at_failpoint(failpoint)  # says so here too, where it is seen
    _refuse_unusable_key(settings)
    ports = Ports(otlp_http_port, otlp_grpc_port, store_port, dashboard_port)
    kafka = bool(settings.kafka_bootstrap_servers)
    options = UpOptions(
        settings.data_dir, ports, ready_file, dashboard=not no_dashboard, demo=demo, kafka=kafka, failpoint=failpoint
    )
    run_stack(options, lambda line: print(line, flush=True))  # noqa: T201 - progress for people


def _refuse_unusable_key(settings: Settings) -> None:
    """Stop before anything starts where heads could not be signed; a key that is missing is made by the stack."""
    from onshore_pipeline.signing_key import key_path, makes_own_key, read_keyring

    if key_path(settings).exists() or not makes_own_key(settings):
        read_keyring(settings)
    else:
        print(f"no signing key yet: one is made in {key_path(settings)}; `onshore keys show` prints what to check with")  # noqa: T201
