"""One judgement that these tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from demo_judgement import shipped_judgement

if TYPE_CHECKING:
    from onshore_pipeline.assess import Judgement


@pytest.fixture(scope="session")
def judgement() -> Judgement:
    """The shipped controls and registries."""
    return shipped_judgement()
