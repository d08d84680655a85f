"""A control that looks at more than one event, made ready to run.

What single events say (whether one is in scope, is a step, lacks a fact) is asked in either engine by the texts that
every control is made of; what they amount to together is worked out from the few columns that this leaves.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Final

from onshore_pipeline.controls.compiled import ALWAYS, Compiled, Span, compile_conditions
from onshore_pipeline.controls.condition import TYPE_OF_KIND, Column, Truth, Type, conjunction
from onshore_pipeline.domain.event import COLUMNS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from onshore_pipeline.controls.aggregates import WindowCondition
    from onshore_pipeline.controls.condition import Condition
    from onshore_pipeline.domain.control import Control, Windowed

# What an undetermined verdict lacks while messages wait that may hold what decides it.
WAITING: Final = "messages wait"


@dataclass(frozen=True, slots=True)
class WindowedControl:
    """A windowed, sequence or absence control.

    Attributes:
        roles: what an event can be to it: in a window (one role), one of the steps, or what should keep coming. Each is
            a control of single events that `applies` to the events of that role.
        key: the columns that events have in common.
        values: the columns that enter the aggregates, each once.
        condition: a window's `violated`; None for the others.
        rule: SHA-256 over all that decides its verdicts, hexadecimal. Facts of another rule are none of its.
        span: when what this text judges begins: another may come before or behind it.
    """

    control: Control
    windowed: Windowed
    roles: tuple[Compiled, ...]
    key: tuple[Column, ...]
    values: tuple[Column, ...]
    condition: WindowCondition | None
    rule: str
    span: Span = ALWAYS

    @property
    def span_ns(self) -> int:
        """How far apart two events can be that bear on one verdict."""
        return self.windowed.period_ns or sum(self.windowed.within_ns)


def compile_windowed(
    control: Control, applies: Condition, steps: Sequence[Condition], condition: WindowCondition | None
) -> Compiled:
    """Compile a control whose conditions have been checked."""
    assert control.windowed is not None
    scopes = [conjunction(applies, step) for step in steps] or [applies]
    roles = tuple(compile_conditions(control, scope, Truth(False)) for scope in scopes)
    key = tuple(Column(name, COLUMNS_BY_NAME[name].kind) for name in control.windowed.key)
    aggregates = () if condition is None else condition.aggregates
    values = tuple(dict.fromkeys(each.column for each in aggregates if each.column is not None))
    identity = [
        control.id, control.version, control.violated, control.group_by, asdict(control.windowed),
        [[role.clickhouse.applies, role.clickhouse.contradicted] for role in roles],
    ]  # fmt: skip
    rule = hashlib.sha256(json.dumps(identity, ensure_ascii=False).encode()).hexdigest()
    windowed = WindowedControl(control, control.windowed, roles, key, values, condition, rule)
    return replace(roles[0], windowed=windowed)


def is_text(column: Column) -> bool:
    """Whether a key column is a text, which needs no conversion."""
    return TYPE_OF_KIND[column.kind] is Type.TEXT
