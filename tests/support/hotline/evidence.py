"""Rows of a made-up check, and evidence of them in a directory."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
from collections.abc import Sequence
from pathlib import Path

from hashmatch.hotline.proof.clock import Trust
from hashmatch.hotline.proof.evidence import Context, Evidence
from hashmatch.model import (
    Digests,
    EntryHash,
    EntryRef,
    EntryStatus,
    HarmDomain,
    Hit,
    Label,
    MatchReport,
    MediaInfo,
    Refusal,
    SetMode,
    Verdict,
)
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, TlsSeen, Via
from hashmatch.signatures import SigningKey

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
BODY = b"\xff\xd8\xff\xe0 a made-up picture"
CLOCK = Trust(synchronised=True, max_error_us=1_500)
CONTEXT = Context(
    job="monday",
    version="1.2.3",
    operator="Example Hotline",
    legal_basis="Article 1 of an example",
    user_agent="hashmatch (https://hotline.example.org/)",
    config_sha256="c" * 64,
)
SUBMISSION = Submission(7, "hxxps://Example[.]org/advert", {"remarks": "who told us"})

_TLS = TlsSeen("TLSv1.3", "TLS_AES_128_GCM_SHA256", "CN=Example CA", "CN=example.org", NOON, ("a" * 64, "b" * 64))
_HOPS = (
    Hop("https://example.org/a.jpg", "192.0.2.7", 443, ("cdn.example.net",), 302,
        (("Location", "https://cdn.example.net/a.jpg"),), _TLS, started_at=NOON, answered_at=NOON),
    Hop("https://cdn.example.net/a.jpg", "2001:db8::7", 443, (), 200,
        (("Content-Type", "image/jpeg"), ("Set-Cookie", "id=1; Secure"), ("set-cookie", "b=\xe9"), ("X-Empty", "")),
        _TLS, started_at=NOON, answered_at=NOON + dt.timedelta(milliseconds=250)),
)  # fmt: skip

DIGESTS = Digests(
    hashlib.md5(BODY, usedforsecurity=False).digest(),
    hashlib.sha1(BODY, usedforsecurity=False).digest(),
    hashlib.sha256(BODY).digest(),
    len(BODY),
)


def report(verdict: Verdict = Verdict.MATCH) -> MatchReport:
    entry = EntryRef(
        "s1",
        "known",
        3,
        HarmDomain.WILDLIFE,
        SetMode.ENFORCED,
        "e7",
        EntryStatus.ACTIVE,
        (Label("cites", "appendix", "A1"),),
    )
    hit = Hit(verdict, "pdq_near", entry, "pdq", "pdq-nearest512", 4, 31, "orig", chance=1e-9)
    return MatchReport(
        request_id="r1",
        verdict=verdict,
        rule="pdq_near",
        generation="12.3",
        created_at=NOON,
        hits=(hit,) if verdict is Verdict.MATCH else (),
        digests=DIGESTS,
        media=MediaInfo("jpeg", 640, 480),
        quality=91,
        hashes=(EntryHash("pdq", bytes(range(32)), 91),),
        elapsed_us={"hash": 3},
        reason=Refusal.CORRUPT if verdict is Verdict.NOT_CHECKED else None,
    )


FETCHED = Fetched(
    _HOPS,
    content_type="image/jpeg",
    body=BODY,
    wire_bytes=len(BODY),
    ended_at=NOON + dt.timedelta(seconds=1),
    robots="none",
)
PLACE = Place("2001:db8::7", 64500, "EXAMPLE-AS", "2001:db8::/32", "NL", "abuse@example.net", sources={"asn": "t 2026"})
MATCHED = Item(
    7, "https://example.org/a.jpg", Via.IMG, Outcome.MATCH, "", "https://example.org/advert", FETCHED, len(BODY),
    report(), PLACE,
)  # fmt: skip
TIMED_OUT = Item(
    7, "https://example.org/slow.jpg", Via.CSS, Outcome.TIMEOUT, "no answer within 10 s", "https://example.org/advert",
    Fetched((Hop("https://example.org/slow.jpg", "192.0.2.7", 443, started_at=NOON),), Outcome.TIMEOUT),
)  # fmt: skip
INLINE = Item(7, "", Via.INLINE, Outcome.NO_MATCH, "", "https://example.org/advert", None, len(BODY),
              report(Verdict.NO_MATCH))  # fmt: skip
ITEMS = (MATCHED, TIMED_OUT, INLINE)


def keep(directory: Path, key: SigningKey, items: Sequence[Item] = ITEMS, context: Context = CONTEXT) -> list[str]:
    """Write evidence of some rows and return the digests of their records."""

    async def run(evidence: Evidence) -> list[str]:
        return [await evidence.record(item, SUBMISSION) for item in items]

    with Evidence.open(directory, key, context) as evidence:
        return asyncio.run(run(evidence))
