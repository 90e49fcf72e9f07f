"""Signed heads: what a ledger was at one moment, to be kept where its writer cannot reach it.

Theory of operation
-------------------
A head names a ledger, the number and digest of one of its records, the time and the id of the key that signed it. Its
text is canonical JSON in a DSSE envelope, one per line. Because every digest covers all records before it, somebody
who kept a head can later tell whether the ledger still is a continuation of what it was then; a chain alone could have
been written anew from its beginning by whoever has the key.

What this module deliberately does not do: it does not decide whose heads are believed; ``chain`` is told.

Source: RFC 8032 (Ed25519); Dead Simple Signing Envelope v1.0.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import BadInput
from hashmatch.ledger.records import MAX_INTEGER, canonical
from hashmatch.signatures import SigningKey, VerifyKey

PAYLOAD_TYPE: Final = "application/vnd.hashmatch.ledger-head.v1+json"
MAX_HEAD_BYTES: Final = 4_096
"""Longest line of heads, in bytes; one has about 600."""

_MEMBERS: Final = frozenset({"at", "digest", "key_id", "ledger", "seq"})
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What one signature vouches for."""

    ledger: str
    seq: int
    digest: str
    at: str
    key_id: str


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head with the bytes that were signed and the signature over them, not yet verified."""

    head: Head
    payload: bytes
    signature: bytes

    def verifies(self, key: VerifyKey) -> bool:
        """Whether ``key`` signed the head."""
        return key.verifies(PAYLOAD_TYPE, self.payload, self.signature)


def signed(head: Head, key: SigningKey) -> bytes:
    """Return the line of a head, without line feed."""
    payload = canonical(dataclasses.asdict(head))
    return _envelope(payload, key.sign(PAYLOAD_TYPE, payload), head.key_id)


def read(untrusted_line: bytes) -> SignedHead | None:
    """Return the head of a line, or None where there is none. Its signature is not looked at here."""
    if len(untrusted_line) > MAX_HEAD_BYTES:
        return None
    try:
        envelope = json.loads(untrusted_line)
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        head = _head(json.loads(payload))
        if head is None or canonical(dataclasses.asdict(head)) != payload:
            return None
    except (ValueError, LookupError, TypeError, RecursionError, BadInput):
        return None
    return (
        SignedHead(head, payload, signature) if _envelope(payload, signature, head.key_id) == untrusted_line else None
    )


def _envelope(payload: bytes, signature: bytes, key_id: str) -> bytes:
    return canonical(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key_id, "sig": base64.b64encode(signature).decode()}],
        }
    )


def _head(document: object) -> Head | None:
    if not isinstance(document, Mapping) or document.keys() != _MEMBERS:
        return None
    seq, texts = document["seq"], [document[name] for name in ("ledger", "digest", "at", "key_id")]
    if type(seq) is not int or not 0 <= seq <= MAX_INTEGER or not all(isinstance(text, str) for text in texts):
        return None
    ledger, digest, at, key_id = texts
    if not _HEX.fullmatch(digest) or not _HEX.fullmatch(key_id):
        return None
    return Head(ledger=ledger, seq=seq, digest=digest, at=at, key_id=key_id)
