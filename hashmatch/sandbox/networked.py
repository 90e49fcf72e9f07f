"""The second lockdown: a process that may use the network, and nothing else.

Theory of operation
-------------------
The steps and their order are those of ``confine``; three of them are wider. Landlock lets TCP connections to named
ports through and still denies every file, every other port, and binding. The limits leave room for so many
descriptors. The filter adds what an event loop and its sockets need, and looks at their arguments:

* ``socket`` makes TCP over IPv4 and IPv6, and UDP where names are resolved here. No other family, and neither MPTCP
  nor SCTP, which Landlock does not hold.
* ``sendto`` and ``sendmsg`` without MSG_FASTOPEN, which would connect past Landlock.
* ``setsockopt`` for TCP_NODELAY and SO_KEEPALIVE only, ``ioctl`` for FIONBIO only.
* ``bind``, ``listen``, ``accept`` and ``execve`` answer EACCES, so that :func:`breaches` can try them and live.

Whatever needs files (modules, certificates, resolv.conf) is done before; whatever is opened later is the network's.

What this module deliberately does not do: it does not know which *hosts* may be connected to; Landlock knows ports
only, so addresses are checked by the code that connects (``hotline.addresses``). UDP is held by nothing but the filter,
which cannot see where a datagram goes.

Source
------
As ``confine``, ``landlock`` and ``seccomp``; ``linux/socket.h`` for flags and families; ``linux/landlock.h`` ABI 4.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import platform
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hashmatch.sandbox import confine, landlock, seccomp
from hashmatch.sandbox.confine import Outcome
from hashmatch.sandbox.seccomp import Checked, Condition, Machine, Rule

_MSG_FASTOPEN = 0x20000000
_TYPE_MASK = 0xF
"""Of the second argument of socket(2), whose other bits are SOCK_CLOEXEC and SOCK_NONBLOCK."""
_FIONBIO = 0x5421
_DEFAULT_PROTOCOL = 0
_TESTED_PORTS = (9, 7, 13, 17, 19)
"""The self-test takes the first that is not allowed; nothing answers on them today."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the process may reach: TCP ports on any host, UDP or not, and so many descriptors."""

    ports: tuple[int, ...]
    datagrams: bool
    descriptors: int


_NUMBERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        "ioctl": 16, "socket": 41, "connect": 42, "accept": 43, "sendto": 44, "sendmsg": 46, "shutdown": 48,
        "bind": 49, "listen": 50, "getsockname": 51, "getpeername": 52, "setsockopt": 54, "getsockopt": 55,
        "execve": 59, "epoll_wait": 232, "epoll_ctl": 233, "epoll_pwait": 281, "accept4": 288, "execveat": 322,
    },
    "aarch64": {
        "epoll_ctl": 21, "epoll_pwait": 22, "ioctl": 29, "socket": 198, "bind": 200, "listen": 201, "accept": 202,
        "connect": 203, "getsockname": 204, "getpeername": 205, "sendto": 206, "setsockopt": 208, "getsockopt": 209,
        "shutdown": 210, "sendmsg": 211, "execve": 221, "accept4": 242, "execveat": 281,
    },
}  # fmt: skip
"""aarch64 has no ``epoll_wait``: its C library asks for ``epoll_pwait``."""

_ALLOWED = ("connect", "shutdown", "getsockname", "getpeername", "getsockopt", "epoll_wait", "epoll_ctl", "epoll_pwait")
_DENIED = ("bind", "listen", "accept", "accept4", "execve", "execveat")


def machine(base: Machine, numbers: Mapping[str, int], *, datagrams: bool) -> Machine:
    """Widen a worker's table by what fetching needs."""
    types = (socket.SOCK_STREAM, *((socket.SOCK_DGRAM,) if datagrams else ()))
    protocols = (_DEFAULT_PROTOCOL, socket.IPPROTO_TCP, *((socket.IPPROTO_UDP,) if datagrams else ()))
    conditions = {
        "socket": (
            Condition(0, (socket.AF_INET, socket.AF_INET6)),
            Condition(1, types, mask=_TYPE_MASK),
            Condition(2, protocols),
        ),
        "sendto": (Condition(3, (0,), mask=_MSG_FASTOPEN),),
        "sendmsg": (Condition(2, (0,), mask=_MSG_FASTOPEN),),
    }
    refused = {
        "setsockopt": (
            Condition(1, (socket.SOL_SOCKET, socket.IPPROTO_TCP)),
            Condition(2, (socket.TCP_NODELAY, socket.SO_KEEPALIVE)),
        ),
        "ioctl": (Condition(1, (_FIONBIO,)),),
    }
    checked = {name: Checked(numbers[name], rules) for name, rules in conditions.items()}
    checked |= {name: Checked(numbers[name], rules, Rule.DENY) for name, rules in refused.items()}
    allowed = {name: number for name, number in base.allowed.items() if name not in checked}
    return dataclasses.replace(
        base,
        allowed=allowed | {name: numbers[name] for name in _ALLOWED if name in numbers},
        denied={**base.denied, **{name: numbers[name] for name in _DENIED}},
        checked={**base.checked, **checked},
    )


def lock_down(memory_bytes: int, parent_pid: int, reach: Reach) -> Outcome:
    """Give up every right but to the network; none of it can be undone.

    Parameters
    ----------
    memory_bytes : int
        Ceiling of the address space.
    parent_pid : int
        The process whose death must end this one.
    reach : Reach
        What may be connected to.

    Returns
    -------
    Outcome
        Failures are in it; nothing is raised.

    """
    abi = 0

    def deny_files_and_ports() -> None:
        nonlocal abi
        abi = landlock.deny_everything(but_connect_to=reach.ports)
        confine.must_fail_to_open(errno.EACCES)
        confine.expect(errno.EACCES, _errno_of(lambda: _connect(reach)))

    def filter_calls() -> None:
        numbers = _NUMBERS.get(platform.machine(), {})
        seccomp.install(machine(seccomp.this_machine(), numbers, datagrams=reach.datagrams))
        confine.expect(errno.EACCES, _errno_of(_listen))  # Landlock does not hold listen(2)

    errnos = confine.taken(
        parent_pid,
        landlock_step=deny_files_and_ports,
        limits_step=lambda: confine.limit(memory_bytes, reach.descriptors),
        seccomp_step=filter_calls,
    )
    return Outcome(errnos, abi)


def breaches(reach: Reach) -> tuple[str, ...]:
    """Try what must not be possible, harmlessly, and name what was.

    The names complete "the process could …".
    """
    attempts: dict[str, Callable[[], None]] = {
        "open a file": lambda: os.close(os.open("/", os.O_RDONLY)),
        "connect to another port": lambda: _connect(reach),
        "listen": _listen,
        "bind": _bind,
        "execute a program": lambda: os.execv("/nowhere/at/all", ["nothing"]),  # noqa: S606 - what is tried
    }
    return tuple(name for name, attempt in attempts.items() if _errno_of(attempt) != errno.EACCES)


def _errno_of(attempt: Callable[[], None]) -> int:
    try:
        attempt()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _connect(reach: Reach) -> None:
    port = next(port for port in _TESTED_PORTS if port not in reach.ports)
    with socket.socket() as tested:
        tested.setblocking(False)  # noqa: FBT003 - the socket's own interface
        tested.connect(("127.0.0.1", port))


def _listen() -> None:
    with socket.socket() as tested:
        tested.listen()


def _bind() -> None:
    with socket.socket() as tested:
        tested.bind(("127.0.0.1", 0))
