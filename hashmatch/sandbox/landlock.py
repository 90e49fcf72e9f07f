"""Landlock: give up every right to files, networks and other processes.

Theory of operation
-------------------
A Landlock rule set names the rights that it *handles*; what is handled and not granted by a rule is denied. Ours
handles everything that the running kernel knows and holds no rule at all, so everything is denied. The kernel's ABI
version says which rights exist: asking for an unknown one is an error, so each version adds its own bits here.
Versions above the newest known here are used like the newest one.

What this module deliberately does not do: it grants nothing, so there is no rule type. Rights that were exercised
before (open descriptors) survive; the worker closes those it does not need.

Source
------
Linux ``Documentation/userspace-api/landlock.rst`` and ``linux/landlock.h``, ABI 1 to 7.
"""

from __future__ import annotations

import ctypes
import os

from hashmatch.sandbox import libc

# The same on every architecture: these calls are younger than the unified numbering.
_NR_CREATE_RULESET = 444
_NR_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1

_FS_RIGHTS_BY_ABI = (
    (1, (1 << 13) - 1),  # execute, read, write, list, remove, make: thirteen rights
    (2, 1 << 13),  # refer: link or rename across directories
    (3, 1 << 14),  # truncate
    (5, 1 << 15),  # ioctl on devices
)
_NET_RIGHTS_BY_ABI = ((4, 0b11),)  # TCP bind and connect
_SCOPES_BY_ABI = ((6, 0b11),)  # abstract unix sockets and signals of processes outside


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def abi() -> int:
    """Landlock ABI version of the running kernel.

    Raises
    ------
    OSError
        ENOSYS where the kernel was built without Landlock, EOPNOTSUPP where it is switched off at boot.

    """
    return libc.syscall(_NR_CREATE_RULESET, 0, 0, _CREATE_RULESET_VERSION)


def _handled(version: int) -> tuple[_RulesetAttr, int]:
    """Everything that ``version`` can deny, and how many bytes of the structure it knows."""
    attr = _RulesetAttr()
    attr.handled_access_fs = sum(bits for since, bits in _FS_RIGHTS_BY_ABI if since <= version)
    attr.handled_access_net = sum(bits for since, bits in _NET_RIGHTS_BY_ABI if since <= version)
    attr.scoped = sum(bits for since, bits in _SCOPES_BY_ABI if since <= version)
    known = 8 if version < _NET_RIGHTS_BY_ABI[0][0] else 16 if version < _SCOPES_BY_ABI[0][0] else 24
    return attr, known


def deny_everything() -> int:
    """Deny this process all that Landlock can deny, for good; return the ABI version used.

    ``no_new_privs`` must be set before.

    Raises
    ------
    OSError
        Landlock is missing, switched off or refused.

    """
    version = abi()
    attr, size = _handled(version)
    ruleset = libc.syscall(_NR_CREATE_RULESET, ctypes.addressof(attr), size, 0)
    try:
        libc.syscall(_NR_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version
