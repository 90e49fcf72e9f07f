"""Values in other notations than hexadecimal: base64, and base32 for SHA-1.

Theory of operation
-------------------
The algorithm is always known, so its size is, and the length of a text says which notation it is in: a value of *n*
bytes has 2*n* hexadecimal digits or, in base64, 4 characters per 3 bytes begun, padding included. The two are equally
long only for 1 to 4 bytes, where no algorithm of ours is; there hexadecimal is meant. Base32 is read for SHA-1 alone
(gnutella, Arachnid), where it is 32 characters without padding.

An MD5 in a column of SHA-1 values is 32 characters long as well. A text of 32 hexadecimal digits is therefore never
taken for base32: one SHA-1 in 10^13 has such a base32 form, and one MD5 in ten thousand would be misread otherwise.

Case matters in base64 and not in the others. An alphabet is the standard one (RFC 4648 §4 and §6), and bits that pad
the last character are zero, so that a value has one text per notation.

What this module deliberately does not do: it reads no hexadecimal; :meth:`~hashmatch.model.Algorithm.parse` does,
first, because nearly all values are.
"""

from __future__ import annotations

import base64
import binascii
import re

from hashmatch.model import Algorithm

_HEX = re.compile(r"[0-9A-Fa-f]+")


def in_other_notation(algorithm: Algorithm, text: str) -> bytes | None:
    """Return the value of a base64 or base32 text, None if it is neither.

    Parameters
    ----------
    algorithm : Algorithm
        Whose value it is.
    text : str
        Any text; white space around it is dropped.

    """
    stripped = text.strip()
    size = algorithm.size_bytes
    if not stripped.isascii():
        return None
    if len(stripped) == base64_length(size):
        value = _base64(stripped)
        return value if value is not None and len(value) == size else None
    if algorithm.name == "sha1" and len(stripped) == size * 8 // 5 and not _HEX.fullmatch(stripped):
        return _base32(stripped.upper())
    return None


def base64_length(size_bytes: int) -> int:
    """Return how many characters a value has in base64."""
    return (size_bytes + 2) // 3 * 4


def _base64(text: str) -> bytes | None:
    try:
        value = base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
    return value if base64.b64encode(value).decode() == text else None


def _base32(text: str) -> bytes | None:
    try:
        return base64.b32decode(text)
    except binascii.Error:
        return None
