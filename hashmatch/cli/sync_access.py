"""What a source that is another hashmatch gets shown: a key, a certificate, and by which roots it is known."""

from __future__ import annotations

from collections.abc import Mapping

from hashmatch.client.access import NOBODY, Access
from hashmatch.credentials import read as secrets_of

SECRETS = ("api_key", "tls_ca", "tls_name", "tls_certificate", "tls_key")
"""The key and the name themselves; of the others, where their files are."""


def client_access(name: str, credentials: str, environ: Mapping[str, str]) -> Access:
    """Return what the credentials of ``[sync.sources.NAME]`` say; nothing where there are none.

    Raises
    ------
    BadConfig
        They are not where the configuration says, or others may read them.
    BadInput
        A file that they name cannot be read.

    """
    if not credentials:
        return NOBODY
    found = secrets_of(f"sync.sources.{name}.credentials", credentials, environ, wanted=(), optional=SECRETS)
    return Access.from_files(
        api_key=found.get("api_key", ""),
        ca=found.get("tls_ca", ""),
        name=found.get("tls_name", ""),
        certificate=found.get("tls_certificate", ""),
        key=found.get("tls_key", ""),
    )
