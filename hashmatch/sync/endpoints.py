"""Where the exchanges are, and which of those places are for tests: a table.

Theory of operation
-------------------
A source says in its configuration whether it means a test or a production environment. :func:`check` holds its address
to that: a known host must be of the environment that was stated, this machine itself counts as a test, and everything
that is not this machine must be reached over TLS. Hosts that the table does not know are taken as stated.

What this module deliberately does not do: it asks no name server.

Source: reference formats §3.1, §3.4 to §3.6.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult, urlsplit

from hashmatch.errors import BadConfig

TEST: Final = "test"
PRODUCTION: Final = "production"

HOSTS: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "report.cybertip.org": ("ncmec", PRODUCTION),
        "hashsharing.ncmec.org": ("ncmec", PRODUCTION),
        "lesp.ncmec.org": ("ncmec", PRODUCTION),
        "exttest.cybertip.org": ("ncmec", TEST),
        "hashsharing-test.ncmec.org": ("ncmec", TEST),
        "graph.facebook.com": ("threatexchange", PRODUCTION),
        "api.stopncii.org": ("stopncii", PRODUCTION),
        "beta.terrorismanalytics.org": ("tat", PRODUCTION),
    }
)
"""Host to the kind of source that it is, and its environment."""


def check(name: str, kind: str, url: str, environment: str) -> SplitResult:
    """Return a source's address, judged.

    Raises
    ------
    BadConfig
        It is no address, is not of the stated environment or kind, or would be reached without TLS.

    """
    where = f"sync.sources.{name}.url"
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError as error:
        raise BadConfig(f"{where}: {url!r} is no address: {error}", field=where) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise BadConfig(f"{where}: {url!r} is no address: expected https://host/path", field=where)
    if parts.username is not None or parts.query or parts.fragment:
        raise BadConfig(f"{where}: an address holds no credentials, query or fragment", field=where)
    local = is_this_machine(host)
    if parts.scheme == "http" and not local:
        raise BadConfig(f"{where}: {host} must be reached over TLS: https://", field=where)
    known_kind, known = HOSTS.get(host, (kind, TEST if local else environment))
    if known_kind != kind:
        raise BadConfig(f"{where}: {host} is of kind {known_kind}, not {kind}", field=where)
    if known != environment:
        raise BadConfig(
            f"{where}: {host} is a {known} host, and sync.sources.{name}.environment says {environment}; "
            "nothing was asked of it",
            field=where,
        )
    return parts


def is_this_machine(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
