"""Made-up match reports, facts and cases. Nothing in them is of a real person, host or list."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hashmatch.cases.facts import compose
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
    SetMode,
    Verdict,
)
from hashmatch.model.cases import Case, Document, Facts, Locator

NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
CASE_ID = "0f4c1c1e-3a7e-4bb4-8f5e-6f0a3b1d2c3e"


def hit(domain: HarmDomain = HarmDomain.CSAM, verdict: Verdict = Verdict.MATCH, **given: Any) -> Hit:
    entry = EntryRef(
        set_id="5b0c2d7e-0000-4000-8000-000000000001",
        set_name=given.pop("set_name", f"test-{domain.value}"),
        set_version=7,
        domain=domain,
        mode=SetMode.ENFORCED,
        entry_id=given.pop("entry_id", "a1b2c3"),
        status=given.pop("status", EntryStatus.ACTIVE),
        labels=(Label("ncmec", "2022", "A1"),),
    )
    return Hit(
        verdict=verdict,
        rule="near",
        entry=entry,
        algorithm=given.pop("algorithm", "pdq"),
        query_algorithm="pdq",
        distance=given.pop("distance", 12),
        max_distance=31,
        transformation="flipx",
    )


def report(*hits: Hit, **given: Any) -> MatchReport:
    values: dict[str, Any] = {
        "request_id": "request-1",
        "verdict": Verdict.MATCH,
        "rule": "near",
        "generation": "4.0",
        "created_at": NOW - dt.timedelta(minutes=10),
        "hits": hits or (hit(),),
        "digests": Digests(b"\1" * 16, b"\2" * 20, b"\3" * 32, 12_345),
        "media": MediaInfo("JPEG", 1024, 768),
        "quality": 88,
        "elapsed_us": {"total": 1_234},
        "hashes": (EntryHash("pdq", b"\4" * 32, 88),),
    }
    return MatchReport(**(values | given))


def facts(**given: Any) -> Facts:
    values: dict[str, Any] = {
        "occurred_at": NOW - dt.timedelta(hours=2),
        "viewed_by_human": False,
        "exif_viewed": False,
        "platform": "Example Pictures",
        "locator": Locator(urls=("https://pictures.example.org/p/17",), content_ref="p17"),
    }
    return Facts(**(values | given))


def case(*hits: Hit, case_id: str = CASE_ID, **given: Any) -> Case:
    return compose(case_id, facts(**given), report(*hits), "receipt-1", NOW)


def document(body: bytes = b"<report/>", **given: Any) -> Document:
    values: dict[str, Any] = {"format": "cybertip", "media_type": "text/xml", "file_name": "report.xml"}
    return Document(**(values | given), body=body)
