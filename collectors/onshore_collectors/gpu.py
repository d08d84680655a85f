"""NVIDIA accelerators through the driver's own library (NVML), without starting any program.

Names and struct layouts are those of nvml.h; functions with a version suffix are the ones its macros resolve to.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_LIBRARY: Final = "libnvidia-ml.so.1"
_DRIVER: Final = Path("/proc/driver/nvidia")
_TEXT_BYTES: Final = 96
_GPU_DIE: Final = 0  # NVML_TEMPERATURE_GPU


class _Memory(ctypes.Structure):
    _fields_ = (("total", ctypes.c_ulonglong), ("free", ctypes.c_ulonglong), ("used", ctypes.c_ulonglong))


class _Utilization(ctypes.Structure):
    _fields_ = (("gpu", ctypes.c_uint), ("memory", ctypes.c_uint))


@dataclass(frozen=True, slots=True)
class GpuState:
    """What a GPU says of itself now; None where it does not say (a partitioned GPU has no utilization).

    Attributes:
        utilization: share of the time that it was busy, 0 to 1.
        memory_used: bytes.
        memory_total: bytes.
        power: watts.
        temperature: degrees Celsius.
    """

    utilization: float | None
    memory_used: int | None
    memory_total: int | None
    power: float | None
    temperature: int | None


@dataclass(frozen=True, slots=True)
class Gpu:
    """An accelerator.

    Attributes:
        uuid: the driver's unique id.
        name: the model's name.
        driver: the driver's version.
        read: asks it for its state now.
    """

    uuid: str
    name: str
    driver: str | None
    read: Callable[[], GpuState]

    def attributes(self) -> dict[str, str]:
        """Under OpenTelemetry's names."""
        named = {"hw.id": self.uuid, "hw.name": self.name, "hw.vendor": "NVIDIA", "hw.driver_version": self.driver}
        return {key: value for key, value in named.items() if value}


@dataclass(frozen=True, slots=True)
class Accelerators:
    """The accelerators of this machine, and in words how it is known."""

    gpus: tuple[Gpu, ...]
    explanation: str


def find_accelerators(library: Any = None, driver: Path = _DRIVER) -> Accelerators:  # noqa: ANN401 - a C library
    """Look for NVIDIA's driver. Where its library is missing, accelerators are named but cannot be measured.

    Args:
        library: NVML as ctypes gives it; None looks for it.
        driver: the driver's folder in /proc.
    """
    listed = sorted(path.parent.name for path in driver.glob("gpus/*/information"))
    if library is None:
        try:
            library = ctypes.CDLL(_LIBRARY)
        except OSError:
            if listed:
                return Accelerators(
                    (), f"{len(listed)} found ({', '.join(listed)}), not measured: {_LIBRARY} is missing"
                )
            return Accelerators((), "none found (no NVIDIA driver; others are not looked for)")
    code = library.nvmlInit_v2()
    if code:
        return Accelerators((), f"none measured: NVIDIA's driver answered {code} to nvmlInit")
    nvml = _Nvml(library)
    gpus = tuple(nvml.gpu(index) for index in range(nvml.count()))
    found = ", ".join(gpu.name for gpu in gpus)
    return Accelerators(gpus, f"{len(gpus)} found ({found})" if gpus else "none found (NVIDIA's driver lists none)")


class _Nvml:
    """NVML's calls; each gives None where the device does not answer."""

    def __init__(self, library: Any) -> None:  # noqa: ANN401 - a C library
        self._library = library

    def count(self) -> int:
        return int(self._ask("nvmlDeviceGetCount_v2", ctypes.c_uint) or 0)

    def gpu(self, index: int) -> Gpu:
        device = ctypes.c_void_p()
        self._library.nvmlDeviceGetHandleByIndex_v2(ctypes.c_uint(index), ctypes.byref(device))
        return Gpu(
            uuid=self._text("nvmlDeviceGetUUID", device) or f"gpu-{index}",
            name=self._text("nvmlDeviceGetName", device) or "unknown",
            driver=self._text("nvmlSystemGetDriverVersion"),
            read=lambda: self._state(device),
        )

    def _state(self, device: ctypes.c_void_p) -> GpuState:
        memory, utilization = _Memory(), _Utilization()
        has_memory = not self._library.nvmlDeviceGetMemoryInfo(device, ctypes.byref(memory))
        has_utilization = not self._library.nvmlDeviceGetUtilizationRates(device, ctypes.byref(utilization))
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", ctypes.c_uint, device)
        return GpuState(
            utilization=utilization.gpu / 100 if has_utilization else None,
            memory_used=memory.used if has_memory else None,
            memory_total=memory.total if has_memory else None,
            power=None if milliwatts is None else milliwatts / 1000,
            temperature=self._ask("nvmlDeviceGetTemperature", ctypes.c_uint, device, ctypes.c_uint(_GPU_DIE)),
        )

    def _ask(self, function: str, kind: type[ctypes.c_uint], *arguments: object) -> int | None:
        value = kind()
        failed = getattr(self._library, function)(*arguments, ctypes.byref(value))
        return None if failed else int(value.value)

    def _text(self, function: str, *arguments: object) -> str | None:
        buffer = ctypes.create_string_buffer(_TEXT_BYTES)
        failed = getattr(self._library, function)(*arguments, buffer, ctypes.c_uint(_TEXT_BYTES))
        return None if failed else buffer.value.decode("utf-8", "replace")
