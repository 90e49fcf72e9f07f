"""Let Numba read compiled kernels from a directory that it cannot write to.

Theory of operation
-------------------
Numba takes a cache directory only if it can create a file there. In the image the kernels were compiled at build time
and the root file system is read-only, so every ordinary location fails that test, and each process would compile for
itself what already lies there. ``NUMBA_CACHE_LOCATOR_CLASSES`` names this class instead; it differs from Numba's own
locator for ``NUMBA_CACHE_DIR`` in not asking for write access.

What this module deliberately does not do: it never writes. When a kernel is not there (the image runs with another
``NUMBA_CPU_NAME`` than it was built with), Numba asks :meth:`BakedKernels.ensure_cache_path` before saving what it
compiled; that raises the error which Numba itself raises where nothing can be cached, and ``hashmatch.kernels``
answers as it does there: compile, keep nothing, start slower.
"""

# ruff: noqa: INP001 - a module of the image, not of a package

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from numba.core.caching import UserProvidedCacheLocator


class BakedKernels(UserProvidedCacheLocator):
    """Where ``NUMBA_CACHE_DIR`` holds the kernels of a source file, if it holds any."""

    @classmethod
    def from_function(cls, py_func: Callable[..., object], py_file: str) -> BakedKernels | None:
        """Return the locator when the directory for ``py_file`` exists, whoever owns it."""
        locator = cls(py_func, py_file)
        kept = Path(locator.get_cache_path())  # type: ignore[no-untyped-call]  # numba's
        return locator if kept.is_dir() else None

    def ensure_cache_path(self) -> None:
        """Refuse to save.

        Raises
        ------
        RuntimeError
            Always.

        """
        raise RuntimeError("no locator available: the image holds no kernels for this NUMBA_CPU_NAME, see KERNEL_CPU")
