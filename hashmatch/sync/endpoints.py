"""Where the exchanges are, and which of those places are for tests: a table.

Theory of operation
-------------------
A source says in its configuration whether it means a test or a production environment. :func:`check` holds its address
to that as ``hashmatch.addresses`` does, and a known host to the kind of source that it is.

What this module deliberately does not do: it asks no name server.

Source: reference formats §3.1, §3.4 to §3.6.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import SplitResult

from hashmatch.addresses import PRODUCTION, TEST, check_environment, host_of, parsed
from hashmatch.errors import BadConfig

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
    parts = parsed(where, url)
    known_kind, _ = HOSTS.get(host_of(parts), (kind, ""))
    if known_kind != kind:
        raise BadConfig(f"{where}: {host_of(parts)} is of kind {known_kind}, not {kind}", field=where)
    check_environment(where, parts, environment, {host: known for host, (_, known) in HOSTS.items()})
    return parts
