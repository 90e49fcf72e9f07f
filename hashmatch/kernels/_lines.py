"""Whole cache lines of 64-bit words: exchange bits between two of them, or write one past the caches.

Theory of operation
-------------------
As in ``_simd.py``, each intrinsic is a handful of LLVM instructions on LLVM's own portable types. A line is one
register of AVX-512, two of AVX2 or four of NEON.

A line that is written past the caches ("non-temporal") is neither read from memory first nor kept: right for a scratch
array larger than the caches, whose lines are complete when they are written and read much later.

What this module deliberately does not do: it checks no bounds, and it aligns nothing. A line that begins where no cache
line begins is written correctly, but slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LINE_WORDS: Final = 8
"""Words of 64 bits in a cache line of 64 bytes."""

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_LINE = ir.VectorType(_I64, LINE_WORDS)
_WORD_BYTES = 8


def _word(context: Any, builder: Any, signature: Any, args: Any, at: int) -> Any:
    """Address of the word whose array is argument ``at`` and whose index is the next one."""
    array = context.make_array(signature.args[at])(context, builder, args[at])
    return builder.gep(array.data, [args[at + 1]])


def _spread(builder: Any, value: Any) -> Any:
    """Eight times the same word."""
    nothing = ir.Constant(_LINE, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(_I32, 0))
    return builder.shuffle_vector(first, nothing, ir.Constant(ir.VectorType(_I32, LINE_WORDS), [0] * LINE_WORDS))


def _exchange_bits(_typing: Any, array: Any, low: Any, high: Any, shift: Any, mask: Any) -> Any:
    """Exchange, in eight pairs of words, the bits ``mask << shift`` of one with the bits ``mask`` of the other.

    The words are ``array[low : low + 8]`` and ``array[high : high + 8]``, of an array of one dimension.
    """
    del low, high, shift, mask

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        addresses = [builder.bitcast(builder.gep(data, [index]), _LINE.as_pointer()) for index in args[1:3]]
        low_line, high_line = (builder.load(address, align=_WORD_BYTES) for address in addresses)
        distance, kept = _spread(builder, args[3]), _spread(builder, args[4])
        differing = builder.and_(builder.xor(builder.lshr(low_line, distance), high_line), kept)
        builder.store(builder.xor(low_line, builder.shl(differing, distance)), addresses[0], align=_WORD_BYTES)
        builder.store(builder.xor(high_line, differing), addresses[1], align=_WORD_BYTES)
        return context.get_dummy_value()

    return types.void(array, types.uint64, types.uint64, types.uint64, types.uint64), codegen


def _write_past(_typing: Any, target: Any, to: Any, source: Any, start: Any) -> Any:
    """Copy ``source[start : start + 8]`` to ``target[to : to + 8]``, past the caches; both of one dimension.

    Word by word, which the processor gathers into one line: a load of the whole line would have to wait until the word
    stored last has arrived in the cache.
    """
    del to, start

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = [ir.Constant(_I64, word) for word in range(LINE_WORDS)]
        target_line, source_line = (_word(context, builder, signature, args, at) for at in (0, 2))
        past = builder.module.add_metadata([ir.Constant(_I32, 1)])
        for word in [(place, builder.load(builder.gep(source_line, [place]))) for place in places]:
            builder.store(word[1], builder.gep(target_line, [word[0]])).set_metadata("nontemporal", past)
        return context.get_dummy_value()

    return types.void(target, types.uint64, source, types.uint64), codegen


# Numba's own type for an intrinsic has the typing context as its first parameter; callers do not pass it.
exchange_bits: Callable[..., None] = intrinsic(_exchange_bits)
write_past: Callable[..., None] = intrinsic(_write_past)
