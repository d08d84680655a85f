"""The data directory's lock, and what a command says that finds it held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from onshore_pipeline.embedded.data_lock import StackRefused, locked
from onshore_pipeline.errors import SettingsError
from onshore_pipeline.settings import load_settings
from onshore_pipeline.stack import DataDir, running_stack

if TYPE_CHECKING:
    from pathlib import Path


def test_a_stack_that_is_not_ready_yet_is_no_stack_that_was_never_started(tmp_path: Path) -> None:
    settings, data = load_settings({"data_dir": tmp_path}), DataDir(tmp_path)
    with pytest.raises(SettingsError, match="no stack was started"):
        running_stack(settings)
    data.make()
    with locked(data, print), pytest.raises(SettingsError, match="is starting or stopping; ask again"):
        running_stack(settings)
    with pytest.raises(SettingsError, match="no stack was started"):
        running_stack(settings)


def test_asking_does_not_keep_a_stack_from_starting(tmp_path: Path) -> None:
    data = DataDir(tmp_path)
    data.make()
    with locked(data, print):
        with pytest.raises(SettingsError):
            running_stack(load_settings({"data_dir": tmp_path}))
        with pytest.raises(StackRefused, match="is used by another"), locked(data, print):
            pass
    with locked(data, print):
        pass
