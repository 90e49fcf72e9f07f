"""The signed receipt of a match report: what a case rests on.

Theory of operation
-------------------
A report whose verdict is ``match`` or ``possible_match`` carries a receipt: the report itself, without its times per
stage, in protocol buffers, signed with the service's Ed25519 key. Whoever brings it back proves that this service made
that match, and nothing needs to be stored meanwhile. The bytes are

======== ======= ====================================================
offset   size    what
======== ======= ====================================================
0        4       ``HMR1``
4        8       the first half of the key's id, so that a foreign receipt is told from a forged one
12       64      signature over :data:`PAYLOAD_TYPE` and the rest
76       ..      ``hashmatch.v1.MatchReport``
======== ======= ====================================================

What can be issued can be opened: where a report would make a receipt of more than :data:`MAX_BYTES`, its receipt holds
as many of the hits as fit, in their order, those that a case can rest on before others, and says ``truncated``.

A caller who is to see a verdict and no more gets the receipt *sealed*: encrypted with a key that is derived from the
signing key, so that the service alone can open it, and padded, so that its length does not tell how much was found.

======== ======= ====================================================
offset   size    what
======== ======= ====================================================
0        4       ``HMS1``
4        8       the first half of the key's id
12       12      nonce, random
24       ..      ChaCha20-Poly1305 over length (4 bytes, big-endian), receipt, zeros up to a power of two
======== ======= ====================================================

Several services that serve one catalog need one key, or a case can only be opened where the picture was sent.

What this module deliberately does not do: it does not say how old a receipt may be; ``compose`` does.

Source: RFC 8032 (Ed25519), RFC 8439 (ChaCha20-Poly1305), RFC 5869 (HKDF); the signed bytes are DSSE's, as for lists
(``signatures``).
"""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from google.protobuf.message import DecodeError

from hashmatch.errors import BadReceipt
from hashmatch.model import MATCHED, MatchReport
from hashmatch.report.proto import report_from_proto, report_to_proto
from hashmatch.signatures import SigningKey, VerifyKey, kept_signing_key
from hashmatch.v1 import types_pb2

PAYLOAD_TYPE: Final = "application/vnd.hashmatch.match-report.v1+protobuf"
MAX_BYTES: Final = 1 << 20
"""A report with a thousand hits has about 200 kB; one hit of an entry with everything that is allowed about as much."""

KEY_FILE: Final = "receipts.key"
"""In the data directory, where the configuration names no other."""

_MAGIC: Final = b"HMR1"
_SEALED_MAGIC: Final = b"HMS1"
_NONCE: Final = slice(12, 24)
_LEAST_PADDED: Final = 4_096
"""Half of all receipts fit; the others have a power of two."""
_MOST_SEALED: Final = 2 * MAX_BYTES + 40
"""The next power of two, with what stands before it and the tag after it."""
_SEAL: Final = b"hashmatch sealed receipt v1"
_KEY_ID: Final = slice(4, 12)
_SIGNATURE: Final = slice(12, 76)
_BEGIN: Final = 76
_FRAMING: Final = 8
"""Bytes of a field's number and length around a message, at most."""


def receipted(report: MatchReport, key: SigningKey) -> MatchReport:
    """Return the report with its receipt, or as it is where there is nothing to report."""
    if report.verdict not in MATCHED:
        return report
    return dataclasses.replace(report, receipt=issued(report, key))


def issued(report: MatchReport, key: SigningKey) -> bytes:
    """Sign a report, as much of it as :func:`opened` takes."""
    bare = report_to_proto(dataclasses.replace(report, elapsed_us={}, receipt=b""))
    payload = bare.SerializeToString(deterministic=True)
    if len(payload) > MAX_BYTES - _BEGIN:
        payload = _trimmed(bare, report).SerializeToString(deterministic=True)
    return _MAGIC + _short_id(key.verify_key) + key.sign(PAYLOAD_TYPE, payload) + payload


def opened(untrusted_receipt: bytes, key: VerifyKey) -> MatchReport:
    """Return the report that a receipt holds.

    Raises
    ------
    BadReceipt
        It is no receipt, was signed with another key, or was changed.

    """
    if len(untrusted_receipt) > MAX_BYTES:
        raise BadReceipt(f"receipt: {len(untrusted_receipt)} bytes are too many; at most {MAX_BYTES}", field="receipt")
    if untrusted_receipt[:4] != _MAGIC or len(untrusted_receipt) <= _BEGIN:
        raise BadReceipt("receipt: not a receipt; send back MatchReport.receipt as it came", field="receipt")
    if untrusted_receipt[_KEY_ID] != _short_id(key):
        raise BadReceipt(
            f"receipt: signed with the key {untrusted_receipt[_KEY_ID].hex()}, and this service has "
            f"{_short_id(key).hex()}; services behind one address need one key (cases.receipt_key)",
            field="receipt",
        )
    payload = untrusted_receipt[_BEGIN:]
    if not key.verifies(PAYLOAD_TYPE, payload, untrusted_receipt[_SIGNATURE]):
        raise BadReceipt("receipt: the signature does not fit; it was changed on its way", field="receipt")
    try:
        return report_from_proto(types_pb2.MatchReport.FromString(payload))
    except DecodeError as error:
        raise BadReceipt("receipt: signed by this service, but from another version of it", field="receipt") from error


def is_sealed(receipt: bytes) -> bool:
    """Whether a receipt can be read by the service alone."""
    return receipt.startswith(_SEALED_MAGIC)


def sealed(receipt: bytes, key: SigningKey) -> bytes:
    """Return a receipt that can be brought back and not be read; nothing stays nothing."""
    if not receipt:
        return receipt
    plain = len(receipt).to_bytes(4, "big") + receipt
    plain += bytes(max(_LEAST_PADDED, 1 << (len(plain) - 1).bit_length()) - len(plain))
    head = _SEALED_MAGIC + _short_id(key.verify_key)
    nonce = secrets.token_bytes(12)
    return head + nonce + _cipher(key).encrypt(nonce, plain, head)


def unsealed(untrusted_receipt: bytes, key: SigningKey) -> bytes:
    """Return the receipt that was sealed; one that is not sealed is returned as it is, for :func:`opened` to judge.

    Raises
    ------
    BadReceipt
        It was sealed with another key, or was changed.

    """
    if not is_sealed(untrusted_receipt):
        return untrusted_receipt
    if len(untrusted_receipt) > _MOST_SEALED:
        raise BadReceipt(f"receipt: {len(untrusted_receipt)} bytes are too many", field="receipt")
    head = untrusted_receipt[: _KEY_ID.stop]
    try:
        plain = _cipher(key).decrypt(untrusted_receipt[_NONCE], untrusted_receipt[_NONCE.stop :], head)
    except (InvalidTag, ValueError) as error:
        raise BadReceipt(
            "receipt: cannot be opened here; it was changed on its way, or services behind one address have different "
            "keys (cases.receipt_key)",
            field="receipt",
        ) from error
    return plain[4 : 4 + int.from_bytes(plain[:4], "big")]


def receipt_id(receipt: bytes) -> str:
    """Name a receipt: SHA-256, of which 32 hex digits."""
    return hashlib.sha256(receipt).hexdigest()[:32]


def service_key(path: Path) -> SigningKey:
    """Return the key in a file, making one where there is none.

    Raises
    ------
    BadInput
        The file cannot be read or made, may be read by others, or holds another kind of key.

    """
    return kept_signing_key(path)


def _trimmed(bare: types_pb2.MatchReport, report: MatchReport) -> types_pb2.MatchReport:
    """Return a report that fits into a receipt, with fewer hits."""
    hits = list(bare.hits)
    del bare.hits[:]
    bare.truncated = True
    room = MAX_BYTES - _BEGIN - bare.ByteSize()
    kept = []
    for number in sorted(range(len(hits)), key=lambda number: report.hits[number].verdict not in MATCHED):
        room -= hits[number].ByteSize() + _FRAMING
        if room < 0:
            break
        kept.append(number)
    bare.hits.extend(hits[number] for number in sorted(kept))
    return bare


def _short_id(key: VerifyKey) -> bytes:
    return bytes.fromhex(key.key_id)[:8]


def _cipher(key: SigningKey) -> ChaCha20Poly1305:
    """Derive what seals receipts from the key that signs them."""
    secret = key.private.private_bytes_raw()
    return ChaCha20Poly1305(HKDF(hashes.SHA256(), 32, None, _SEAL).derive(secret))
