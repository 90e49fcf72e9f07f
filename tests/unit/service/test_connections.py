"""A port that is reserved, shared by those who listen, and nobody else's."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
from collections.abc import Iterator

import pytest

from hashmatch.errors import BadConfig
from hashmatch.service import connections
from hashmatch.service.address import Address


@contextlib.contextmanager
def reserved(host: str = "127.0.0.1") -> Iterator[Address]:
    """Hold a free port."""
    taken, held = connections.reserve(Address(host, 0))
    try:
        yield taken
    finally:
        for each in held:
            each.close()


def listener(port: int) -> socket.socket:
    """Listen beside a reservation, as gRPC does."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    made.listen()
    return made


def test_a_reserved_port_refuses_connections_until_somebody_listens() -> None:
    with reserved() as taken:
        assert taken.port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", taken.port))
        with listener(taken.port), socket.create_connection(("127.0.0.1", taken.port)):
            pass


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_reserved_port_is_nobody_elses(host: str) -> None:
    with reserved(host) as taken:
        with pytest.raises(BadConfig, match=f"cannot listen on {host}:{taken.port}; is another server running there"):
            connections.reserve(taken)
        with socket.socket() as other, pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", taken.port or 0))


def test_any_port_is_one_that_every_address_of_the_host_has_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel gives one for the first address; it may be somebody's on the second."""
    both = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 0)) for host in ("127.0.0.1", "127.0.0.2")]
    monkeypatch.setattr("hashmatch.service.connections.socket.getaddrinfo", lambda *_, **__: both)
    asked: list[object] = []
    bind = connections._bind

    def taken_at_first(sock: socket.socket, where: tuple[object, ...]) -> None:
        asked.append(where[0])
        if len(asked) == 2:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
        bind(sock, where)

    monkeypatch.setattr(connections, "_bind", taken_at_first)
    with reserved("some.host") as taken:
        assert asked == ["127.0.0.1", "127.0.0.2"] * 2
    asked.clear()
    with pytest.raises(BadConfig, match=f"cannot listen on some.host:{taken.port}; is another server running there"):
        connections.reserve(taken)
    assert asked == ["127.0.0.1", "127.0.0.2"], "a port that was named is not looked for elsewhere"


def test_a_port_that_others_share_is_refused() -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(BadConfig, match="is another server running there"):
            connections.reserve(Address("127.0.0.1", other.getsockname()[1]))


def test_an_address_that_is_not_ours_is_refused() -> None:
    with pytest.raises(BadConfig, match=r"cannot listen on 192.0.2.1:0"):
        connections.reserve(Address("192.0.2.1", 0))


def test_who_ends_listening_keeps_connections_and_gets_no_more() -> None:
    with reserved() as taken, contextlib.ExitStack() as opened:
        port = taken.port or 0
        leaving = opened.enter_context(listener(port))
        client = opened.enter_context(socket.create_connection(("127.0.0.1", port)))
        select.select([leaving], [], [])  # the kernel may tell the one side of it before it tells the other
        assert connections._waiting(leaving) == 1
        server = opened.enter_context(leaving.accept()[0])
        assert connections._waiting(leaving) == 0
        assert connections.count(port) == 1
        connections.end_listening(port)
        client.sendall(b"still there")
        assert server.recv(100) == b"still there"
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with listener(port) as staying, socket.create_connection(("127.0.0.1", port)):
            staying.accept()[0].close()
        server.close()
        assert connections.count(port) == 0
