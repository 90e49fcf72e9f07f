"""The machine card: what was measured on, and how quiet it was.

Theory of operation
-------------------
Facts come from /proc and /sys, where a container shows the host's; what cannot be read is None. How quiet the machine
is follows from a piece of arithmetic that fits the first-level cache, done over and over: on an idle core all
repetitions take the same time, so their spread is what others take away. A run notes it before and after.

What this module deliberately does not do: it names no host and no user.
"""

from __future__ import annotations

import ctypes
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

LIBRARIES = ("hashmatch", "numpy", "numba", "llvmlite", "faiss-cpu", "usearch")
QUIET_SPREAD = 0.05
"""A spread of the noise check below this is a quiet machine; idle virtual machines show 0.01 to 0.03."""
LEAST_GROWTH_BYTES = 3_000_000
_REPETITIONS = 200


@dataclass(frozen=True, slots=True)
class Noise:
    """How much others were using the machine.

    ``load`` is the load average of the last minute; ``spread`` the 90th percentile of the noise check over its minimum,
    less one.
    """

    load: float
    spread: float

    @property
    def quiet(self) -> bool:
        """Whether times may be taken at face value."""
        return self.spread < QUIET_SPREAD


def noise() -> Noise:
    """Check for a fifth of a second how steadily this core works."""
    numbers = np.arange(4096, dtype=np.uint64)
    times = np.empty(_REPETITIONS)
    for at in range(_REPETITIONS):
        begin = time.perf_counter_ns()
        for _ in range(200):
            numbers.sum()
        times[at] = time.perf_counter_ns() - begin
    return Noise(os.getloadavg()[0], float(np.quantile(times, 0.9) / times.min() - 1))


def card() -> Mapping[str, object]:
    """Describe the machine; JSON-able."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "cpu_family_model_stepping": [_field("/proc/cpuinfo", name) for name in ("cpu family", "model", "stepping")],
        "cores": len(os.sched_getaffinity(0)),
        "caches": _caches(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "virtual": "hypervisor" in (_field("/proc/cpuinfo", "flags") or "").split(),
        "vector_bits": _vector_bits(),
        "kernel": platform.release(),
        "huge_pages": _text("/sys/kernel/mm/transparent_hugepage/enabled"),
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
    }


def available_bytes() -> int:
    """Memory that a process may still take, by the kernel's estimate."""
    said = _field("/proc/meminfo", "MemAvailable")
    if said is None:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    return int(said.split()[0]) * 1024


def resident_bytes() -> int:
    """Memory of this process that lies in RAM, after what was freed has been given back."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    said = _text("/proc/self/statm")
    return int(said.split()[1]) * os.sysconf("SC_PAGE_SIZE") if said else 0


def grown_bytes(before: int, codes_bytes: int) -> int | None:
    """By how much the process has grown since ``before``, for an index over so many bytes of codes.

    None for a small list, where the allocator's own appetite drowns it.
    """
    return max(resident_bytes() - before, codes_bytes) if codes_bytes >= LEAST_GROWTH_BYTES else None


def _vector_bits() -> int | None:
    flags = (_field("/proc/cpuinfo", "flags") or "").split()
    for flag, bits in (("avx512_bitalg", 512), ("avx2", 256), ("sse2", 128)):
        if flag in flags:
            return bits
    return None


def _caches() -> list[dict[str, str | None]]:
    where = Path("/sys/devices/system/cpu/cpu0/cache")
    return [
        {name: _text(index / name) for name in ("level", "type", "size")} for index in sorted(where.glob("index[0-9]"))
    ]


def _text(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError:
        return None


def _field(path: str, name: str) -> str | None:
    """Value of the first ``name : value`` line of a file of /proc."""
    for line in (_text(path) or "").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
