"""How far the machine's clock may be trusted, as the kernel says.

Theory of operation
-------------------
``adjtimex`` with no mode bits only reads. Whoever keeps the clock in step (chrony, ntpd, systemd-timesyncd) tells the
kernel the largest error that it may have; ``STA_UNSYNC`` says that nobody does.

What this module deliberately does not do: it asks no time server, and corrects nothing.

Source: adjtimex(2); linux/include/uapi/linux/timex.h.
"""

from __future__ import annotations

import ctypes
import functools
from dataclasses import dataclass
from typing import Any, Final

_STA_UNSYNC: Final = 0x0040
_STRUCT_BYTES: Final = 256
"""``struct timex`` has 208 on 64-bit Linux."""


class _Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * (_STRUCT_BYTES - 44)),
    )


@dataclass(frozen=True, slots=True)
class Trust:
    """What the kernel says of its clock. ``synchronised`` is None where it cannot be asked; the error is then 0."""

    synchronised: bool | None = None
    max_error_us: int = 0


@functools.cache
def _adjtimex() -> Any:
    """Return the C library's function; None where it has none."""
    return getattr(ctypes.CDLL(None), "adjtimex", None)


def trust() -> Trust:
    """Ask the kernel."""
    adjtimex = _adjtimex()
    if adjtimex is None:
        return Trust()
    state = _Timex()
    if adjtimex(ctypes.byref(state)) < 0:
        return Trust()
    return Trust(not state.status & _STA_UNSYNC, int(state.maxerror))
