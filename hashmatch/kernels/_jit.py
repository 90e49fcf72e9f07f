"""How every kernel is compiled: one decorator, one set of options.

Theory of operation
-------------------
A kernel states its signature in full, with arrays it only reads declared read-only, so it is compiled (or loaded from
Numba's disk cache) when its module is imported, and never inside a request. It releases the GIL, and it follows NumPy's
error model: no branch for division by zero stands in the way of vector instructions.

A kernel with ``counted=False`` is compiled without Numba's runtime, which counts references to every array on entry to
and exit from every kernel that another one calls, two atomic operations each. Where a pipeline of kernels hands many
arrays on this measured a third of a search and nine tenths of a scan. Such a kernel cannot allocate, and may only call
others of its kind.

What this module deliberately does not do: no ``fastmath``. The reference's bits depend on the order of float32
additions, and LLVM may only keep that order if it is not told otherwise. No ``parallel`` either: throughput comes from
several images at a time, not from several threads on one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
from numba import types

Kernel = TypeVar("Kernel", bound=Callable[..., object])

uint8, uint16, uint32, uint64 = types.uint8, types.uint16, types.uint32, types.uint64
float32, int32, int64 = types.float32, types.int32, types.int64
boolean, void = types.boolean, types.void


def writable(item: types.Type, dimensions: int = 1) -> types.Array:
    """Type of a C-ordered array that the kernel writes to."""
    return types.Array(item, dimensions, "C")


def readonly(item: types.Type, dimensions: int = 1) -> types.Array:
    """Type of a C-ordered array that the kernel only reads; arguments may be writable or not."""
    return types.Array(item, dimensions, "C", readonly=True)


def group(*members: types.Type) -> types.Type:
    """Type of a tuple: arrays that belong together, or several results."""
    return types.Tuple(members)  # type: ignore[no-untyped-call]


def kernel(
    returns: types.Type, *arguments: types.Type, counted: bool = True, inlined: bool = False
) -> Callable[[Kernel], Kernel]:
    """Compile a function for exactly one signature, at once.

    Parameters
    ----------
    returns, *arguments : numba.types.Type
        The signature. Arrays by :func:`readonly` or :func:`writable`.
    counted : bool
        Whether references to arrays are counted.
    inlined : bool
        Whether its body stands in for every call from another kernel: for what is called for every few bits. A call
        hands over seven words for each array.

    Returns
    -------
    Callable
        A decorator. With ``NUMBA_DISABLE_JIT=1`` in the environment it returns the Python function itself.

    """
    signature = returns(*arguments)

    def compile_now(function: Kernel) -> Kernel:
        try:
            return _compiled(function, signature, cache=True, counted=counted, inlined=inlined)
        except RuntimeError as error:
            # Read-only installation, no writable home, as in a hardened container: a slow start beats none.
            if "no locator available" not in str(error):
                raise
            return _compiled(function, signature, cache=False, counted=counted, inlined=inlined)

    return compile_now


def _compiled(function: Kernel, signature: object, *, cache: bool, counted: bool, inlined: bool) -> Kernel:
    """State the options, once for all kernels."""
    options: dict[str, Any] = {} if counted else {"_nrt": False}
    options |= {"inline": "always"} if inlined else {}
    compile_one: Any = numba.njit(signature, cache=cache, nogil=True, fastmath=False, error_model="numpy", **options)
    compiled: Kernel = compile_one(function)
    return compiled
