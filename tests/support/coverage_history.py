"""A measurement of coverage, written as the sequencer writes one: something of every kind and state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datetime import datetime

    from dashboard_history import Admin

_COLUMNS: Final = (
    "measured_at, kind, state, tenant, source, collector_id, since, until, unit, expected, seen, doubled, last_heard,"
    " control_id, why, owner, matters"
)
_DAY_S: Final = 86_400


def fill(admin: Admin, now: datetime, generation: int = 7, *, registered: bool = True) -> None:
    """Write the measurement of one finished rebuild; without `registered`, nobody is expected."""
    at = f"toDateTime64('{now:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
    rows = [*(_expected(at) if registered else ()), *_measured(at)]
    values = ", ".join(f"({generation}, {at}, {row})" for row in rows)
    admin.command(f"INSERT INTO coverage_built (generation, {_COLUMNS}) VALUES {values}")


def _expected(at: str) -> tuple[str, ...]:
    who = "'southern-cross-health', 'trail of the production account', ''"
    mends = "'cloud platform team', 'who read the buckets of the health records'"
    return (
        (
            f"'heard', 'silent', {who}, {at} - {10 * _DAY_S}, {at}, 's', {10 * _DAY_S}, {9 * _DAY_S}, 0,"
            f" {at} - {_DAY_S}, 'ONS-COV-03', 'silent since yesterday', {mends}"
        ),
        (
            f"'silence', 'silent', {who}, {at} - {_DAY_S}, {at}, 's', {_DAY_S}, 0, 0, {at} - {_DAY_S}, 'ONS-COV-03',"
            f" 'nothing for longer than 15 min', {mends}"
        ),
        (
            f"'heard', 'seen', 'hoshi-bank', 'gateway', 'edge-2', {at} - {_DAY_S}, {at}, 's', {_DAY_S}, {_DAY_S}, 0,"
            f" {at} - 40, '', 'heard at least every 5 min', 'ai team', 'which model was asked'"
        ),
    )


def _measured(at: str) -> tuple[str, ...]:
    return (
        (
            f"'sequence', 'missed', 'hoshi-bank', '', 'edge-2', {at} - 9000, {at}, 'messages', 1000, 990, 3, {at} - 40,"
            " 'ONS-COV-04', '10 numbers never came, 3 came again, 1 start of the sender', '', ''"
        ),
        (
            f"'sequence_gap', 'missed', 'hoshi-bank', '', 'edge-2', {at} - 8000, {at} - 7900, 'messages', 10, 0, 0,"
            " NULL, 'ONS-COV-04', 'numbers 5 to 14 of start <b>r-1</b>', '', ''"
        ),
        (
            f"'clock', 'wrong', 'klang-energy', '', 'edge-3', {at} - 9000, {at}, 'hours', NULL, NULL, 0, NULL,"
            " 'ONS-COV-08', 'up to 300 s behind the clock of the broker, in 3 hours of its own time', '', ''"
        ),
        (
            f"'losses', 'missed', 'klang-energy', 'aws.vpcflow', '', {at} - 9000, {at}, 'records', NULL, NULL, 0, NULL,"
            " 'ONS-COV-09', '77 events lack region, which their decoder drops', '', ''"
        ),
        "'offsets', 'seen', '', 'otlp_logs', '', NULL, NULL, 'offsets', 60, 60, 0, NULL, '', 'every offset', '', ''",
        (
            f"'unregistered', 'unknown', 'lion-city-port', 'otlp.log', 'edge-9', NULL, NULL, 'records', NULL, NULL, 0,"
            f" {at} - 100, '', '12 events of a source that is not registered: register it', '', ''"
        ),
    )
