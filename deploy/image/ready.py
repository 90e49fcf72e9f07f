"""Exit 0 when the service can answer: the index is loaded and confined workers are alive (the image's HEALTHCHECK).

    python ready.py ADDRESS

Health needs no key. Where the service has a certificate, HASHMATCH_TLS_CA, HASHMATCH_TLS_NAME and, where it asks for
one, HASHMATCH_TLS_CERTIFICATE and HASHMATCH_TLS_KEY say how to reach it, as for every command.

What this module deliberately does not do: it starts, wakes or repairs nothing, and it sends no image.
"""

# ruff: noqa: INP001 - a program of the image, not of a package

from __future__ import annotations

import os
import sys

from hashmatch.client import Access, Client
from hashmatch.errors import HashmatchError

NAMES = ("ca", "name", "certificate", "key")
TIMEOUT_S = 5.0
"""Below the healthcheck's own timeout, so that the reason is still written."""


def main(address: str) -> int:
    """Return 0 or 1, the only codes that engines give a meaning; say on stderr why it is 1."""
    try:
        said = {name: os.environ.get(f"HASHMATCH_TLS_{name.upper()}", "") for name in NAMES}
        with Client(address, access=Access.from_files(**said)) as client:
            client.wait_ready(TIMEOUT_S)
    except HashmatchError as error:
        sys.stderr.write(f"{error.message}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
