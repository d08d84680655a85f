"""What is measured of a machine, as OpenTelemetry instruments under the semantic conventions' names.

`system.cpu.utilization` and `system.memory.utilization` are sent as one series each: the share that is in use. One
series is what a state event can show; `system.cpu.time` has every mode.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import psutil
from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from opentelemetry.metrics import Meter

    from onshore_collectors.gpu import Gpu, GpuState

    Read = Callable[[], Iterable[Observation]]

# psutil's names → cpu.mode; guests' time is part of user's, and what is not named here is no mode of its own.
_MODES: Final = {
    "user": "user",
    "nice": "nice",
    "system": "system",
    "idle": "idle",
    "iowait": "iowait",
    "irq": "interrupt",
    "softirq": "interrupt",
    "steal": "steal",
}
_RESTING: Final = ("idle", "iowait")


def register_host(meter: Meter) -> None:
    """Create the instruments of a machine; each is read when the meter's reader collects."""
    _counter(meter, "system.cpu.time", "s", _cpu_times)
    _gauge(meter, "system.cpu.utilization", "1", _CpuShare().read)
    _level(meter, "system.cpu.logical.count", "{cpu}", lambda: _known(psutil.cpu_count()))
    _level(meter, "system.memory.limit", "By", lambda: [Observation(psutil.virtual_memory().total)])
    _level(meter, "system.memory.usage", "By", _memory_usage)
    _gauge(meter, "system.memory.utilization", "1", _memory_utilization)
    _counter(meter, "system.disk.io", "By", _disk_io)
    _level(meter, "system.filesystem.usage", "By", lambda: (usage for usage, _ in _filesystems()))
    _gauge(meter, "system.filesystem.utilization", "1", lambda: (share for _, share in _filesystems()))
    _counter(meter, "system.network.io", "By", _network_io)
    _gauge(meter, "system.uptime", "s", lambda: [Observation(time.time() - psutil.boot_time())])


def register_gpu(meter: Meter, gpu: Gpu) -> None:
    """Create the instruments of one GPU; what it does not answer gives no point."""
    attributes = {"hw.id": gpu.uuid}
    typed = {**attributes, "hw.type": "gpu"}

    def of(read: Callable[[GpuState], float | None], named: dict[str, str] = attributes) -> Read:
        return lambda: _known(read(gpu.read()), named)

    _gauge(meter, "hw.gpu.utilization", "1", of(lambda state: state.utilization))
    _level(meter, "hw.gpu.memory.usage", "By", of(lambda state: state.memory_used))
    _level(meter, "hw.gpu.memory.limit", "By", of(lambda state: state.memory_total))
    _gauge(meter, "hw.gpu.memory.utilization", "1", of(_memory_share))
    _gauge(meter, "hw.power", "W", of(lambda state: state.power, typed))
    _gauge(meter, "hw.temperature", "Cel", of(lambda state: state.temperature, typed))


def _counter(meter: Meter, name: str, unit: str, read: Read) -> None:
    meter.create_observable_counter(name, [lambda _: read()], unit)


def _level(meter: Meter, name: str, unit: str, read: Read) -> None:
    meter.create_observable_up_down_counter(name, [lambda _: read()], unit)


def _gauge(meter: Meter, name: str, unit: str, read: Read) -> None:
    meter.create_observable_gauge(name, [lambda _: read()], unit)


def _known(value: float | None, attributes: dict[str, str] | None = None) -> list[Observation]:
    return [] if value is None else [Observation(value, attributes)]


def _by_mode() -> dict[str, float]:
    seconds: dict[str, float] = {}
    for name, value in psutil.cpu_times()._asdict().items():
        if name in _MODES:
            seconds[_MODES[name]] = seconds.get(_MODES[name], 0.0) + value
    return seconds


def _cpu_times() -> Iterator[Observation]:
    for mode, seconds in _by_mode().items():
        yield Observation(seconds, {"cpu.mode": mode})


class _CpuShare:
    """The share of processor time that was not idle since the last look; nothing where no time has passed."""

    def __init__(self) -> None:
        self._last = _by_mode()

    def read(self) -> list[Observation]:
        """Look again."""
        now, last = _by_mode(), self._last
        self._last = now
        passed = sum(now.values()) - sum(last.values())
        rested = sum(now.get(mode, 0.0) - last.get(mode, 0.0) for mode in _RESTING)
        return [Observation(min(max(1 - rested / passed, 0.0), 1.0))] if passed > 0 else []


def _memory_usage() -> Iterator[Observation]:
    memory = psutil.virtual_memory()._asdict()
    for state in ("used", "free", "cached", "buffers"):
        if state in memory:
            yield Observation(memory[state], {"system.memory.state": state})


def _memory_utilization() -> list[Observation]:
    memory = psutil.virtual_memory()
    return [Observation(memory.used / memory.total, {"system.memory.state": "used"})]


def _disk_io() -> Iterator[Observation]:
    # None in a container that sees no disks.
    for device, count in (psutil.disk_io_counters(perdisk=True) or {}).items():
        if count.read_bytes or count.write_bytes:
            yield Observation(count.read_bytes, {"system.device": device, "disk.io.direction": "read"})
            yield Observation(count.write_bytes, {"system.device": device, "disk.io.direction": "write"})


def _network_io() -> Iterator[Observation]:
    for interface, count in psutil.net_io_counters(pernic=True).items():
        if count.bytes_sent or count.bytes_recv:
            named = {"network.interface.name": interface}
            yield Observation(count.bytes_sent, {**named, "network.io.direction": "transmit"})
            yield Observation(count.bytes_recv, {**named, "network.io.direction": "receive"})


def _filesystems() -> Iterator[tuple[Observation, Observation]]:
    """Bytes in use and their share, once a device, at its first mount point."""
    for device, place in {place.device: place for place in reversed(_places())}.items():
        try:
            usage = psutil.disk_usage(place.mountpoint)
        except OSError:
            continue  # not for us to look at, or gone since it was listed
        named = {
            "system.device": device,
            "system.filesystem.mountpoint": place.mountpoint,
            "system.filesystem.type": place.fstype,
            "system.filesystem.state": "used",
        }
        if usage.total:
            yield Observation(usage.used, named), Observation(usage.used / usage.total, named)


def _places() -> list[Any]:
    return psutil.disk_partitions() or [place for place in psutil.disk_partitions(all=True) if place.mountpoint == "/"]


def _memory_share(state: GpuState) -> float | None:
    if state.memory_used is None or not state.memory_total:
        return None
    return state.memory_used / state.memory_total
