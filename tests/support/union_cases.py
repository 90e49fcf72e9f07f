"""Made-up cases for the formats of the European Union, and their golden documents.

``python -m tests.support.union_cases`` writes the documents anew; look at the difference before it is committed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hashmatch.model import HarmDomain, Label, Verdict
from hashmatch.model.cases import (
    Account,
    AccountType,
    Automation,
    Case,
    CaseHash,
    CaseMatch,
    CaseMedia,
    Decision,
    Document,
    Ground,
    Keep,
    Locator,
    NetworkEvent,
    Notifier,
    PriorReport,
    ServiceKind,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections import dsa_letter, dsa_notice, dsa_statement, eu_annex3
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig

VECTORS = Path(__file__).parent.parent / "vectors" / "reports"
SCHEMAS = VECTORS / "schemas"
HOUR = dt.timezone(dt.timedelta(hours=1))
NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
REPORTER = ReporterConfig(
    name="Example Pictures B.V.",
    contact_point="Trust and Safety",
    contact_information="safety@pictures.example.org",
    email="reports@pictures.example.org",
    country="NL",
    platform="Example Pictures",
)
CONTEXT = Context(REPORTER, NOW, uuid.UUID("5f0b2a34-9a1c-4c77-8f27-33b2d1f3a9e0"))

MATCH = CaseMatch(
    list_name="known-pictures",
    list_id="set-1",
    list_version=12,
    entry_id="e-17",
    domain=HarmDomain.CSAM,
    algorithm="pdq",
    distance=4,
    max_distance=31,
    transformation="flipx",
    verdict=Verdict.MATCH,
    labels=(Label("ncmec", "2022", "A1"),),
)
POSSIBLE = replace(
    MATCH,
    list_name="second-list",
    list_version=3,
    entry_id="e-99",
    distance=34,
    max_distance=36,
    transformation="orig",
    verdict=Verdict.POSSIBLE_MATCH,
)
PDQ = CaseHash("pdq", bytes(range(32)), 87)
SUBJECT = Subject(
    account_id="user-4711",
    screen_name="sunset-fan",
    display_names=("Sunset Fan",),
    profile_url="https://pictures.example.org/u/4711",
    emails=("sunset@example.org",),
    phones=("+31 20 000 0000",),
    network_events=(
        NetworkEvent("192.0.2.10", "upload", dt.datetime(2026, 11, 27, 22, 1, tzinfo=HOUR), 51_515),
        NetworkEvent("2001:db8::7", "login", dt.datetime(2026, 11, 27, 21, 50, tzinfo=HOUR), possible_proxy=True),
    ),
    note="Account opened in October.",
)
DECISION = Decision(
    visibility=Visibility.REMOVED,
    account=Account.TERMINATED,
    account_at=dt.datetime(2026, 11, 28, 9, 0, tzinfo=HOUR),
    account_type=AccountType.PRIVATE,
    legal_basis="Directive 2011/93/EU, Article 5, as transposed",
    explanation="The picture matches a list of confirmed material that a hotline keeps.",
    decided_at=dt.datetime(2026, 11, 28, 9, 0, tzinfo=HOUR),
)
CSAM = Case(
    case_id="0b3c5d0e-7a64-4b52-9f6e-1d2c3b4a5968",
    domain=HarmDomain.CSAM,
    occurred_at=dt.datetime(2026, 11, 27, 22, 1, tzinfo=HOUR),
    observed_at=dt.datetime(2026, 11, 28, 8, 0, 0, 250_000, HOUR),
    created_at=NOW,
    viewed_by_human=False,
    exif_viewed=False,
    platform="Example Pictures",
    service="Albums",
    item_id="item-17",
    locator=Locator(("https://pictures.example.org/p/17", "https://cdn.example.org/17.jpg"), "p17", "192.0.2.80"),
    media=CaseMedia(
        mime="image/jpeg",
        size_bytes=48_213,
        width_px=640,
        height_px=480,
        frames=1,
        file_name="holiday.jpg",
        uploaded_at=dt.datetime(2026, 11, 27, 22, 1, tzinfo=HOUR),
    ),
    hashes=(CaseHash("md5", b"\xab" * 16), CaseHash("sha1", b"\xcd" * 20), CaseHash("sha256", b"\xef" * 32), PDQ),
    matches=(POSSIBLE, MATCH),
    receipt_id="receipt-1",
    publicly_available=True,
    automated_decision=Automation.PARTIALLY,
    decision=DECISION,
    subject=SUBJECT,
    keep_subject=Keep.DELIVERED,
    territorial_scope=("NL", "GR", "BE"),
    language="nl",
    urgent="The series was uploaded today.",
    prior_reports=(PriorReport("NCMEC", "4564654"), PriorReport("Politie", "2026-17", "NL")),
    evidence_ref="evidence/17",
    note="Two further pictures of the series are being looked at.",
    member_states=("NL",),
)


def in_domain(domain: HarmDomain, list_name: str, case: Case = CSAM) -> Case:
    """Return a case with one match of a list of another domain."""
    case_id = str(uuid.uuid5(uuid.NAMESPACE_OID, domain.value))
    return replace(case, case_id=case_id, domain=domain, matches=(replace(MATCH, domain=domain, list_name=list_name),))


THB = replace(
    in_domain(HarmDomain.THB, "known-adverts"),
    service_kind=ServiceKind.MARKETPLACE,
    viewed_by_human=True,
    minor_involved=True,
    source=Source.ARTICLE_16,
    notifier=Notifier("Example Foundation", "desk@foundation.example.org"),
    decision=Decision(
        visibility=Visibility.DISABLED,
        legal_basis="Directive 2011/36/EU, Article 2, as transposed",
        explanation="The advert uses pictures again that are known from adverts of trafficking.",
        facts="The picture matched a list of known adverts; an analyst compared the texts.",
        decided_at=dt.datetime(2026, 11, 28, 9, 0, tzinfo=HOUR),
        labels=(Label("dsa", "2", "CONTENT_TYPE_TEXT"),),
    ),
    member_states=(),
    urgent="",
    prior_reports=(),
    subject=None,
    note="",
)
WILDLIFE = replace(
    in_domain(HarmDomain.WILDLIFE, "removed-adverts"),
    service_kind=ServiceKind.MARKETPLACE,
    viewed_by_human=True,
    source=Source.TRUSTED_FLAGGER,
    source_identity="Example Trusted Flagger",
    ean13="4006381333931",
    decision=Decision(
        visibility=Visibility.REMOVED,
        account=Account.SUSPENDED,
        account_type=AccountType.BUSINESS,
        account_ends_on=dt.date(2027, 2, 28),
        legal_basis="Regulation (EC) No 338/97, Article 8",
        explanation="Offers a specimen of Annex A without a certificate.",
        reference_url="https://example.org/law/338-97",
        decided_at=dt.datetime(2026, 11, 28, 9, 0, tzinfo=HOUR),
    ),
    urgent="",
    prior_reports=(),
)
TVEC = replace(
    in_domain(HarmDomain.TVEC, "terrorist-content"),
    automated_decision=Automation.FULLY,
    decision=replace(DECISION, legal_basis="Directive (EU) 2017/541, Article 5, as transposed"),
)
NCII = replace(
    in_domain(HarmDomain.NCII, "intimate-images"),
    media=replace(CSAM.media, created_with_ai=True),
    source=Source.NOTICE,
    source_identity="Example Helpline",
    decision=Decision(
        visibility=Visibility.REMOVED,
        ends_on=dt.date(2038, 1, 1),
        ground=Ground.TERMS,
        also_illegal=True,
        legal_basis="Community rules, section 4",
        explanation="An intimate picture that somebody shared without consent.",
        decided_at=dt.datetime(2026, 11, 28, 9, 0, tzinfo=HOUR),
    ),
    member_states=(),
)
CASES = {"csam": CSAM, "thb": THB, "wildlife": WILDLIFE, "tvec": TVEC, "ncii": NCII}

Render = Callable[[Case, Context], Document]


def batch(_: Case, context: Context) -> Document:
    """Return every case in one batch."""
    return dsa_statement.render_batch(list(CASES.values()), context)


GOLDEN: dict[str, tuple[Case, Render]] = {
    **{f"dsa/notice-{name}.json": (case, dsa_notice.render) for name, case in CASES.items()},
    **{f"dsa/statement-{name}.json": (case, dsa_statement.render) for name, case in CASES.items()},
    "dsa/statements.json": (CSAM, batch),
    **{f"dsa/letter-{name}.json": (CASES[name], dsa_letter.render) for name in ("csam", "thb", "tvec")},
    "eu/csam.json": (CSAM, eu_annex3.render),
}


if __name__ == "__main__":
    for place, (golden, render) in GOLDEN.items():
        (VECTORS / place).write_bytes(render(golden, CONTEXT).body)
