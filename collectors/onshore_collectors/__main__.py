"""`python -m onshore_collectors`: what `onshore collect`, `demo`, `tenants` and `bench read|collect` hand over to."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from onshore_pipeline.errors import OnshoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

WRONG, COULD_NOT, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 done and good, 1 done and something is wrong, 2 could not be done, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    try:
        return _run([argument for argument in given if argument != "--debug"])
    except (OnshoreError, ModuleNotFoundError) as error:
        if debug:
            raise
        sys.stderr.write(f"onshore: {_explain(error)}\n")
        return COULD_NOT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COULD_NOT


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["demo"]:
        from onshore_collectors.demo.command import run

        return run(arguments[1:])
    from typer.exceptions import Abort, TyperException

    from onshore_collectors.commands import app

    try:
        code = app(arguments, prog_name="onshore", standalone_mode=False)
    except Abort:
        return INTERRUPTED
    except TyperException as error:
        command = " ".join(["onshore", *(word for word in arguments[:2] if not word.startswith("-"))])
        raise OnshoreError(f"{error.format_message()} (`{command} --help` says what there is)") from None
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        if (error.name or "").startswith("onshore_"):
            return f"this installation lacks {error.name}"
        return f"the package {error.name} is missing; install it with pip install 'onshore[collectors]'"
    return str(error)


if __name__ == "__main__":
    sys.exit(main())
