"""Waking a follower at the moment of a commit, by PostgreSQL's LISTEN and NOTIFY.

Theory of operation
-------------------
One thread holds one connection of its own and waits for announcements, which a trigger makes with each commit. All it
does with one is to call ``wake``: what changed, the follower reads from the feed. So an announcement that is lost or
comes twice costs nothing but time.

When the connection breaks, the thread connects again, after a pause that doubles from ``FIRST_PAUSE_S`` to
``LONGEST_PAUSE_S``; having connected it calls ``wake`` at once, because changes may have been announced meanwhile.
Followers poll all the time, so that nothing depends on this thread: not behind a proxy that swallows announcements, and
not while :attr:`Listener.announced` is False.

What this module deliberately does not do: it reads no table.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
from collections.abc import Callable

import psycopg

from hashmatch.catalog.postgres_connections import Connection, Connections, mapped
from hashmatch.errors import HashmatchError

CHANNEL = "hashmatch"
"""What the trigger of migration 2 announces on."""

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0

_log = logging.getLogger("hashmatch.catalog")


class Listener:
    """A thread that listens until it is closed.

    Parameters
    ----------
    connections
        Where to connect to.
    wake
        Called from the thread; must not block and must not raise.

    """

    def __init__(self, connections: Connections, wake: Callable[[], None]) -> None:
        self._connections = connections
        self._wake = wake
        self._announced = False
        self._end, self._ended = socket.socketpair()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hashmatch-listener", daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Listener: {'listening' if self._announced else 'not connected'}>"

    @property
    def announced(self) -> bool:
        """Whether changes are announced at the moment."""
        return self._announced

    def close(self) -> None:
        """End the thread. Safe to call twice."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._end.send(b"\0")
        self._thread.join()
        self._end.close()
        self._ended.close()

    def _run(self) -> None:
        pause_s = FIRST_PAUSE_S
        while not self._closing.is_set():
            try:
                with contextlib.closing(self._connections.connect()) as connection:
                    pause_s = FIRST_PAUSE_S
                    self._listen(connection)
            except HashmatchError as error:
                if self._announced or pause_s == FIRST_PAUSE_S:
                    _log.warning("changes are not announced, the catalog is polled meanwhile: %s", error)
                self._announced = False
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
        self._announced = False

    def _listen(self, connection: Connection) -> None:
        """Wait for announcements until the end is near; raises when the connection breaks."""
        with mapped(self._connections.where), selectors.DefaultSelector() as selector:
            connection.execute(f"LISTEN {CHANNEL}".encode())
            selector.register(connection.fileno(), selectors.EVENT_READ)
            selector.register(self._ended, selectors.EVENT_READ)
            self._announced = True
            _log.info("changes are announced by %s", self._connections.where)
            self._wake()
            while not self._closing.is_set():
                selector.select()
                if any([*connection.notifies(timeout=0)]):
                    self._wake()
                if connection.closed:
                    raise psycopg.OperationalError("the connection that listened broke")
