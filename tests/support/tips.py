"""Cases that NCMEC may be told of, made up from nothing, and who tells."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import uuid
from dataclasses import replace
from pathlib import Path

from hashmatch.model import HarmDomain, Label, Verdict
from hashmatch.model.cases import (
    Account,
    Case,
    CaseHash,
    CaseMatch,
    CaseMedia,
    Decision,
    Ground,
    Locator,
    NetworkEvent,
    PriorReport,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig

NOW = dt.datetime(2025, 1, 2, 9, 0, tzinfo=dt.UTC)
FILE = b"the bytes of no picture at all"
REPORT = uuid.UUID("6f1c2d9e-0000-4000-8000-000000000001")
REPORTER = ReporterConfig(
    name="Example Platform BV",
    contact_point="Legal Desk",
    contact_information="legal@platform.example.org",
    first_name="Trust",
    last_name="Desk",
    email="reports@platform.example.org",
    phone="+31 20 555 0100",
    country="NL",
    address="Example Street 1\n1234 AB Amsterdam",
    legal_url="https://platform.example.org/law-enforcement",
    platform="Example Platform",
    esp_service="Example Photos",
)
CONTEXT = Context(reporter=REPORTER, now=NOW, report_id=REPORT)


def digests(data: bytes = FILE) -> tuple[CaseHash, ...]:
    """Return the digests of a file, and a PDQ value that is of nothing."""
    return (
        CaseHash("pdq", bytes(range(32)), quality=100),
        CaseHash("phash", bytes(8)),
        *(
            CaseHash(name, hashlib.new(name, data, usedforsecurity=False).digest())
            for name in ("md5", "sha1", "sha256")
        ),
    )


def match(domain: HarmDomain = HarmDomain.CSAM) -> CaseMatch:
    """Return a match with an entry of a list of a domain."""
    return CaseMatch(
        list_name="example-list",
        list_id="l-1",
        list_version=3,
        entry_id="e-1",
        domain=domain,
        algorithm="pdq",
        distance=4,
        max_distance=31,
        transformation="identity",
        verdict=Verdict.MATCH,
        labels=(Label("ncmec", "2022", "A1"),),
    )


def least(domain: HarmDomain = HarmDomain.CSAM) -> Case:
    """Return a case of which nothing is known that need not be."""
    at = dt.datetime(2025, 1, 1, 11, 0, tzinfo=dt.UTC)
    return Case(
        case_id="c-1",
        domain=domain,
        occurred_at=at,
        observed_at=at + dt.timedelta(minutes=1),
        created_at=at + dt.timedelta(minutes=2),
        viewed_by_human=False,
        exif_viewed=False,
        minor_involved=domain is HarmDomain.THB,
    )


def full(domain: HarmDomain = HarmDomain.CSAM) -> Case:
    """Return a case of which all is known."""
    at = dt.datetime(2025, 1, 1, 12, 0, 30, 500, tzinfo=dt.timezone(dt.timedelta(hours=1)))
    return replace(
        least(domain),
        occurred_at=at,
        platform="Example Photos",
        item_id="item 7",
        locator=Locator(urls=("https://platform.example.org/p/1?a=1&b=2",), content_ref="bucket/7", ip="192.0.2.80"),
        media=CaseMedia(mime="image/jpeg", size_bytes=30, width_px=640, height_px=480, file_name="a <b> & c.jpg",
                        uploaded_at=at - dt.timedelta(hours=1), created_with_ai=True),
        hashes=digests(),
        matches=(match(domain),),
        receipt_id="r-1",
        publicly_available=True,
        source=Source.TRUSTED_FLAGGER,
        source_identity="Example Hotline",
        decision=Decision(
            visibility=Visibility.REMOVED, account=Account.TERMINATED, account_at=NOW - dt.timedelta(hours=2),
            account_user_notified=True, ground=Ground.TERMS, legal_basis="Terms of use, 4.2",
        ),
        subject=Subject(
            account_id="user-42", screen_name="example_user", display_names=("Ex", "Ämple \U0001f9d1\u200d\U0001f33e"),
            profile_url="https://platform.example.org/u/42", emails=("someone@example.org",),
            phones=("+31 20 555 0199",),
            network_events=(
                NetworkEvent("192.0.2.10", "login", at - dt.timedelta(days=1)),
                NetworkEvent("2001:db8::7", "upload", at, port=51_515, possible_proxy=True),
                NetworkEvent("192.0.2.11"),
            ),
            note="Registered on the day of the upload.",
        ),
        urgent="The text beside the picture names a place and a day.",
        viral=True,
        classification="B2",
        prior_reports=(PriorReport("NCMEC", "4564654"), PriorReport("Example Police", "2024/77")),
        note="Reviewed by nobody yet.",
    )  # fmt: skip


def member(number: int) -> Case:
    """Return one case of a batch: the same file, an account of its own."""
    return replace(
        least(),
        case_id=f"c-{number}",
        occurred_at=dt.datetime(2025, 1, 1, 10, 59 - number, tzinfo=dt.UTC),
        hashes=digests(),
        matches=(match(),),
        viral=True,
        potential_meme=True,
        classification="A2",
        subject=Subject(account_id=f"user-{number}", screen_name="not told"),
    )


def schema() -> Path | None:
    """Return NCMEC's schema where the directory in HASHMATCH_EXTRA_DATA has it."""
    extra = os.environ.get("HASHMATCH_EXTRA_DATA")
    if not extra:
        return None
    return next(iter(sorted(Path(extra, "reference", "schemas", "ncmec").glob("cybertipline-*.xsd"))), None)
