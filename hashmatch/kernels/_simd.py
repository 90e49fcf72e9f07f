"""The few machine instructions that Numba has no name for: prefetch, population count, 32 compares at once.

Theory of operation
-------------------
Each intrinsic is a handful of LLVM instructions on LLVM's own portable vector types. LLVM lowers them to what the
machine has: one ``vpopcntw`` and one ``vpcmpuw`` on AVX-512 BITALG, a few shuffles on AVX2 or NEON. There is no code
here for any particular machine, and nothing in it depends on the machine's width.

What this module deliberately does not do: it checks no bounds. Callers pad their arrays (``LANES`` items behind the
last one), because a load that is always whole is what makes it one instruction.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

LANES = 32
"""Items that :func:`near_lanes` compares at once; 32 of 16 bits are one cache line."""

_I1, _I8, _I16, _I32, _I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
_READ, _KEEP_CLOSE, _DATA_CACHE = (ir.Constant(_I32, value) for value in (0, 3, 1))


def _data(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Address of one item of an array seen as one-dimensional."""
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [index])


def _prefetch(_typing: Any, array: Any, index: Any) -> Any:
    """Ask for the cache line of ``array.ravel()[index]``; never faults, even outside the array."""
    del index

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.bitcast(_data(context, builder, signature.args[0], *args), cgutils.voidptr_t)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, _I32, _I32, _I32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [cgutils.voidptr_t], kind)
        builder.call(function, [address, _READ, _KEEP_CLOSE, _DATA_CACHE])
        return context.get_dummy_value()

    return types.void(array, types.int64), codegen


def _word_at(_typing: Any, array: Any, index: Any) -> Any:
    """Load a uint64 from the address of ``array.ravel()[index]``; all eight bytes must exist, aligned to nothing."""
    del index

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word = builder.load(builder.bitcast(_data(context, builder, signature.args[0], *args), _I64.as_pointer()))
        word.align = 1
        return word

    return types.uint64(array, types.int64), codegen


def _near_lanes(_typing: Any, array: Any, index: Any, word: Any, limit: Any) -> Any:
    """Which of the ``LANES`` uint16 from ``array.ravel()[index]`` differ from ``word`` in at most ``limit`` bits.

    Returns
    -------
    uint32
        Bit j stands for item ``index + j``. The items must exist, aligned to nothing.

    """
    del index, word, limit
    lanes = ir.VectorType(_I16, LANES)
    whole = ir.VectorType(_I32, LANES)
    nothing = ir.Constant(lanes, ir.Undefined)

    def spread(builder: Any, value: Any) -> Any:
        first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
        return builder.shuffle_vector(first, nothing, ir.Constant(whole, [0] * LANES))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = builder.bitcast(_data(context, builder, signature.args[0], *args[:2]), lanes.as_pointer())
        items = builder.load(address)
        items.align = 2
        differing = builder.xor(items, spread(builder, args[2]))
        # llvmlite cannot derive an intrinsic's name from a vector type, so the name is spelled out.
        count = builder.module.declare_intrinsic(f"llvm.ctpop.v{LANES}i16", (), ir.FunctionType(lanes, [lanes]))
        near = builder.icmp_unsigned("<=", builder.call(count, [differing]), spread(builder, args[3]))
        return builder.bitcast(near, _I32)

    return types.uint32(array, types.int64, types.uint16, types.uint16), codegen


def _population_count(_typing: Any, word: Any) -> Any:
    """Count the ones in a uint64."""
    del word

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        count = builder.module.declare_intrinsic("llvm.ctpop", [_I64], ir.FunctionType(_I64, [_I64]))
        return builder.call(count, args)

    return types.int64(types.uint64), codegen


def _lowest_lane(_typing: Any, mask: Any) -> Any:
    """Position of the lowest one in a uint32 that is not zero."""
    del mask

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(_I32, [_I32, _I1])
        function = builder.module.declare_intrinsic("llvm.cttz", [_I32], kind)
        return builder.zext(builder.call(function, [args[0], ir.Constant(_I1, 1)]), _I64)

    return types.int64(types.uint32), codegen


# Numba's own type for an intrinsic has the typing context as its first parameter; callers do not pass it.
prefetch: Callable[..., None] = intrinsic(_prefetch)
word_at: Callable[..., np.uint64] = intrinsic(_word_at)
near_lanes: Callable[..., np.uint32] = intrinsic(_near_lanes)
population_count: Callable[..., int] = intrinsic(_population_count)
lowest_lane: Callable[..., int] = intrinsic(_lowest_lane)
