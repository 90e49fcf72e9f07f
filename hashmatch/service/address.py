"""Where a server may listen: a pure judgement of the text in ``server.listen``.

Where callers are not known, whoever reaches the port may search and change the hash sets, and where the way is not
encrypted, whoever is on it can read keys and pictures. So only loopback addresses and Unix sockets are accepted without
both, unless the configuration says otherwise. Names other than ``localhost``
are not resolved: what a name points to may change after it was judged.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import BadConfig

MAX_UNIX_PATH_BYTES: Final = 107
"""``sun_path`` of Linux's ``sockaddr_un`` without its closing zero."""

_NO_TLS: Final = "the way is not encrypted (server.tls.certificate)"
_NO_CALLERS: Final = "callers are not known (`hashmatch keys create`)"
_MAX_PORT: Final = 65_535
_FORMS = "expected host:port, [ipv6]:port or unix:/path"


@dataclass(frozen=True, slots=True)
class Address:
    """A judged address; ``port`` is None for a Unix socket, 0 for any free port."""

    host: str
    port: int | None

    @property
    def target(self) -> str:
        """The address as gRPC servers and clients take it."""
        return self.host if self.port is None else f"{self.host}:{self.port}"


def judged(listen: str, *, encrypted: bool, callers_known: bool, allow_insecure_remote: bool) -> Address:
    """Return the address to listen on.

    Raises
    ------
    BadConfig
        Not an address, or one beyond this machine without TLS, without knowledge of who calls, and without
        ``allow_insecure_remote``.

    """
    if listen.startswith("unix:"):
        return _unix(listen)
    host, colon, port_text = listen.rpartition(":")
    if not colon or not host or not (port_text.isascii() and port_text.isdigit()) or int(port_text) > _MAX_PORT:
        raise BadConfig(f"server.listen: {listen!r} is not an address; {_FORMS}", field="server.listen")
    lacking = [what for what, there in ((_NO_TLS, encrypted), (_NO_CALLERS, callers_known)) if not there]
    if lacking and not _is_loopback(host) and not allow_insecure_remote:
        raise BadConfig(
            f"server.listen: {listen} can be reached from other machines, and {' and '.join(lacking)}; add what is "
            "missing, listen on 127.0.0.1 or unix:/path, or set server.allow_insecure_remote = true behind a proxy "
            "that does it",
            field="server.listen",
        )
    return Address(host, int(port_text))


def _unix(listen: str) -> Address:
    path = listen.removeprefix("unix:")
    if path.startswith("//"):
        path = path.removeprefix("//")
    size = len(path.encode())
    if not path or size > MAX_UNIX_PATH_BYTES:
        raise BadConfig(
            f"server.listen: the socket's path has {size} bytes; 1 to {MAX_UNIX_PATH_BYTES} are possible",
            field="server.listen",
        )
    return Address(f"unix:{path}", None)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False
