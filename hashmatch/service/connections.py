"""The TCP sockets of this process on one port: reserved by the supervisor, listened on and counted by its processes.

Theory of operation
-------------------
:func:`reserve` binds a port without listening. It asks for the port alone first, and only then allows others of the
same user to share it (SO_REUSEPORT), so that a port which anybody else has, shared or not, is refused. Connections go
to those who listen, so the reservation takes none; it keeps the port while processes come and go.

gRPC for Python cannot end its listening without ending its calls. :func:`end_listening` does, by shutting the
listening sockets down: the kernel gives new connections to the other processes, gRPC notes that accepting failed, and
calls go on.

What this module deliberately does not do: it accepts, reads and closes nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hashmatch.errors import BadConfig
from hashmatch.service.address import Address

_FAMILIES: Final = frozenset({socket.AF_INET, socket.AF_INET6})
_MOST_PORTS: Final = 20
"""Ports that are tried where any will do: a host that has several addresses needs one that is free on all of them."""
_LOOK_S: Final = 0.001
_MOST_LOOKS: Final = 1_000
"""gRPC's own thread accepts within microseconds once it runs, which on a machine that is full may take a hundred
milliseconds; one that does not for a second has other troubles."""


def reserve(wanted: Address) -> tuple[Address, tuple[socket.socket, ...]]:
    """Bind every address that the host has; return the address with the real port, and what holds it.

    Raises
    ------
    BadConfig
        The port is somebody's, or the host is not this machine's.

    """
    tries = 1 if wanted.port else _MOST_PORTS
    while True:
        try:
            held = _held(wanted.host.removeprefix("[").removesuffix("]"), wanted.port or 0)
        except OSError as error:
            tries -= 1
            if tries and error.errno == errno.EADDRINUSE:
                continue
            raise BadConfig(
                f"server.listen: cannot listen on {wanted.target}; is another server running there, or is the "
                "address not this machine's?",
                field="server.listen",
            ) from error
        return Address(wanted.host, held[0].getsockname()[1]), held


def _held(host: str, port: int) -> tuple[socket.socket, ...]:
    """Bind every address of a host to one port. Raises OSError, also where it is free on some of them only."""
    with contextlib.ExitStack() as opened:
        held: list[socket.socket] = []
        for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            held.append(opened.enter_context(socket.socket(family, kind, protocol)))
            _bind(held[-1], (*where[:1], port, *where[2:]))
            port = held[-1].getsockname()[1]
        opened.pop_all()
    return tuple(held)


def _bind(taken: socket.socket, where: tuple[object, ...]) -> None:
    """Bind alone, then let others in: the kernel compares the options that sockets have when the later one binds."""
    if taken.family == socket.AF_INET6:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that have ended hold no port
    taken.bind(where)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)


def end_listening(port: int) -> None:
    """Shut every socket of this process down that listens on ``port``, when nobody waits there to be accepted.

    The kernel resets a connection that is not accepted by then, and one whose handshake is under way, unless
    ``net.ipv4.tcp_migrate_req`` lets another listener have it (docs/guide/deploy.md).
    """
    for found in _sockets(port):
        if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            for _ in range(_MOST_LOOKS):
                if not _waiting(found):
                    break
                time.sleep(_LOOK_S)
            found.shutdown(socket.SHUT_RDWR)


def _waiting(listening: socket.socket) -> int:
    """Return how many connections wait to be accepted: of a socket that listens, ``tcpi_unacked`` counts those."""
    (unacked,) = struct.unpack_from("=I", listening.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 24)
    return int(unacked)


def count(port: int) -> int:
    """Return how many connections this process has that came in through ``port``."""
    found = 0
    for each in _sockets(port):
        with contextlib.suppress(OSError):
            each.getpeername()
            found += 1
    return found


def _sockets(port: int) -> Iterator[socket.socket]:
    """Yield a copy of each TCP socket of this process that is bound to ``port``; closed when the next is asked for."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since the directory was read
            if not str(entry.readlink()).startswith("socket:"):
                continue
            with socket.socket(fileno=os.dup(int(entry.name))) as found:
                if found.family in _FAMILIES and found.getsockname()[1] == port:
                    yield found
