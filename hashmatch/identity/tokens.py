"""The form of an API key: made, taken apart, and compared with what is stored of it.

Theory of operation
-------------------
A key is one word of 69 characters::

    hmk_0123456789abcdef_<48 characters of a-z and 2-7>
    |   |                |
    |   |                240 bits from the system's random generator
    |   public id: in listings, in logs, in the keys file
    what it is, for people and for scanners of leaked secrets

Stored is a BLAKE2b digest of the whole word. A slow hash would protect nothing: slow hashes make up for the few bits of
a password that people choose, and 240 random bits cannot be tried out at any speed. It would cost, though: every call
carries the key, so a hash of 50 ms would be a lever against the service for whoever sends wrong keys.

The record is found by the public id and the digest compared in constant time. An id that is not known is compared with
a digest of nothing, so that both take the same way.

What this module deliberately does not do: it knows no caller, and no message of it holds a secret.

Source: RFC 7693 (BLAKE2), §2.8 keyed and personalised hashing; RFC 4648 §6 (base32); RFC 6750 (bearer tokens).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from hashmatch.errors import Lack, Unauthenticated

ID_BYTES: Final = 8
SECRET_BYTES: Final = 30
DIGEST_BYTES: Final = 32
_PERSON: Final = b"hashmatch.key.v1"
_FORM: Final = re.compile(r"hmk_([0-9a-f]{16})_[a-z2-7]{48}", re.ASCII)
_NOBODY: Final = bytes(DIGEST_BYTES)

HEADER: Final = "authorization"
"""Name of the metadata that carries a key, as ``Bearer hmk_…``."""


@dataclass(frozen=True, slots=True)
class Token:
    """A key as a caller has it; ``repr`` shows the public id only."""

    key_id: str
    text: str = field(repr=False)

    @property
    def digest(self) -> bytes:
        """What is stored of it."""
        return hashlib.blake2b(self.text.encode("ascii"), digest_size=DIGEST_BYTES, person=_PERSON).digest()

    def is_that_of(self, stored: bytes | None) -> bool:
        """Whether a stored digest is of this key, in constant time; None stands for a key that is not known."""
        same = hmac.compare_digest(self.digest, _NOBODY if stored is None else stored)
        return same and stored is not None


def made(random: Callable[[int], bytes] = secrets.token_bytes) -> Token:
    """Make a new key."""
    key_id = random(ID_BYTES).hex()
    secret = base64.b32encode(random(SECRET_BYTES)).decode("ascii").lower()
    return Token(key_id, f"hmk_{key_id}_{secret}")


def parsed(untrusted_text: str) -> Token:
    """Take a key apart.

    Raises
    ------
    Unauthenticated
        It does not have the form of one; what it is instead is not repeated.

    """
    match = _FORM.fullmatch(untrusted_text)
    if match is None:
        raise Unauthenticated(
            "authorization: that is no key of hashmatch; `hashmatch keys create` makes one", lack=Lack.NO_KEY
        )
    return Token(match[1], untrusted_text)


def from_header(untrusted_values: Sequence[str | bytes]) -> Token | None:
    """Return the key that a call carries, None where there is no such header.

    Raises
    ------
    Unauthenticated
        There are several, or it is no bearer token with a key of ours.

    """
    if not untrusted_values:
        return None
    if len(untrusted_values) > 1:
        raise Unauthenticated(
            f"authorization: {len(untrusted_values)} headers were sent; expected one", lack=Lack.NO_KEY
        )
    value = untrusted_values[0]
    scheme, _, text = (value if isinstance(value, str) else "").partition(" ")
    if scheme.lower() != "bearer":
        raise Unauthenticated("authorization: expected `Bearer` and a key", lack=Lack.NO_KEY)
    return parsed(text.strip())
