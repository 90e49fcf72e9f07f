"""Cryptographic digests of an upload, exactly as received.

Theory of operation
-------------------
Digests need no decoding, so they are computed in the parent process, before and independently of the confined worker.
An image that could not be looked at still has its digests.

What this module deliberately does not do: it never looks into the bytes.
"""

from __future__ import annotations

import hashlib

from hashmatch.model import Digests


def digest(data: bytes | bytearray | memoryview) -> Digests:
    """Digest one upload.

    MD5 and SHA-1 are here because lists hold them; neither protects anything in hashmatch, hence ``usedforsecurity``.
    """
    return Digests(
        md5=hashlib.md5(data, usedforsecurity=False).digest(),
        sha1=hashlib.sha1(data, usedforsecurity=False).digest(),
        sha256=hashlib.sha256(data).digest(),
        size_bytes=memoryview(data).nbytes,
    )
