"""Evidence as a WARC 1.1 file: the heads of answers for the tools of web archives, and never a payload.

Theory of operation
-------------------
One record of evidence becomes, in this order:

============ ==========================================================================================================
``metadata`` of each redirect: the head of the answer, ``application/http; msgtype=response``
``revisit``  of the last answer, with profile ``identical-payload-digest``: its head, and in ``WARC-Payload-Digest`` the
             SHA-256 of the body that was looked at; ``metadata`` where the body was not looked at
``metadata`` the line of the ledger, ``application/json``, whose SHA-256 with 0x00 before it is the record's digest
============ ==========================================================================================================

They refer to each other by ``WARC-Concurrent-To``. Record ids are made of the evidence's digest, so the same evidence
is the same file, byte by byte. A head begins with ``HTTP/1.1`` and the status alone: the reason phrase is not kept.
A head that the evidence has as a digest only is left out, and the line of the ledger says so.

What this module deliberately does not do: a revisit promises a body elsewhere in an archive, and there is none: the
digest is the promise. It writes no gzip; whoever wants that has gzip.

Source: ISO 28500:2017 (WARC 1.1), 5 and 6.7; IANA, application/http (RFC 9112, 10.2).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from hashmatch.hotline.proof.evidence_store import Kept

_PROFILE: Final = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
_HTTP: Final = "application/http; msgtype=response"
_IDS: Final = uuid.UUID("0d6e3a8e-2f53-5c0e-9d0b-6c3b7a5f1e10")
"""Name space of record ids (RFC 9562, version 5)."""

_ADDRESS_CHARACTERS: Final = "!#$%&'()*+,/:;=?@[]~"


def archive(kept: Iterable[Kept], *, filename: str, version: str) -> Iterator[bytes]:
    """Yield the records of an archive.

    Parameters
    ----------
    kept : iterable of Kept
        Evidence, verified or not.
    filename : str
        Name of the file that this becomes.
    version : str
        Of the hashmatch that makes it.

    """
    first = True
    for one in kept:
        if first:
            yield _info(one, filename, version)
            first = False
        yield from _records(one)


def _info(first: Kept, filename: str, version: str) -> bytes:
    fields = {
        "software": f"hashmatch/{version}",
        "format": "WARC File Format 1.1",
        "description": "heads of answers, digests and match results; no payload is in this file",
    }
    block = "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode()
    head = {"WARC-Filename": _line(filename), "Content-Type": "application/warc-fields"}
    return _record("warcinfo", _id(first.digest, "info"), first.record.at, head, block)


def _records(kept: Kept) -> Iterator[bytes]:
    body = kept.record.body
    hops = [hop for hop in _list(body.get("hops")) if isinstance(hop, Mapping)]
    answered = [hop for hop in hops if isinstance(hop.get("headers"), Sequence) and hop.get("status")]
    evidence_id = _id(kept.digest, "evidence")
    for place, hop in enumerate(answered):
        last = hop is hops[-1]
        sha256 = _member(body, "body", "sha256") if last else None
        head = {
            "WARC-Target-URI": _address(hop.get("url")),
            "WARC-IP-Address": _line(hop.get("ip")),
            "WARC-Concurrent-To": evidence_id,
            "Content-Type": _HTTP,
        }
        if isinstance(sha256, str):
            head |= {"WARC-Profile": _PROFILE, "WARC-Payload-Digest": f"sha256:{_line(sha256)}"}
        kind = "revisit" if isinstance(sha256, str) else "metadata"
        at = hop.get("answered_at")
        yield _record(
            kind, _id(kept.digest, str(place)), at if isinstance(at, str) else kept.record.at, head, _http(hop)
        )
    head = {"WARC-Target-URI": _address(_member(body, "request", "url")), "Content-Type": "application/json"}
    if answered:
        head["WARC-Concurrent-To"] = _id(kept.digest, str(len(answered) - 1))
    yield _record("metadata", evidence_id, kept.record.at, head, kept.line)


def _record(kind: str, name: str, at: str, head: Mapping[str, str], block: bytes) -> bytes:
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": name,
        "WARC-Date": at.replace("+00:00", "Z"),
        **head,
        "Content-Length": str(len(block)),
    }
    lines = "".join(f"{field}: {value}\r\n" for field, value in fields.items() if value)
    return f"WARC/1.1\r\n{lines}\r\n".encode() + block + b"\r\n\r\n"


def _http(hop: Mapping[str, object]) -> bytes:
    """Return the head of an answer: its status and its headers as they came."""
    pairs = [pair for pair in _list(hop.get("headers")) if isinstance(pair, Sequence) and len(pair) == 2]  # noqa: PLR2004
    lines = "".join(f"{_line(name)}: {_line(value)}\r\n" for name, value in pairs)
    return f"HTTP/1.1 {hop.get('status')} \r\n{lines}\r\n".encode("latin-1", "replace")


def _id(digest: str, part: str) -> str:
    return f"<urn:uuid:{uuid.uuid5(_IDS, f'{digest}/{part}')}>"


def _address(untrusted: object) -> str:
    return quote(untrusted, safe=_ADDRESS_CHARACTERS) if isinstance(untrusted, str) else ""


def _line(untrusted: object) -> str:
    """Return a text that ends no line."""
    return " ".join(str(untrusted).splitlines()) if untrusted is not None else ""


def _member(body: Mapping[str, object], section: str, name: str) -> object:
    part = body.get(section)
    return part.get(name) if isinstance(part, Mapping) else None


def _list(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()
