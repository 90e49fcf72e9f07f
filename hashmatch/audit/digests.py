"""Keyed digests: what was asked about, so that only the holder of a secret can recognise it.

Theory of operation
-------------------
A log of plain digests of pictures would be a list of hashes itself, and anybody who guessed a picture could look
whether it was asked about. So what is recorded is HMAC-SHA-256 under a secret that lies beside the logs and is never in
them. Whoever has the secret and a picture finds its records (``hashmatch audit show --picture``); whoever has only the
log learns which requests were about the same bytes, and nothing else.

The digest of an image is made from its SHA-256, which the engine has anyway, so that a picture of any size costs
microseconds here, and can be looked for by that digest alone. Ids of entries are treated alike, because the catalog
makes them of hash values where a list has none.

What this module deliberately does not do: it does not hide from the secret's holder what is in the log; and a digest
without its purpose is never made: each begins with what it is of.

Source: RFC 2104 (HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.model import EntryHash
from hashmatch.signatures import read_secret, write_secret

SECRET_BYTES: Final = 32
_IMAGE: Final = b"image\0"
_HASHES: Final = b"hashes\0"
_ENTRY: Final = b"entry\0"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Digests under one secret."""

    secret: bytes = field(repr=False)

    def of_image(self, sha256: bytes) -> str:
        """Return the digest for the bytes of an image, given their SHA-256; 64 hex digits, as all here."""
        return self._digest(_IMAGE, sha256)

    def of_hashes(self, hashes: Iterable[EntryHash]) -> str:
        """Return the digest for hashes that a caller gave; their order and quality do not matter."""
        return self._digest(_HASHES, *sorted(item.algorithm.encode() + b":" + item.value for item in hashes))

    def of_entry(self, set_id: str, entry_id: str) -> str:
        """Return the digest for an entry of a set."""
        return self._digest(_ENTRY, set_id.encode(), entry_id.encode())

    def _digest(self, purpose: bytes, *parts: bytes) -> str:
        text = purpose + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
        return hmac.digest(self.secret, text, hashlib.sha256).hex()


def load_pseudonyms(path: Path) -> Pseudonyms:
    """Read the secret of a directory of logs.

    Raises
    ------
    BadInput
        The file cannot be read, may be read by others, or holds no secret.

    """
    text = read_secret(path)
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise BadInput(f"{path} holds no secret of {SECRET_BYTES} bytes in hex", field="audit.directory")
    return Pseudonyms(secret)


def make_secret(path: Path) -> None:
    """Write a new secret. Raises BadInput where there is one, or it cannot be written."""
    write_secret(path, secrets.token_hex(SECRET_BYTES) + "\n")
