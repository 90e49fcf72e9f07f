"""What an address in the configuration may be: its shape, TLS, and the environment that its host belongs to.

Theory of operation
-------------------
Whoever talks to others has a table of hosts that it knows and their environments. A known host must be of the
environment that the configuration states, this machine itself counts as a test, and everything that is not this machine
must be reached over TLS. Hosts that no table knows are taken as stated.

What this module deliberately does not do: it asks no name server.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hashmatch.errors import BadConfig

TEST: Final = "test"
PRODUCTION: Final = "production"


def parsed(where: str, url: str) -> SplitResult:
    """Return the parts of an address; ``where`` is the setting that has it.

    Raises
    ------
    BadConfig
        It is no address of HTTP, holds what does not belong into one, or would be reached without TLS.

    """
    try:
        parts = urlsplit(url)
        host, _ = host_of(parts), parts.port
    except ValueError as error:
        raise BadConfig(f"{where}: {url!r} is no address: {error}", field=where) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise BadConfig(f"{where}: {url!r} is no address: expected https://host/path", field=where)
    if parts.username is not None or parts.query or parts.fragment:
        raise BadConfig(f"{where}: an address holds no credentials, query or fragment", field=where)
    if parts.scheme == "http" and not is_this_machine(host):
        raise BadConfig(f"{where}: {host} must be reached over TLS: https://", field=where)
    return parts


def check_environment(where: str, parts: SplitResult, environment: str, hosts: Mapping[str, str]) -> None:
    """Refuse an address whose host is known to be of another environment than the stated one.

    Parameters
    ----------
    where : str
        The setting that has the address; its neighbour ``environment`` is named in the message.
    hosts : mapping
        Host, in lower case, to its environment.

    Raises
    ------
    BadConfig
        It is.

    """
    host = host_of(parts)
    known = hosts.get(host, TEST if is_this_machine(host) else environment)
    if known != environment:
        raise BadConfig(
            f"{where}: {host} is a {known} host, and {where.removesuffix('url')}environment says {environment}; "
            "nothing was asked of it",
            field=where,
        )


def host_of(parts: SplitResult) -> str:
    """Return the host in lower case, without the dot that a full name may end in."""
    return (parts.hostname or "").lower().removesuffix(".")


def is_this_machine(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
