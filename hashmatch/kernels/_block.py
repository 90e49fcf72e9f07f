"""Many arrays as one argument: a block of addresses that a kernel reads arrays from.

Theory of operation
-------------------
A call from Python costs Numba about 0.2 microseconds per array argument, more than a search over a hundred thousand
codes has to spend on all of them. And a kernel that hands twenty arrays to another one copies 150 machine words onto
the stack. So arrays that stay the same from call to call are written down once: :class:`Block` checks their types and
keeps them alive, ``words`` holds, for each, its address and its shape. Inside a kernel a :func:`reader` makes an array
of them again, which costs a load or two.

What this module deliberately does not do: nothing at run time tells a kernel that a block is not the one it expects.
A block is made where the kernel's call is made, and nowhere else.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj
from numba.np.numpy_support import as_dtype

from hashmatch.kernels._jit import readonly, uint64

_dtype = functools.cache(as_dtype)
"""NumPy's name of one of Numba's types; Numba takes three microseconds to find it."""
Layout = Mapping[str, types.Array]
"""Name and type of every array of a block; the order is that of their addresses."""
BLOCK: Final = readonly(uint64)
"""Type of :attr:`Block.words` in a kernel's signature."""
_WORDS: Final = 4
"""Words of a block per array: its address, and the lengths of up to three dimensions."""


class Block:
    """Arrays by address.

    Parameters
    ----------
    layout
        What the kernel expects.
    arrays
        One for each name, C-ordered. They are kept alive, and must not be resized.

    Raises
    ------
    TypeError
        When an array is not what the layout says: a mistake in the program.

    """

    __slots__ = ("arrays", "words")

    def __init__(self, layout: Layout, **arrays: npt.NDArray[Any]) -> None:
        self.arrays = arrays
        self.words = np.zeros(_WORDS * len(layout), dtype=np.uint64)
        if set(layout) != set(arrays):
            raise TypeError(f"expected {', '.join(layout)}, got {', '.join(arrays)}")
        for slot, (name, expected) in enumerate(layout.items()):
            array = arrays[name]
            fits = (array.dtype, array.ndim) == (_dtype(expected.dtype), expected.ndim)
            if not fits or not array.flags.c_contiguous:
                raise TypeError(f"{name} is {expected}, got {array.dtype} {array.shape}")
            self.words[_WORDS * slot] = array.__array_interface__["data"][0]
            self.words[_WORDS * slot + 1 : _WORDS * slot + 1 + array.ndim] = array.shape

    def __repr__(self) -> str:
        return f"<Block of {', '.join(self.arrays)}>"


def reader(layout: Layout, name: str) -> Callable[[npt.NDArray[np.uint64]], npt.NDArray[Any]]:
    """Return the function by which kernels read one of the arrays from ``Block.words``."""
    pack: Any = cgutils.pack_array
    populate: Any = arrayobj.populate_array
    array_type, first = layout[name], _WORDS * list(layout).index(name)

    def array_in(_typing: Any, block: Any) -> Any:
        return array_type(block), codegen

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = context.make_array(signature.args[0])(context, builder, args[0])
        integer = context.get_value_type(types.intp)
        address, *shape = (
            builder.load(builder.gep(block.data, [integer(first + n)])) for n in range(1 + array_type.ndim)
        )
        item = context.get_data_type(array_type.dtype)
        strides = [integer(context.get_abi_sizeof(item))]
        for length in reversed(shape[1:]):
            strides.insert(0, builder.mul(strides[0], length))
        array = context.make_array(array_type)(context, builder)
        populate(
            array,
            data=builder.inttoptr(address, item.as_pointer()),
            shape=pack(builder, shape, integer),
            strides=pack(builder, strides, integer),
            itemsize=strides[-1],
            meminfo=None,
        )
        return array._getvalue()  # noqa: SLF001 - Numba's way to the value of a structure

    # Numba's own type for an intrinsic has the typing context as its first parameter; callers do not pass it.
    read: Any = intrinsic(array_in)
    return read  # type: ignore[no-any-return]
