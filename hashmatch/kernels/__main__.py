"""Compile every kernel before it is needed: ``python -m hashmatch.kernels``.

Theory of operation
-------------------
Kernels compile when their module is imported and are then kept in Numba's disk cache. So this imports every module of
the package and says, per module, how many kernels came out of the cache, how many were compiled, and where the cache
lies. Run it when an image is built or before a first start; a cache made on another kind of processor is not used.

What this module deliberately does not do: it chooses no cache directory. Numba takes ``NUMBA_CACHE_DIR`` if set, else
``__pycache__`` beside the module, else the user's cache directory.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from types import ModuleType
from typing import TextIO

from numba.extending import is_jitted

import hashmatch.kernels


def main(out: TextIO) -> None:
    """Import all kernel modules and write one line for each that defines kernels, then a total."""
    started = time.monotonic()
    total = 0
    for info in pkgutil.iter_modules(hashmatch.kernels.__path__, "hashmatch.kernels."):
        if not info.name.endswith(".__main__"):
            total += _describe(importlib.import_module(info.name), out)
    took_s = time.monotonic() - started
    if total:
        out.write(f"{total} kernels ready in {took_s:.1f} s\n")
    else:
        out.write("no kernel was compiled: NUMBA_DISABLE_JIT is set, everything runs as plain Python\n")


def _describe(module: ModuleType, out: TextIO) -> int:
    """Write what happened to the kernels that this module defines; return how many there are."""
    kernels = [item for item in vars(module).values() if is_jitted(item) and item.__module__ == module.__name__]
    if kernels:
        loaded = sum(sum(item.stats.cache_hits.values()) for item in kernels)
        place = kernels[0].stats.cache_path or "not cached: no writable directory, set NUMBA_CACHE_DIR"
        out.write(f"{module.__name__}: {loaded} loaded, {len(kernels) - loaded} compiled; {place}\n")
    return len(kernels)


if __name__ == "__main__":
    main(sys.stdout)
