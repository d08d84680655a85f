"""Commands whose code is another deployable part: they replace this process."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any, Final, NoReturn

import typer

from onshore_pipeline.errors import OnshoreError

PASS_ON: Final[dict[str, Any]] = {"allow_extra_args": True, "ignore_unknown_options": True}
HELP: Final = {
    "demo": "Play a sovereign AI factory with planted violations; the truth goes to --truth FILE.",
    "collect": "Collect from this machine (host, sockets) or from files (cloudtrail).",
    "tenants": "Tenants and their tokens: add NAME, list.",
}


def whole(arguments: list[str], *, debug: bool) -> list[str]:
    """The arguments of our own parser, such that another part's command arrives there as it was typed.

    A first `--` ends our options; what follows, a `--` of the other part's included, is left alone.
    """
    if arguments[:1] and arguments[0] in HELP:
        return [arguments[0], "--", *(["--debug"] if debug else []), *arguments[1:]]
    return arguments


def collectors(context: typer.Context) -> None:
    """Hand the command line over to `python -m onshore_collectors`."""
    hand_over([context.info_name or "", *context.args])


def hand_over(arguments: list[str]) -> NoReturn:
    """Become `python -m onshore_collectors` with these arguments. Raises `OnshoreError` where it is not installed."""
    if importlib.util.find_spec("onshore_collectors") is None:
        raise OnshoreError("the collectors are not installed; pip install 'onshore[collectors]'")
    os.execv(sys.executable, [sys.executable, "-m", "onshore_collectors", *arguments])  # noqa: S606 - no shell
