"""Made-up cases for the formats that are shared, and their golden documents.

``python -m tests.support.sharing_cases`` writes the documents anew; look at the difference before it is committed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hashmatch.model import HarmDomain, Label, Verdict
from hashmatch.model.cases import (
    Case,
    CaseHash,
    CaseMatch,
    CaseMedia,
    Decision,
    Document,
    Locator,
    NetworkEvent,
    Subject,
)
from hashmatch.projections import misp, stix
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig

VECTORS = Path(__file__).parent.parent / "vectors" / "reports"
NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
CONTEXT = Context(
    ReporterConfig(name="Example Hotline", email="desk@example.org", platform="Example Pictures"),
    NOW,
    uuid.UUID("0f6b2f0e-4c1d-4f5e-9d6a-2f4b7c8d9e01"),
)

MD5 = CaseHash("md5", bytes.fromhex("ab" * 16))
SHA1 = CaseHash("sha1", bytes.fromhex("cd" * 20))
SHA256 = CaseHash("sha256", bytes.fromhex("ef" * 32))
PDQ = CaseHash("pdq", bytes(range(32)), 87)

MATCH = CaseMatch(
    "known-pictures",
    "set-1",
    12,
    "e-17",
    HarmDomain.CSAM,
    "pdq",
    4,
    31,
    "orig",
    Verdict.MATCH,
    (Label("ncmec", "2022", "A1"), Label("copine", "", "7")),
)
OTHER = replace(
    MATCH,
    list_id="set-2",
    list_name="hotline",
    entry_id="x/9",
    distance=36,
    max_distance=40,
    verdict=Verdict.POSSIBLE_MATCH,
    labels=MATCH.labels[:1],
    disputed=True,
)

SECRETS = ("jane.doe@example.org", "acct-4711", "192.0.2.77", "holiday.jpg", "https://example.org/p/1", "screen-jane")
"""What a case may hold and no shared document may."""

CASE = Case(
    case_id="case-2026-0001",
    domain=HarmDomain.CSAM,
    occurred_at=dt.datetime(2026, 11, 27, 22, 1, tzinfo=dt.timezone(dt.timedelta(hours=1))),
    observed_at=dt.datetime(2026, 11, 28, 8, 0, 0, 250_000, dt.timezone(dt.timedelta(hours=1))),
    created_at=NOW,
    viewed_by_human=False,
    exif_viewed=False,
    item_id=SECRETS[1],
    locator=Locator((SECRETS[4],), ip=SECRETS[2]),
    media=CaseMedia(mime="image/jpeg", size_bytes=48_213, width_px=640, height_px=480, file_name=SECRETS[3]),
    hashes=(MD5, SHA256, PDQ),
    matches=(MATCH, OTHER),
    subject=Subject(
        account_id=SECRETS[1],
        screen_name=SECRETS[5],
        emails=(SECRETS[0],),
        network_events=(NetworkEvent(SECRETS[2]),),
    ),
    decision=Decision(explanation=SECRETS[5], facts=SECRETS[1]),
    classification="A1",
    note=SECRETS[0],
)

NOTICE = replace(
    CASE, domain=HarmDomain.WILDLIFE, matches=(), hashes=(PDQ,), classification="", automated_detection=False
)
"""Told by somebody, met no list, and has no digest."""

GOLDEN: dict[str, tuple[Case, Callable[[Case, Context], Document]]] = {
    "misp/csam.json": (CASE, misp.render),
    "misp/wildlife-notice.json": (NOTICE, misp.render),
    "stix/csam.json": (CASE, stix.render),
    "stix/wildlife-notice.json": (NOTICE, stix.render),
}


if __name__ == "__main__":
    for name, (case, render) in GOLDEN.items():
        (VECTORS / name).write_bytes(render(case, CONTEXT).body)
