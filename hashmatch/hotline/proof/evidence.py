"""Evidence without images: one record per picture that was looked at, or tried, in a signed and chained ledger.

Theory of operation
-------------------
The record of a row is plain JSON (:func:`record_of`): who looked, with what and why; what was asked, and from which
address and certificate the answer came; its head, verbatim; digests and hashes of the body; what was met in which
version of which list, and what the policy said. :class:`Evidence` appends it to a ledger (``hashmatch.ledger``), which
makes it canonical (RFC 8785), chains it to the record before and signs heads (Ed25519), and gives back its digest, by
which it is found again.

The body itself is nowhere in it. Whoever has the file can show that it is the one, by its SHA-256; whoever has not
learns nothing of what is on it.

Headers are kept as they were received, ``Set-Cookie`` included: what a host set is evidence about the host, and no
request ever carries it back. A head so large that the record would not fit is kept as a digest.

What this module deliberately does not do: it says when by this machine's clock, and how far that may be trusted, and
proves no more about the time. It keeps nothing of who reported an address.

Source: reference formats §4.5; RFC 8785; ISO/IEC 27037:2012, 5.4 (what must be documented of an acquisition).
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hashmatch.hotline.proof.clock import Trust, trust
from hashmatch.hotline.web.asking import headers_of
from hashmatch.ledger import Writer
from hashmatch.ledger.records import MAX_LINE_BYTES, canonical
from hashmatch.model import Hit, MatchReport
from hashmatch.model.hotline import Fetched, Hop, Item, Place, Submission, TlsSeen
from hashmatch.report.plain import to_plain
from hashmatch.sections import HotlineConfig, PolicyConfig
from hashmatch.signatures import SigningKey, load_signing_key, write_secret

KIND: Final = "hotline.item"
FORMAT: Final = "hashmatch-evidence/1"
KEY_FILE: Final = "evidence.key"
"""In the data directory, where no other is named."""

_ROOM_BYTES: Final = MAX_LINE_BYTES // 2
"""What heads may take of a line; beyond, they are digests."""

_MOST_PER_CHARACTER: Final = 6
"""Bytes that one character takes at most, as ``\\u0001``: 87,000 characters of heads are always kept verbatim."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all records of one run say alike.

    ``version`` is hashmatch's, ``config_sha256`` from :func:`config_digest`. ``route`` is how the network was reached,
    ``direct`` or ``socks5h``; ``vantage`` names from where.
    """

    job: str
    version: str
    operator: str = ""
    legal_basis: str = ""
    purpose: str = "check"
    """``check`` or ``recheck``."""
    user_agent: str = ""
    send_referer: bool = False
    route: str = "direct"
    vantage: str = "direct"
    config_sha256: str = ""


def config_digest(hotline: HotlineConfig, policy: PolicyConfig) -> str:
    """Return SHA-256, in hex, of the canonical text of the settings that decide what is fetched and what matches."""
    settings = {name: to_plain(part, defaults=True) for name, part in (("hotline", hotline), ("policy", policy))}
    return hashlib.sha256(canonical(settings)).hexdigest()


def record_of(item: Item, submission: Submission, context: Context, clock: Trust) -> dict[str, object]:
    """Return the record of a row, as plain JSON.

    Parameters
    ----------
    item : Item
        The row, without a body in it.
    submission : Submission
        What was reported; of its columns only the address and its number are kept.
    context : Context
        Who looks, and why.
    clock : Trust
        What the kernel says of its clock.

    """
    hops = item.fetched.hops if item.fetched else ()
    characters = sum(len(name) + len(value) for hop in hops for name, value in hop.headers)
    verbatim = characters * _MOST_PER_CHARACTER <= _ROOM_BYTES
    return _record(item, submission, context, clock, verbatim=verbatim)


class Evidence:
    """Keeps evidence: the ``Proves`` of a check. Use as a context manager."""

    def __init__(self, writer: Writer, context: Context, *, clock: Callable[[], Trust] = trust) -> None:
        self._writer = writer
        self._context = context
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Evidence of {self._context.job!r} in {self._writer!r}>"

    @classmethod
    def open(cls, directory: Path, key: SigningKey, context: Context) -> Self:
        """Open the ledger in a directory, or begin it; raises LedgerUnavailable, LedgerCorrupt."""
        about = {"tool": "hashmatch", "version": context.version, "format": FORMAT}
        return cls(Writer.open(directory, key, about=about), context)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def of(self, context: Context) -> Evidence:
        """Return one that says something else of its records, and shares the ledger with this one."""
        return Evidence(self._writer, context, clock=self._clock)

    async def record(self, item: Item, submission: Submission) -> str:
        """Keep the record of one row; return its digest, in hex, once it is on the disk.

        Raises
        ------
        LedgerUnavailable
            It could not be written.

        """
        body = record_of(item, submission, self._context, self._clock())
        stored = await asyncio.wrap_future(self._writer.submit(KIND, body))
        return stored.digest

    def head(self) -> bytes:
        """Sign a head of everything so far, to be kept elsewhere."""
        return self._writer.head()

    def close(self) -> None:
        """Sign a head and give the ledger back; raises LedgerUnavailable where that is not possible."""
        self._writer.close()


def evidence_key(path: Path) -> SigningKey:
    """Return the key in a file, making one where there is none; its public half then lies beside it.

    Raises
    ------
    BadInput
        The file cannot be read or made, may be read by others, or holds another kind of key.

    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = SigningKey.generate()
        write_secret(path, made.to_pem())
        path.with_name(f"{path.name}.pub").write_text(made.verify_key.to_pem(), encoding="ascii")
    return load_signing_key(path)


# --- the record ------------------------------------------------------------------------------------------------------


def _record(item: Item, submission: Submission, context: Context, clock: Trust, *, verbatim: bool) -> dict[str, object]:
    report, fetched = item.report, item.fetched
    referer = _text(item.page_url) if context.send_referer else ""
    return {
        "format": FORMAT,
        "tool": {"name": "hashmatch", "version": context.version, "config_sha256": context.config_sha256},
        "why": {
            "job": context.job,
            "operator": context.operator,
            "legal_basis": context.legal_basis,
            "purpose": context.purpose,
        },
        "clock": {"source": "CLOCK_REALTIME", "synchronised": clock.synchronised, "max_error_us": clock.max_error_us},
        "reported": {"number": item.number, "url": _text(submission.url)},
        "request": {
            "method": "GET",
            "url": _text(item.url),
            "found_via": item.via.value,
            "page_url": _text(item.page_url),
            "headers": [list(pair) for pair in headers_of(context.user_agent, referer).items()],
            "route": context.route,
            "vantage": context.vantage,
        },
        "hops": [_hop(hop, verbatim=verbatim) for hop in fetched.hops] if fetched else [],
        "response": _response(item, fetched),
        "body": _body(item, report),
        "picture": _picture(report),
        "matches": [_match(hit) for hit in report.hits] if report else [],
        "decision": _decision(report),
        "place": None if item.place is None else _place(item.place),
    }


def _hop(hop: Hop, *, verbatim: bool) -> dict[str, object]:
    headers: object = [[name, value] for name, value in hop.headers]
    if not verbatim:
        text = canonical(headers)
        headers = {
            "omitted": len(hop.headers),
            "canonical_bytes": len(text),
            "sha256": hashlib.sha256(text).hexdigest(),
        }
    return {
        "url": _text(hop.url),
        "ip": hop.ip,
        "port": hop.port,
        "names": list(hop.names),
        "tls": None if hop.tls is None else _tls(hop.tls),
        "downgraded": hop.downgraded,
        "status": hop.status,
        "headers": headers,
        "started_at": _time(hop.started_at),
        "answered_at": _time(hop.answered_at),
    }


def _tls(tls: TlsSeen) -> dict[str, object]:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "issuer": tls.issuer,
        "subject": tls.subject,
        "not_after": _time(tls.not_after),
        "chain_sha256": list(tls.chain_sha256),
        "problem": tls.problem,
    }


def _response(item: Item, fetched: Fetched | None) -> dict[str, object]:
    return {
        "outcome": item.outcome.value,
        "detail": _text(item.detail),
        "declared_type": fetched.content_type if fetched else "",
        "wire_bytes": fetched.wire_bytes if fetched else 0,
        "robots": fetched.robots if fetched else "",
        "ended_at": _time(fetched.ended_at if fetched else None),
    }


def _body(item: Item, report: MatchReport | None) -> dict[str, object]:
    digests = report.digests if report else None
    named = {name: value.hex() for name, value in digests.items()} if digests else {}
    return {"size_bytes": digests.size_bytes if digests else item.size_bytes, **named}


def _picture(report: MatchReport | None) -> dict[str, object] | None:
    """Return what was decoded and its hashes; None where nothing was looked at."""
    if report is None:
        return None
    return {
        "media": None if report.media is None else to_plain(report.media, defaults=True),
        "quality": report.quality,
        "hashes": [
            {"algorithm": value.algorithm, "value": value.hex, "quality": value.quality} for value in report.hashes
        ],
    }


def _match(hit: Hit) -> dict[str, object]:
    entry = hit.entry
    return {
        "verdict": hit.verdict.value,
        "rule": hit.rule,
        "set": entry.set_name,
        "set_id": entry.set_id,
        "set_version": entry.set_version,
        "domain": entry.domain.value,
        "entry": entry.entry_id,
        "labels": to_plain(entry.labels, defaults=True),
        "algorithm": hit.algorithm,
        "query_algorithm": hit.query_algorithm,
        "distance": hit.distance,
        "max_distance": hit.max_distance,
        "transformation": hit.transformation,
        "view": hit.view,
        "frame": hit.frame,
        "allowed_by": hit.allowed_by,
    }


def _decision(report: MatchReport | None) -> Mapping[str, object] | None:
    """Return what the policy said; None where it was not asked."""
    if report is None:
        return None
    return {
        "by": "policy",
        "verdict": report.verdict.value,
        "rule": report.rule,
        "reason": None if report.reason is None else report.reason.value,
        "generation": report.generation,
        "request_id": report.request_id,
        "at": _time(report.created_at),
    }


def _place(place: Place) -> dict[str, object]:
    return {
        "ip": place.ip,
        "asn": place.asn,
        "as_name": place.as_name,
        "network": place.network,
        "country": place.country,
        "cdn": place.cdn,
        "sources": dict(place.sources),
    }


def _time(value: dt.datetime | None) -> str | None:
    return None if value is None else value.astimezone(dt.UTC).isoformat(timespec="microseconds")


def _text(untrusted: str) -> str:
    """Return an address as text that has UTF-8: halves of surrogate pairs are shown escaped."""
    return untrusted.encode("utf-8", "backslashreplace").decode()
