"""The C ceiling: what a C compiler makes of the same work, and what the memory allows.

Theory of operation
-------------------
``native_bench/ceiling`` is compiled on first use by its own ``build.sh``, with the machine's compiler and for the
machine's processor, into the user's cache directory under a name that changes with the sources, the compiler and the
processor. ctypes releases the GIL and costs about a microsecond per call, less than Numba's unboxing of arrays, so both
sides are also compared with a compiled loop around them.

The probe in C reads our tables where they lie and answers as our kernel does, which is checked like every other system.

What this module deliberately does not do: nothing of hashmatch uses this library but the bench.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from hashmatch.bench.column import Column, heaps_found
from hashmatch.bench.systems import ALL_AT_ONCE, Skipped, System, Task
from hashmatch.index.columns import Bytes
from hashmatch.index.tables import Tables, empty_tables, scatter_table, whole_lines
from hashmatch.kernels import chunks
from hashmatch.kernels import tables as kernels

SOURCES = Path(__file__).resolve().parents[2] / "native_bench" / "ceiling"
BUILD_TIMEOUT_S = 600.0
LINE_BYTES = 64
_POINTERS = ("codes", "scatter", "offsets", "filters", "rows", "thresholds", "probes", "probe_ends")
_NUMBERS = ("n", "chunks", "offsets_stride", "rows_stride", "key_bits", "radius", "budget")


class _Tables(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _POINTERS] + [(name, ctypes.c_int64) for name in _NUMBERS]


class _Found(ctypes.Structure):
    _fields_ = [
        ("heaps", ctypes.c_void_p),
        ("held", ctypes.c_void_p),
        ("cut", ctypes.c_void_p),
        ("max_hits", ctypes.c_int64),
    ]


def probe(task: Task) -> list[System]:
    """Search our tables by our algorithm, in C."""
    library, column = _library(), task.column
    if column.plan(task.radius) is None:
        raise Skipped(f"radius {task.radius} over {task.entries:,} entries is planned as a scan")

    room = functools.cache(functools.partial(_room, max_hits=column.max_hits))
    tables = functools.cache(functools.partial(_addresses, column))

    def asking(function: Any) -> Any:
        def ask(queries: Bytes, radius: int) -> object:
            result, struct = room(len(queries))
            function(tables(radius), queries.ctypes.data, len(queries), struct)
            return result

        return ask

    batch, each = asking(library.ceiling_probe), asking(library.ceiling_probe_each)
    return [
        System("c_probe", batch, heaps_found, limited=True),
        System("c_probe_loop", each, heaps_found, batch=ALL_AT_ONCE, limited=True),
        System("c_probe_batch8", batch, heaps_found, batch=8, limited=True),
        System("c_probe_batch120", batch, heaps_found, batch=120, limited=True),
    ]


def scan(task: Task) -> list[System]:
    """Compare with every code, in C."""
    library, codes = _library(), task.codes
    address, room = codes.ctypes.data, functools.cache(functools.partial(_room, max_hits=task.column.max_hits))

    def ask(queries: Bytes, radius: int) -> object:
        result, struct = room(len(queries))
        library.ceiling_scan(address, len(codes), queries.ctypes.data, len(queries), radius, struct)
        return result

    return [System("c_scan", ask, heaps_found, limited=True, size_bytes=codes.nbytes, build_s=0.0)]


def build(codes: Bytes) -> Tables:
    """Build the tables of a list of PDQ hashes in C. Raises Skipped."""
    n = len(codes)
    built, order = empty_tables(codes, codes.shape[1] // 2), chunks.permutation(8 * codes.shape[1])
    columns = whole_lines(-(-n // kernels.BLOCK_ROWS) * kernels.BLOCK_ROWS * codes.shape[1] // 8)
    packed = whole_lines(n + kernels.GROUPS * kernels.BUFFER_WORDS)
    _library().ceiling_build(
        codes.ctypes.data, n, order.ctypes.data, built.key_bits,
        *(array.ctypes.data for array in (columns, packed, built.offsets, built.filters, built.rows)),
    )  # fmt: skip
    return built


def instructions() -> str:
    """Which instructions the compiler chose for this machine. Raises Skipped."""
    said: bytes = _library().ceiling_instructions()
    return said.decode()


def load() -> Any:
    """Return the library, for what else is measured against C. Raises Skipped."""
    return _library()


def memory_bounds(task: Task) -> Mapping[str, float]:
    """Measure what the memory allows this task: the smallest of seven runs each.

    Returns
    -------
    Mapping
        ``stream_gb_per_s``; ``scan_us``, reading all codes once at that pace; ``line_ns``, a cache line anywhere in the
        filters with as many in flight as the probe has; ``latency_ns``, the same one after the other; ``lines``, how
        many the probe reads per query; ``probe_us``, those at that pace.

    Raises
    ------
    Skipped
        No compiler, or the radius is searched by a scan.

    """
    library, column = _library(), task.column
    plan, tables = column.plan(task.radius), column.tables
    words = task.codes.view(np.uint64)
    stream_s = _fastest(lambda: library.ceiling_stream(words.ctypes.data, words.size))
    bounds = {"stream_gb_per_s": words.nbytes / stream_s / 1e9, "scan_us": stream_s * 1e6}
    if plan is None or tables is None:
        return bounds
    in_flight = max(1, int(plan.ends[int(plan.thresholds.max()) + 1]))
    probes = sum(int(plan.ends[int(threshold) + 1]) for threshold in plan.thresholds)
    per_bucket = task.entries / 2**tables.key_bits
    filter_lines = probes * (1 + per_bucket * tables.filters.itemsize / LINE_BYTES)
    reads = 1 << 19

    def per_line_ns(array: npt.NDArray[Any], kind: str) -> float:
        lines = array.nbytes // LINE_BYTES - 1
        if kind == "chase":
            return _fastest(lambda: library.ceiling_chase(array.ctypes.data, lines, reads // 8, 1)) / (reads // 8) * 1e9
        return _fastest(lambda: library.ceiling_lines(array.ctypes.data, lines, reads, in_flight, 1)) / reads * 1e9

    line_ns = per_line_ns(tables.filters, "lines")
    return bounds | {
        "line_ns": line_ns,
        "latency_ns": per_line_ns(tables.filters, "chase"),
        "lines": filter_lines + probes,
        "probe_us": (filter_lines * line_ns + probes * per_line_ns(tables.offsets, "lines")) / 1e3,
    }


def _fastest(work: Any, repetitions: int = 7) -> float:
    times = []
    for _ in range(repetitions):
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def _addresses(column: Column, radius: int) -> Any:
    """Return a reference to the struct that the C code reads."""
    plan, tables = column.plan(radius), column.tables
    if plan is None or tables is None:
        raise Skipped(f"radius {radius} is planned as a scan")
    arrays = (
        column.codes, scatter_table(8 * column.codes.shape[1]), tables.offsets, tables.filters, tables.rows,
        plan.thresholds, plan.masks, plan.ends,
    )  # fmt: skip
    struct = _Tables(
        *(array.ctypes.data for array in arrays),
        len(column.codes), len(plan.thresholds), tables.offsets.shape[1], tables.filters.shape[1], tables.key_bits,
        plan.radius, plan.budget,
    )  # fmt: skip
    struct.keeps = arrays
    return ctypes.byref(struct)


def _room(queries: int, max_hits: int) -> tuple[tuple[npt.NDArray[Any], ...], Any]:
    """Arrays for an answer, used again by the next question of that size, and a reference to their struct."""
    result = np.empty((queries, max_hits), np.int64), np.empty(queries, np.int64), np.empty(queries, np.uint8)
    return result, ctypes.byref(_Found(*(array.ctypes.data for array in result), max_hits))


@functools.cache
def _library() -> Any:
    """Compile, unless that was done before, and load. Raises Skipped."""
    library = ctypes.CDLL(str(_compiled(SOURCES, user_cache_path("hashmatch", appauthor=False) / "ceiling")))
    address, number = ctypes.c_void_p, ctypes.c_int64
    library.ceiling_instructions.restype = ctypes.c_char_p
    for function in (library.ceiling_probe, library.ceiling_probe_each):
        function.argtypes, function.restype = [address, address, number, address], None
    library.ceiling_scan.argtypes = [address, number, address, number, number, address]
    library.ceiling_scan.restype = None
    library.ceiling_build.argtypes = [address, number, address, number, *[address] * 5]
    library.ceiling_build.restype = None
    library.ceiling_stream.argtypes = [address, number]
    library.ceiling_tents.argtypes = [address, number, number, number]
    library.ceiling_lines.argtypes = [address, number, number, number, ctypes.c_uint64]
    library.ceiling_chase.argtypes = [address, number, number, ctypes.c_uint64]
    for function in (library.ceiling_stream, library.ceiling_tents, library.ceiling_lines, library.ceiling_chase):
        function.restype = ctypes.c_uint64
    library.ceiling_pdq_floats.argtypes, library.ceiling_pdq_floats.restype = [number, number], number
    library.ceiling_pdq.argtypes = [address, number, number, number, address, address]
    library.ceiling_pdq.restype = number
    if chunks.PAD != 32:  # noqa: PLR2004 - ceiling.h says LANES 32
        raise Skipped(f"ceiling.h compares 32 filters at once, the kernel {chunks.PAD}")
    return library


def _compiled(sources: Path, cache: Path) -> Path:
    """Path of the shared library, compiled now if need be. Raises Skipped."""
    if not (sources / "build.sh").is_file():
        raise Skipped("native_bench/ceiling is not here: it comes with a checkout, not with an installed package")
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise Skipped(f"there is no C compiler {compiler!r}; install one or name it in CC")
    parts = [path.read_bytes() for path in sorted(sources.iterdir()) if path.suffix in {".c", ".h", ".sh"}]
    chosen = [compiler, os.environ.get("CEILING_CFLAGS", ""), platform.platform()]
    name = hashlib.sha256(b"\0".join([*parts, *(text.encode() for text in chosen), _processor()]))
    library = cache / f"ceiling-{name.hexdigest()[:16]}.so"
    if library.is_file():
        return library
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        made = Path(scratch) / library.name
        command = [str(sources / "build.sh"), str(made)]
        result = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
        if result.returncode:
            raise Skipped(f"{compiler} could not compile native_bench/ceiling: {result.stderr.strip()[-300:]}")
        made.replace(library)
    return library


def _processor() -> bytes:
    """Return what -march=native depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return b""
    return b"\n".join(sorted({line for line in lines if line.startswith((b"model name", b"flags"))}))
