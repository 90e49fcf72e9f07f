"""Landlock: give up every right to files, networks and other processes, but for TCP to named ports.

Theory of operation
-------------------
A Landlock rule set names the rights that it *handles*; what is handled and not granted by a rule is denied. Ours
handles everything that the running kernel knows and holds no rule but for the ports that may be connected to, so
everything else is denied. The kernel's ABI version says which rights exist: asking for an unknown one is an error, so
each version adds its own bits here. Versions above the newest known here are used like the newest one.

What this module deliberately does not do: it grants no file, and it cannot hold UDP, which Landlock does not know;
``seccomp`` decides whether there are such sockets. Rights that were exercised before (open descriptors) survive; the
worker closes those it does not need.

Source
------
Linux ``Documentation/userspace-api/landlock.rst`` and ``linux/landlock.h``, ABI 1 to 7.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

from hashmatch.sandbox import libc

# The same on every architecture: these calls are younger than the unified numbering.
_NR_CREATE_RULESET = 444
_NR_ADD_RULE = 445
_NR_RESTRICT_SELF = 446
_CREATE_RULESET_VERSION = 1

_FS_RIGHTS_BY_ABI = (
    (1, (1 << 13) - 1),  # execute, read, write, list, remove, make: thirteen rights
    (2, 1 << 13),  # refer: link or rename across directories
    (3, 1 << 14),  # truncate
    (5, 1 << 15),  # ioctl on devices
)
_CONNECT_TCP = 0b10
_NET_RIGHTS_BY_ABI = ((4, 0b01 | _CONNECT_TCP),)  # TCP bind and connect
_RULE_NET_PORT = 2
_SCOPES_BY_ABI = ((6, 0b11),)  # abstract unix sockets and signals of processes outside


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _NetPortAttr(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


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


def deny_everything(*, but_connect_to: Iterable[int] = ()) -> int:
    """Deny this process all that Landlock can deny, for good; return the ABI version used.

    ``no_new_privs`` must be set before. Below ABI 4 the kernel cannot hold networks, and does not.

    Parameters
    ----------
    but_connect_to : iterable of int, optional
        TCP ports, on any host, that may still be connected to.

    Raises
    ------
    OSError
        Landlock is missing, switched off or refused.

    """
    version = abi()
    attr, size = _handled(version)
    ruleset = libc.syscall(_NR_CREATE_RULESET, ctypes.addressof(attr), size, 0)
    try:
        if attr.handled_access_net:
            for port in but_connect_to:
                rule = _NetPortAttr(_CONNECT_TCP, port)
                libc.syscall(_NR_ADD_RULE, ruleset, _RULE_NET_PORT, ctypes.addressof(rule), 0)
        libc.syscall(_NR_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version
