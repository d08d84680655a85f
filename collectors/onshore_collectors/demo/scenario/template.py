"""What a scenario is written in: templates of events, and the verdicts that are expected of them.

A text in a template may hold words of the tenant in braces, such as `{home}`; what varies from event to event is drawn
from one of the tenant's lists or between two numbers, and never changes a verdict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from onshore_pipeline.domain.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from onshore_collectors.demo.scenario.tenants import Tenant

SATISFIED: Final = Verdict.SATISFIED
VIOLATED: Final = Verdict.VIOLATED
UNDETERMINED: Final = Verdict.UNDETERMINED

TRANSFER_LAW: Final = "the law on transfers of the tenant's country"
DISPUTES: Final = "SOV-24-01"
REMOTE_READS: Final = "the law on reading from abroad of the tenant's country"
CERTIFIED: Final = "the law on certified recipients of the tenant's country"
COPIES_AT_HOME: Final = "all that judges copies of the tenant's country's data by what the data is"
"""Stand in expectations for the controls that the tenant names; other countries' laws do not apply to its data."""

_NOT_JUDGED: Final = frozenset({"network.flow", "data.delete"})
_TENANTS_OWN: Final = frozenset({TRANSFER_LAW, REMOTE_READS, CERTIFIED, COPIES_AT_HOME})

Domain = Literal["infrastructure", "model_access", "data_movement"]
Signal = Literal["log", "span", "metric"]
Rhythm = Literal["steady", "office", "night"]
Expected = dict[str, Verdict]


@dataclass(frozen=True, slots=True)
class OneOf:
    """A text drawn from one of the tenant's lists."""

    of: str


@dataclass(frozen=True, slots=True)
class Between:
    """An integer drawn evenly, both ends included."""

    low: int
    high: int


Value = str | int | bool | tuple[str, ...] | OneOf | Between


@dataclass(frozen=True, slots=True)
class Log:
    """A log event: its name is its action."""

    event_name: str
    body: str
    signal: Signal = "log"


@dataclass(frozen=True, slots=True)
class Span:
    """A span; `kind` is OpenTelemetry's SpanKind, `failed` its status."""

    name: str
    kind: Literal["internal", "server", "client"]
    milliseconds: Between
    failed: bool = False
    signal: Signal = "span"


@dataclass(frozen=True, slots=True)
class Gauge:
    """A measured value, drawn evenly in thousandths."""

    unit: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class State:
    """What a machine measures in one minute: gauges by metric name."""

    gauges: Mapping[str, Gauge]
    signal: Signal = "metric"


@dataclass(frozen=True, slots=True)
class Template:
    """A kind of event.

    Attributes:
        name: unique; for people who read a failed comparison.
        domain: the domain that its events must get.
        shape: what travels.
        emitter: which of the tenant's services or machines sends it.
        expected: the verdict of every control that applies; all others do not.
        share: how often it happens, in relation to the other everyday (or the other planted) templates.
        attributes: of the record.
        data: which of the tenant's data sets it concerns, '' for none.
        rhythm: when in the day it happens.
        tenants: whose it is; empty means everyone's.
        disputed: whether two of its claims about a place disagree.
    """

    name: str
    domain: Domain
    shape: Log | Span | State
    emitter: str
    expected: Expected
    share: float
    attributes: Mapping[str, Value] = field(default_factory=dict)
    data: str = ""
    rhythm: Rhythm = "steady"
    tenants: frozenset[str] = frozenset()
    disputed: bool = False

    @property
    def is_planted(self) -> bool:
        """Whether some control must object or cannot decide; everything else is everyday traffic."""
        return self.disputed or any(verdict is not SATISFIED for verdict in self.expected.values())

    def happens_at(self, tenant: Tenant) -> bool:
        """Whether the tenant has such events."""
        return not self.tenants or tenant.id in self.tenants

    def expected_of(self, tenant: Tenant) -> Expected:
        """The expected verdicts with the tenant's own laws in them."""
        return {
            control: verdict
            for said, verdict in self.expected.items()
            for control in tenant.laws.get(said, () if said in _TENANTS_OWN else (said,))
        } | self._of_disputes()

    def _of_disputes(self) -> Expected:
        """SOV-24-01 judges whatever succeeded and is no measurement, deletion or flow without a dispute."""
        if isinstance(self.shape, State) or (isinstance(self.shape, Log) and self.shape.event_name in _NOT_JUDGED):
            return {}
        if isinstance(self.shape, Span):
            outcome: object = "failure" if self.shape.failed else "success"
        else:  # a record in its maker's own format tells what was done
            is_made = "log.record.format" in self.attributes
            outcome = self.attributes.get("onshore.outcome", "success" if is_made else "unknown")
        if outcome == "unknown":
            return {DISPUTES: UNDETERMINED}
        return {DISPUTES: VIOLATED if self.disputed else SATISFIED} if outcome == "success" else {}
