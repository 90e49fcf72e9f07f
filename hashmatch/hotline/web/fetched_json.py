"""What was fetched, without its body, as JSON and back.

Theory of operation
-------------------
The confined fetcher writes it, the process outside reads it and takes nothing for granted: unknown outcomes, missing
fields and values of another type are :class:`~hashmatch.errors.BadFrame`, texts and lists are cut to their limits.

What this module deliberately does not do: it is no format for others; ``evidence`` has one of those.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from hashmatch.errors import BadFrame
from hashmatch.model.hotline import Fetched, Hop, Outcome, TlsSeen

_MAX_TEXT = 1 << 20
"""As long as ``hotline.max_header_bytes`` may be: a header is kept as it was received."""
_MAX_HOPS = 64
_MAX_HEADERS = 1_024
_MAX_NAMES = 64


def to_header(fetched: Fetched) -> dict[str, Any]:
    """Return everything but the body."""
    return {
        "hops": [_from_hop(hop) for hop in fetched.hops],
        "outcome": fetched.outcome,
        "detail": fetched.detail,
        "content_type": fetched.content_type,
        "wire_bytes": fetched.wire_bytes,
        "ended_at": _from_time(fetched.ended_at),
        "robots": fetched.robots,
    }


def from_header(untrusted: Mapping[str, Any], body: bytes) -> Fetched:
    """Read it again.

    Raises
    ------
    BadFrame
        It is not what :func:`to_header` writes.

    """
    try:
        return Fetched(
            tuple(_to_hop(hop) for hop in list(untrusted["hops"])[:_MAX_HOPS]),
            None if untrusted["outcome"] is None else Outcome(untrusted["outcome"]),
            _text(untrusted["detail"]),
            _text(untrusted["content_type"]),
            body,
            int(untrusted["wire_bytes"]),
            _to_time(untrusted["ended_at"]),
            _text(untrusted["robots"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame(f"an answer of the fetcher is not readable: {type(error).__name__}") from error


def _from_hop(hop: Hop) -> dict[str, Any]:
    tls = hop.tls
    return {
        "url": hop.url,
        "ip": hop.ip,
        "port": hop.port,
        "names": hop.names,
        "status": hop.status,
        "headers": hop.headers,
        "downgraded": hop.downgraded,
        "started_at": _from_time(hop.started_at),
        "answered_at": _from_time(hop.answered_at),
        "tls": None
        if tls is None
        else {
            "version": tls.version,
            "cipher": tls.cipher,
            "issuer": tls.issuer,
            "subject": tls.subject,
            "not_after": _from_time(tls.not_after),
            "chain_sha256": tls.chain_sha256,
            "problem": tls.problem,
        },
    }


def _to_hop(untrusted: Mapping[str, Any]) -> Hop:
    return Hop(
        url=_text(untrusted["url"]),
        ip=_text(untrusted["ip"]),
        port=int(untrusted["port"]),
        names=_texts(untrusted["names"]),
        status=int(untrusted["status"]),
        headers=tuple((_text(name), _text(value)) for name, value in list(untrusted["headers"])[:_MAX_HEADERS]),
        tls=_to_tls(untrusted["tls"]),
        downgraded=bool(untrusted["downgraded"]),
        started_at=_to_time(untrusted["started_at"]),
        answered_at=_to_time(untrusted["answered_at"]),
    )


def _to_tls(untrusted: Mapping[str, Any] | None) -> TlsSeen | None:
    if untrusted is None:
        return None
    return TlsSeen(
        version=_text(untrusted["version"]),
        cipher=_text(untrusted["cipher"]),
        issuer=_text(untrusted["issuer"]),
        subject=_text(untrusted["subject"]),
        not_after=_to_time(untrusted["not_after"]),
        chain_sha256=_texts(untrusted["chain_sha256"]),
        problem=_text(untrusted["problem"]),
    )


def _text(untrusted: object) -> str:
    if not isinstance(untrusted, str):
        raise TypeError(type(untrusted).__name__)
    return untrusted[:_MAX_TEXT]


def _texts(untrusted: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(_text, list(untrusted)[:_MAX_NAMES]))


def _from_time(time: dt.datetime | None) -> str | None:
    return None if time is None else time.isoformat()


def _to_time(untrusted: object) -> dt.datetime | None:
    return None if untrusted is None else dt.datetime.fromisoformat(_text(untrusted))
