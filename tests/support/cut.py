"""A way to PostgreSQL that can be cut: through a network namespace where this user may make one, else a proxy.

Theory of operation
-------------------
Both begin with a :class:`Forwarder`, which takes connections and hands bytes on in both directions. :class:`Namespace`
puts a pair of virtual interfaces before it, and cutting takes one down: packets vanish and nobody is told, as with a
pulled cable. Without the rights for that, :class:`Forwarder` itself is cut: it drops its connections and takes no new
ones, as with a firewall that resets. Nothing of either leaves this machine.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from typing import Protocol, Self


class Link(Protocol):
    """A way that can be cut."""

    prefix: tuple[str, ...]
    """What a command is started with so that it uses the way."""
    host: str
    port: int

    def cut(self) -> None:
        """Let nothing through."""

    def heal(self) -> None:
        """Let everything through again."""

    def close(self) -> None:
        """Take the way away."""


class Forwarder:
    """Takes connections on one address and hands everything on to a port of 127.0.0.1."""

    prefix: tuple[str, ...] = ()

    def __init__(self, to_port: int, host: str = "127.0.0.1") -> None:
        self.host = host
        self._to_port = to_port
        self._listening = socket.create_server((host, 0))
        self.port: int = self._listening.getsockname()[1]
        self._through = True
        self._cutting = threading.Lock()
        self._pairs: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._to_port))
            except OSError:  # PostgreSQL is down: so is the way to it
                near.close()
                continue
            with self._cutting:  # a connection is seen by whoever cuts, or sees that it was cut
                through = self._through
                self._pairs += [near, far]
            if not through:
                self._drop()
                continue
            self._start(self._pump, near, far)
            self._start(self._pump, far, near)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drop what is connected and refuse the rest."""
        with self._cutting:
            self._through = False
        self._drop()

    def heal(self) -> None:
        """Take connections again."""
        with self._cutting:
            self._through = True

    def close(self) -> None:
        """End it."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._drop()
        for thread in self._threads:
            thread.join()
        for end in self._pairs:
            end.close()

    def _drop(self) -> None:
        for end in self._pairs:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Namespace:
    """A network namespace with one cable to this machine, at whose end a forwarder waits."""

    def __init__(self, to_port: int) -> None:
        self._name = f"hm{os.getpid()}"
        high, low = divmod(os.getpid() % (1 << 15), 1 << 8)
        net = f"10.{100 + high}.{low}"  # private, and of this process: .1 outside and .2 inside
        self.prefix: tuple[str, ...] = ("ip", "netns", "exec", self._name)
        try:
            _ip("netns", "add", self._name)
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self._name)
            _ip("address", "add", f"{net}.1/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            for command in (
                ("address", "add", f"{net}.2/30", "dev", self._far), ("link", "set", self._far, "up"),
                ("link", "set", "lo", "up"),
            ):  # fmt: skip
                _ip("-netns", self._name, *command)
            self._forwarder = Forwarder(to_port, f"{net}.1")
        except BaseException:
            self._remove()
            raise
        self.host, self.port = self._forwarder.host, self._forwarder.port

    @property
    def _near(self) -> str:
        return f"{self._name}a"

    @property
    def _far(self) -> str:
        return f"{self._name}b"

    def __enter__(self) -> Self:
        return self

    def cut(self) -> None:
        """Pull the cable."""
        _ip("-netns", self._name, "link", "set", self._far, "down")

    def heal(self) -> None:
        """Put it back."""
        _ip("-netns", self._name, "link", "set", self._far, "up")

    def close(self) -> None:
        """Remove everything."""
        self._forwarder.close()
        self._remove()

    def _remove(self) -> None:
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._near)
        with contextlib.suppress(subprocess.CalledProcessError):
            _ip("netns", "delete", self._name)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)  # noqa: S607  wherever it is installed


def link(to_port: int) -> Link:
    """Make the best way that this user may make."""
    if os.getuid() == 0 and shutil.which("ip"):
        with contextlib.suppress(subprocess.CalledProcessError):
            return Namespace(to_port)
    return Forwarder(to_port)
