"""Modules for the inside of a confined process: one that works on bytes, one that attacks from where the network is.

Run as ``python -m tests.support.hotline.children`` (``children_networked`` for the second), by
:class:`hashmatch.hotline.confined.child.Child`. A question's ``do`` names what is done; the answer says ``done`` or
the name of the errno.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hashmatch.hotline.confined import inside
from hashmatch.hotline.confined.framing import Header
from hashmatch.sandbox.networked import Reach

MSG_FASTOPEN = 0x20000000
IPPROTO_MPTCP = 262
SO_MARK = 36


def _open_file(_: Header) -> None:
    os.close(os.open("/etc/passwd", os.O_RDONLY))


def _socket(*arguments: int) -> Callable[[Header], None]:
    return lambda _: socket.socket(*arguments).close()


def _connect(header: Header) -> None:
    with socket.socket() as made:
        made.settimeout(0)
        try:
            made.connect(("127.0.0.1", int(header["port"])))
        except BlockingIOError:
            return


def _fast_open(header: Header) -> None:
    with socket.socket() as made:
        made.sendto(b"GET", MSG_FASTOPEN, ("127.0.0.1", int(header["port"])))


def _listen(_: Header) -> None:
    with socket.socket() as made:
        made.listen()


def _bind(_: Header) -> None:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))


def _mark(_: Header) -> None:
    with socket.socket() as made:
        made.setsockopt(socket.SOL_SOCKET, SO_MARK, 1)


def _fork(_: Header) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _datagram(header: Header) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"hello", ("127.0.0.1", int(header["port"])))


def _ptrace(_: Header) -> None:
    if ctypes.CDLL(None, use_errno=True).ptrace(0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


def _raise(_: Header) -> None:
    raise RuntimeError("a stranger's secret words")


ATTACKS: dict[str, Callable[[Header], object]] = {
    "open": _open_file,
    "list": lambda _: list(Path("/").iterdir()),
    "socket": _socket(),
    "mptcp": _socket(socket.AF_INET, socket.SOCK_STREAM, IPPROTO_MPTCP),
    "raw": _socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    "unix": _socket(socket.AF_UNIX, socket.SOCK_STREAM),
    "netlink": _socket(socket.AF_NETLINK, socket.SOCK_RAW, 0),
    "packet": _socket(socket.AF_PACKET, socket.SOCK_RAW, 0),
    "connect": _connect,
    "fast-open": _fast_open,
    "datagram": _datagram,
    "listen": _listen,
    "bind": _bind,
    "mark": _mark,
    "execute": lambda _: os.execv("/bin/true", ["true"]),  # noqa: S606 - the attack
    "fork": _fork,
    "ptrace": _ptrace,
    "kill-parent": lambda _: os.kill(os.getppid(), 0),
    "memfd": lambda _: os.close(os.memfd_create("attack")),
    "raise": _raise,
    "exit": lambda _: os._exit(3),
    "sleep": lambda header: time.sleep(float(header["seconds"])),
}


def work(header: Header, body: bytes) -> inside.Answer:
    """Attack, or give the body back turned around."""
    attack = ATTACKS.get(str(header.get("do", "")))
    if attack is None:
        return {"echo": header.get("say", ""), "environment": sorted(os.environ)}, body[::-1]
    try:
        attack(header)
    except OSError as error:
        return {"met": errno.errorcode[error.errno or 0]}, b""
    return {"met": "done"}, b""


class Network:
    """The same with an event loop."""

    def __init__(self, settings: Any) -> None:
        self.reach = Reach(tuple(settings["ports"]), bool(settings["datagrams"]), 256)

    async def answer(self, header: Header, body: bytes) -> inside.Answer:
        """Do one piece of work; ``wait`` keeps others from being kept waiting."""
        if header.get("do") == "wait":
            await asyncio.sleep(float(header["seconds"]))
        return work(header, body)

    async def close(self) -> None:
        """Nothing is held."""


async def prepare_network(settings: inside.Settings) -> Network:
    """Make what works in the network."""
    return Network(settings)


if __name__ == "__main__":
    sys.exit(inside.serve(lambda _: work))
