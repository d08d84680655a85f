"""The scenario as data: tenants, and templates of events with the verdicts that the controls' texts demand for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from onshore_collectors.demo.scenario.data_movement import EVERYDAY_MOVEMENTS
from onshore_collectors.demo.scenario.infrastructure import INFRASTRUCTURE
from onshore_collectors.demo.scenario.laws_of_access import LAWS_OF_ACCESS
from onshore_collectors.demo.scenario.laws_of_data import LAWS_OF_DATA
from onshore_collectors.demo.scenario.model_access import MODEL_ACCESS
from onshore_collectors.demo.scenario.planted_movements import PLANTED_MOVEMENTS
from onshore_collectors.demo.scenario.tenants import TENANTS

if TYPE_CHECKING:
    from onshore_collectors.demo.scenario.template import Template

TEMPLATES: Final[tuple[Template, ...]] = (
    *(*MODEL_ACCESS, *EVERYDAY_MOVEMENTS, *PLANTED_MOVEMENTS, *INFRASTRUCTURE),
    *(*LAWS_OF_DATA, *LAWS_OF_ACCESS),
)

__all__ = ["TEMPLATES", "TENANTS"]
