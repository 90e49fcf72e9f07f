"""Ports for servers that must be told one: nobody else's from the moment they are chosen until the test is over.

Theory of operation
-------------------
A port that was free a moment ago may be anybody's by the time a server has started. So the port is bound, and not
listened on, for as long as it is needed. With ``SO_REUSEADDR`` on both sides Linux lets one server listen beside that
(asyncio, PostgreSQL and gRPC ask for it), also after another one on the port has ended; it gives the port to nobody who
asks for any, neither to listen nor to connect from. While nobody listens, connections are refused.
"""

from __future__ import annotations

import socket


def reserved_port(port: int = 0) -> socket.socket:
    """Reserve a port of 127.0.0.1, any by default, until ``close``. Raises OSError and OverflowError."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
    except BaseException:
        held.close()
        raise
    return held
