"""Signatures of webhooks: what the sender states, and how whoever receives one makes sure of it.

Theory of operation
-------------------
A webhook carries four headers: when it was signed (seconds since 1970), which delivery it is, the environment, and
``v1=`` with the HMAC-SHA256, in hex, of the time, a dot and the body. :func:`verify` compares in constant time and
refuses a signature that is older, or further ahead, than the tolerance: what was recorded on the way cannot be played
back later. Several signatures, joined by commas, may stand in one header, so that a secret can be changed without a
gap; one that holds is enough. Schemes other than ``v1`` are passed over.

The signature is of time and body. What is within the tolerance may come twice, also because the sender tries again: the
delivery is the same then, and a receiver that has it answers 409 or any 2xx.

What this module deliberately does not do: it opens no connection and remembers no delivery.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hashmatch.errors import BadSignature

TIMESTAMP: Final = "Hashmatch-Timestamp"
SIGNATURE: Final = "Hashmatch-Signature"
DELIVERY: Final = "Hashmatch-Delivery"
ENVIRONMENT: Final = "Hashmatch-Environment"

TOLERANCE: Final = dt.timedelta(minutes=5)
"""How old a signature may be by default: longer than a request takes, and as far as clocks are apart."""

MIN_SECRET_BYTES: Final = 32
"""A key shorter than the hash weakens it (RFC 2104 §3)."""

MAX_SIGNATURES: Final = 8
"""In one header; two while a secret is being changed."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A webhook that was verified. ``delivery`` is the same each time the sender tries."""

    delivery: str
    environment: str
    signed_at: dt.datetime


def sign(secret: bytes, body: bytes, at: dt.datetime, delivery: str, environment: str) -> dict[str, str]:
    """Return the headers of a webhook."""
    timestamp = str(int(at.timestamp()))
    return {
        TIMESTAMP: timestamp,
        SIGNATURE: f"v1={_signature(secret, timestamp, body)}",
        DELIVERY: delivery,
        ENVIRONMENT: environment,
    }


def verify(
    headers: Mapping[str, str], body: bytes, secret: bytes, now: dt.datetime, tolerance: dt.timedelta = TOLERANCE
) -> Webhook:
    """Make sure that a webhook is from whoever has the secret, and new.

    Parameters
    ----------
    headers : mapping
        Of the request; names in any case.
    body : bytes
        As it was received, byte by byte: not parsed and written again.
    secret : bytes
        What both sides have, at least 32 bytes.
    now : datetime
        The present time, with a zone.
    tolerance : timedelta, optional
        How far from ``now`` the signature may have been made, either way, inclusive.

    Returns
    -------
    Webhook
        Which delivery it is. Act on a delivery once.

    Raises
    ------
    BadSignature
        A header is missing or no such header, no signature holds, or it is too old or from the future.

    """
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (TIMESTAMP, SIGNATURE, DELIVERY, ENVIRONMENT) if not given.get(name.lower())]
    if missing:
        raise BadSignature(f"the webhook has no {', '.join(missing)}", field=missing[0])
    timestamp = given[TIMESTAMP.lower()]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):  # noqa: PLR2004 - until 5138
        raise BadSignature(f"{TIMESTAMP} is no time in seconds", field=TIMESTAMP)
    stated = [part.strip().partition("=") for part in given[SIGNATURE.lower()].split(",")[:MAX_SIGNATURES]]
    ours = _signature(secret, timestamp, body).encode()
    if not any(
        scheme == "v1" and hmac.compare_digest(text.encode(errors="backslashreplace"), ours)
        for scheme, _, text in stated
    ):
        raise BadSignature(f"{SIGNATURE} does not hold: another secret, or the body is not as it was", field=SIGNATURE)
    signed_at = dt.datetime.fromtimestamp(int(timestamp), dt.UTC)
    if abs(apart := now - signed_at) > tolerance:
        word = "old" if apart > dt.timedelta(0) else "ahead"
        raise BadSignature(
            f"the signature is {abs(apart).total_seconds():.0f} s {word}; at most {tolerance.total_seconds():.0f} s "
            "are tolerated",
            field=TIMESTAMP,
        )
    return Webhook(given[DELIVERY.lower()], given[ENVIRONMENT.lower()], signed_at)


def _signature(secret: bytes, timestamp: str, body: bytes) -> str:
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
