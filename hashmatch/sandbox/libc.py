"""The few C library calls that Python's standard library does not offer.

Theory of operation
-------------------
``ctypes`` opens the running process's own C library, which needs no look-up on disk (``ctypes.util.find_library`` would
write a temporary file and run a compiler). Every wrapper turns a failure into ``OSError`` with its errno.

What this module deliberately does not do: it decides nothing; which calls are made, and what their failure means, is
``confine``'s business.

Source
------
prctl(2), syscall(2), mlock2(2); ``linux/prctl.h``.
"""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG = 1
PR_GET_PDEATHSIG = 2
PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39

_MLOCK_ONFAULT = 1

_libc = ctypes.CDLL(None, use_errno=True)
_libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)
_libc.prctl.restype = ctypes.c_int
_libc.syscall.restype = ctypes.c_long


def prctl(option: int, value: int = 0, address: int = 0) -> int:
    """Call prctl(2); unused arguments are zero, as newer options demand.

    Raises
    ------
    OSError
        With the kernel's errno.

    """
    result = int(_libc.prctl(option, value, address, 0, 0))
    if result < 0:
        _raise(f"prctl {option}")
    return result


def parent_death_signal() -> int:
    """Signal that the kernel sends this process when its parent dies, 0 for none."""
    answer = ctypes.c_int(0)
    prctl(PR_GET_PDEATHSIG, ctypes.addressof(answer))
    return answer.value


def syscall(number: int, *arguments: int) -> int:
    """Call the kernel by number; every argument is passed as an unsigned long.

    Raises
    ------
    OSError
        With the kernel's errno.

    """
    result = int(_libc.syscall(ctypes.c_long(number), *(ctypes.c_ulong(argument) for argument in arguments)))
    if result < 0:
        _raise(f"system call {number}")
    return result


def lock_when_touched(address: int, length: int) -> None:
    """Keep a mapping's pages out of swap from the moment each is first touched.

    Raises
    ------
    OSError
        ENOMEM or EPERM where RLIMIT_MEMLOCK is too small for ``length`` bytes.

    """
    result = _libc.mlock2(ctypes.c_void_p(address), ctypes.c_size_t(length), ctypes.c_int(_MLOCK_ONFAULT))
    if result != 0:
        _raise("mlock2")


def _raise(what: str) -> None:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")
