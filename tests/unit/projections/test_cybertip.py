"""CyberTips: the golden ones, who may be told of what, and every rule with its message."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from hashmatch.errors import BadInput, BadReport, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import (
    Account,
    Case,
    CaseHash,
    CaseMedia,
    Decision,
    Locator,
    NetworkEvent,
    OtherTexts,
    PriorReport,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections import cybertip
from hashmatch.projections.cybertip_file import with_ids
from hashmatch.projections.cybertip_rules import ANNOTATIONS, INCIDENTS, Extras
from hashmatch.projections.cybertip_schema import validate_document
from hashmatch.projections.cybertip_xml import disorder, parsed
from hashmatch.projections.domains import ALLOWED
from hashmatch.sections import ReporterConfig
from tests.support import tips
from tests.vectors.reports.cybertip import generate

FILE_ID = "0123456789abcdef" * 2


@pytest.mark.parametrize("name", sorted(generate.files()))
def test_what_is_rendered_is_what_a_person_found_right(name: str) -> None:
    assert generate.files()[name] == (generate.HERE / name).read_bytes()


def test_there_is_no_golden_file_that_nothing_is_held_against() -> None:
    assert {path.name for path in generate.HERE.iterdir() if path.suffix in {".xml", ".json"}} == set(generate.files())


@pytest.mark.skipif(tips.schema() is None, reason="NCMEC's schema is not here")
@pytest.mark.parametrize("name", sorted(generate.documents()))
def test_the_schema_takes_what_is_rendered(name: str) -> None:
    path = tips.schema()
    assert path is not None
    validate_document(generate.documents()[name], path)


def test_the_same_case_is_rendered_alike_each_time() -> None:
    assert cybertip.render(tips.full(), tips.CONTEXT) == cybertip.render(tips.full(), tips.CONTEXT)


def test_a_document_says_what_it_is() -> None:
    document = cybertip.render(tips.least(), tips.CONTEXT)
    assert (document.format, document.media_type) == ("cybertip", "text/xml")
    assert document.file_name == "cybertip-6f1c2d9e-0000-4000-8000-000000000001.xml"
    assert [name for name, _ in document.parts] == ["fileDetails", "manifest"]


# --- who may be told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", list(HarmDomain))
@pytest.mark.parametrize("minor", [False, True])
@pytest.mark.parametrize("make", [tips.least, tips.full])
def test_only_abuse_of_children_and_trafficking_of_minors_is_told(domain: HarmDomain, minor: bool, make: Any) -> None:  # noqa: FBT001
    case = replace(make(domain), minor_involved=minor)
    if domain is HarmDomain.CSAM or (domain is HarmDomain.THB and minor):
        body = parsed(cybertip.render(case, tips.CONTEXT).body, "report")
        assert body.findtext("incidentSummary/incidentType") == INCIDENTS[domain]
    else:
        with pytest.raises(OutletForbidden):
            cybertip.render(case, tips.CONTEXT)
        with pytest.raises(OutletForbidden):
            cybertip.render_batch([tips.member(1), case], tips.CONTEXT)


def test_every_domain_that_is_allowed_has_a_type_of_incident_and_no_other() -> None:
    assert set(INCIDENTS) == ALLOWED["cybertip"]
    assert set(INCIDENTS.values()) == {
        "Child Pornography (possession, manufacture, and distribution)",
        "Child Sex Trafficking",
    }


def test_a_match_in_a_list_of_another_domain_forbids_the_report() -> None:
    case = replace(tips.full(), matches=(tips.match(HarmDomain.WILDLIFE),))
    with pytest.raises(OutletForbidden, match="its matches are in lists of wildlife"):
        cybertip.render(case, tips.CONTEXT)


# --- viewed ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("viewed", "exif"), [(False, False), (True, False), (True, True)])
def test_whether_somebody_looked_is_always_said_as_the_case_has_it(viewed: bool, exif: bool) -> None:  # noqa: FBT001
    case = replace(tips.least(), viewed_by_human=viewed, exif_viewed=exif)
    details = parsed(dict(cybertip.render(case, tips.CONTEXT).parts)["fileDetails"], "fileDetails")
    assert details.findtext("fileViewedByEsp") == str(viewed).lower()
    assert details.findtext("exifViewedByEsp") == str(exif).lower()


def test_a_case_has_no_default_of_whether_somebody_looked() -> None:
    fields = {field.name: field for field in dataclasses.fields(Case)}
    for name in ("viewed_by_human", "exif_viewed"):
        assert fields[name].default is dataclasses.MISSING
        assert fields[name].default_factory is dataclasses.MISSING


# --- every rule --------------------------------------------------------------------------------------------------

LATE = tips.NOW + dt.timedelta(hours=1)
NAIVE = dt.datetime(2025, 1, 1)  # noqa: DTZ001
BEFORE = "is later than observed_at, 2025-01-01T11:01:00+00:00: nothing is seen before it happens"
NEWER = "newer ones are allowed one by one"
ONCE = "in cases[0]; a batch says it of one file, once"
OLD = dt.datetime(1, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=14)))


def person(**fields: Any) -> dict[str, Any]:
    return {"subject": Subject(**fields)}


def event(**fields: Any) -> dict[str, Any]:
    return person(network_events=(NetworkEvent(**{"ip": "192.0.2.1", **fields}),))


RULES: list[tuple[dict[str, Any], Extras, str, str, str]] = [
    ({"occurred_at": NAIVE}, Extras(), "occurred_at", "zone",
     "2025-01-01T00:00:00 has no zone; give an offset, such as Z or +01:00"),
    ({"observed_at": LATE}, Extras(), "observed_at", "future", "2025-01-02T10:00:00+00:00 is in the future"),
    (event(at=LATE), Extras(), "subject.network_events[0].at", "future", "2025-01-02T10:00:00+00:00 is in the future"),
    ({"decision": Decision(account=Account.SUSPENDED, account_at=LATE)}, Extras(), "decision.account_at", "future",
     "2025-01-02T10:00:00+00:00 is in the future"),
    ({"occurred_at": OLD}, Extras(), "occurred_at", "past", "0001-01-01T00:00:00+14:00 is before 1970"),
    ({"occurred_at": tips.NOW}, Extras(), "occurred_at", "chronology",
     f"2025-01-02T09:00:00+00:00 {BEFORE}"),
    ({"media": CaseMedia(uploaded_at=tips.NOW)}, Extras(), "media.uploaded_at", "chronology",
     f"2025-01-02T09:00:00+00:00 {BEFORE}"),
    ({"exif_viewed": True}, Extras(), "viewed_by_human", "viewed",
     "must be true where exif_viewed is: metadata is viewed as part of the file"),
    ({"classification": "C1"}, Extras(), "classification", "classification", "'C1' is none of A1, A2, B1, B2"),
    ({"classification": "A1"}, Extras(supplemental=True), "classification", "supplemental",
     "a supplemental file is not classified; leave it empty"),
    ({"potential_meme": True}, Extras(supplemental=True), "potential_meme", "supplemental",
     "a supplemental file is not marked as a potential meme"),
    ({"hashes": (CaseHash("sha1", b"x" * 16),)}, Extras(), "hashes[0].value", "size",
     "a value of sha1 has 20 bytes, not 16"),
    ({"platform": "p" * 257}, Extras(), "platform", "length", "257 characters are too many; at most 256"),
    ({"urgent": "u" * 3_001}, Extras(), "urgent", "length", "3001 characters are too many; at most 3000"),
    ({"urgent": " \n"}, Extras(), "urgent", "blank", "is only white space; leave it empty or say something"),
    ({"note": "a\x00b"}, Extras(), "note", "characters", "holds a character that XML cannot carry"),
    ({"locator": Locator(urls=("https://example.org/" + "u" * 2_064,))}, Extras(), "locator.urls[0]", "length",
     "2084 characters are too many; at most 2083"),
    ({"locator": Locator(ip="somewhere")}, Extras(), "locator.ip", "address", "is no IPv4 or IPv6 address"),
    ({"media": CaseMedia(file_name="n" * 2_057)}, Extras(), "media.file_name", "length",
     "2057 characters are too many; at most 2056"),
    ({"matches": (replace(tips.match(), list_name="\ud800"),)}, Extras(), "matches[0]", "characters",
     "holds a character that XML cannot carry"),
    (person(account_id="i" * 256), Extras(), "subject.account_id", "length",
     "256 characters are too many; at most 255"),
    (person(screen_name="i" * 257), Extras(), "subject.screen_name", "length",
     "257 characters are too many; at most 256"),
    (person(display_names=("a", "\x1b")), Extras(), "subject.display_names[1]", "characters",
     "holds a character that XML cannot carry"),
    (event(ip="fe80::1%eth0"), Extras(), "subject.network_events[0].ip", "address", "is no IPv4 or IPv6 address"),
    (event(event="Upload"), Extras(), "subject.network_events[0].event", "event",
     "'Upload' is none of login, registration, purchase, upload, other, unknown"),
    (event(port=0), Extras(), "subject.network_events[0].port", "port", "0 is not within 1 and 65535"),
    (event(port=65_536), Extras(), "subject.network_events[0].port", "port", "65536 is not within 1 and 65535"),
    ({"prior_reports": (PriorReport("ncmec", "CT-1"),)}, Extras(), "prior_reports[0].reference", "report id",
     "'CT-1' is no number of a CyberTip"),
    ({"prior_reports": (PriorReport("NCMEC", str(1 << 63)),)}, Extras(), "prior_reports[0].reference", "report id",
     "'9223372036854775808' is no number of a CyberTip"),
    ({"decision": Decision(account_user_notified=True)}, Extras(), "decision.account_user_notified", "account",
     "the user was told of a measure against the account, and there is none"),
    ({}, Extras(annotations=("informational",)), "annotations", "annotation",
     f"'informational' is not in NCMEC's schema of 2025-06 ({', '.join(sorted(ANNOTATIONS))}); {NEWER}"),
    ({}, Extras(annotations=("spam", "spam")), "annotations", "annotation", "one is given twice"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "extras", "field", "rule", "message"), RULES)
def test_every_rule_names_field_and_value(
    fields: dict[str, Any], extras: Extras, field: str, rule: str, message: str
) -> None:
    case = replace(tips.least(), **fields)
    (problem,) = cybertip.problems(case, tips.REPORTER, tips.NOW, extras)
    assert (problem.field, problem.rule, problem.message) == (field, rule, message)
    with pytest.raises(BadReport) as caught:
        cybertip.render(case, tips.CONTEXT, extras)
    assert caught.value.message == f"CyberTip: {field}: {message} ({rule})"
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("reporter", "field", "message"),
    [
        ({"email": ""}, "reporter.email", "is not set; NCMEC takes no report without one"),
        ({"email": "desk"}, "reporter.email", "'desk' is no address; NCMEC takes no report without one"),
        ({"country": "nl"}, "reporter.country", "'nl' is no ISO 3166 alpha-2 code"),
        ({"first_name": "f" * 101}, "reporter.first_name", "101 characters are too many; at most 100"),
        ({"legal_url": "f" * 2_084}, "reporter.legal_url", "2084 characters are too many; at most 2083"),
        ({"esp_service": "f" * 101}, "reporter.esp_service", "101 characters are too many; at most 100"),
    ],
)
def test_the_reporter_is_held_to_rules_too(reporter: dict[str, Any], field: str, message: str) -> None:
    (problem,) = cybertip.problems(tips.least(), replace(tips.REPORTER, **reporter), tips.NOW)
    assert (problem.field, problem.message) == (field, message)


def test_all_that_is_wrong_is_told_at_once() -> None:
    case = replace(tips.least(), exif_viewed=True, classification="?")
    with pytest.raises(BadReport) as caught:
        cybertip.render(case, replace(tips.CONTEXT, reporter=ReporterConfig()))
    assert caught.value.message.startswith("CyberTip: reporter.email: is not set")
    assert "viewed_by_human: must be true" in caught.value.message
    assert "classification: '?' is none of" in caught.value.message


def test_a_newer_annotation_is_written_where_it_was_allowed_by_name() -> None:
    extras = Extras(annotations=("informational",), newer=frozenset({"informational"}))
    body = parsed(cybertip.render(tips.least(), tips.CONTEXT, extras).body, "report")
    assert body.findtext("incidentSummary/reportAnnotations/informational") == "true"
    assert "informational" not in ANNOTATIONS


# --- what is said ------------------------------------------------------------------------------------------------


def test_what_was_done_is_said_in_the_callers_words_where_it_is_something_else() -> None:
    decision = Decision(visibility=Visibility.OTHER, others=OtherTexts(visibility="blurred"))
    body = cybertip.render(replace(tips.least(), decision=decision), tips.CONTEXT).body.decode()
    assert "What was done to the content: blurred." in body


@pytest.mark.parametrize("source", list(Source))
def test_how_the_provider_became_aware_names_no_private_person(source: Source) -> None:
    case = replace(tips.least(), source=source, source_identity="A Name")
    body = cybertip.render(case, tips.CONTEXT).body.decode()
    assert ("A Name" in body) is (source in {Source.TRUSTED_FLAGGER, Source.ORDER})


def test_a_measure_against_an_account_is_said_only_of_an_account() -> None:
    decision = Decision(account=Account.SUSPENDED, account_at=tips.NOW)
    assert b"accountTemporarilyDisabled" not in cybertip.render(
        replace(tips.least(), decision=decision, subject=Subject()), tips.CONTEXT
    ).body  # fmt: skip
    body = parsed(
        cybertip.render(replace(tips.least(), decision=decision, subject=Subject("u-1")), tips.CONTEXT).body, "report"
    )
    (element,) = body.findall("personOrUserReported/accountTemporarilyDisabled")
    assert element.text == "true"
    assert dict(element.attrib) == {"disabledDate": "2025-01-02T09:00:00Z", "userNotified": "false"}


# --- the draft of the file ---------------------------------------------------------------------------------------


def test_ids_are_filled_in_and_nothing_else_changes() -> None:
    draft = dict(cybertip.render(tips.full(), tips.CONTEXT).parts)["fileDetails"]
    filled = with_ids(draft, "4564654", FILE_ID)
    assert filled.replace(b"<reportId>4564654</reportId>", b"<reportId/>").replace(
        f"<fileId>{FILE_ID}</fileId>".encode(), b"<fileId/>"
    ) == draft  # fmt: skip


@pytest.mark.parametrize(
    ("part", "report_id", "file_id", "message"),
    [
        (b"", "0", FILE_ID, "reportId: '0' is no number of a report"),
        (b"", "1<", FILE_ID, "reportId: '1<' is no number of a report"),
        (b"", "\u0661", FILE_ID, "is no number of a report"),
        (b"", "1", "0" * 31, "fileId: '0000000000000000000000000000000' is not 32 hexadecimal digits"),
        (b"", "1", FILE_ID + "\n", "is not 32 hexadecimal digits"),
        (b"no XML", "1", FILE_ID, "fileDetails: no XML: "),
        (b"<report/>", "1", FILE_ID, "fileDetails: is report"),
        (b"<fileDetails><fileId/><reportId/></fileDetails>", "1", FILE_ID, "fileDetails/reportId comes too late"),
        (b"<!DOCTYPE fileDetails [<!ENTITY a 'b'>]><fileDetails/>", "1", FILE_ID, "a document type is not allowed"),
        (b"<fileDetails/>", "1", FILE_ID, "fileDetails: reportId is filled in already"),
    ],
)
def test_anything_but_ids_and_a_draft_is_refused(part: bytes, report_id: str, file_id: str, message: str) -> None:
    with pytest.raises(BadReport) as caught:
        with_ids(part, report_id, file_id)
    assert message in caught.value.message


def test_a_draft_is_filled_in_once() -> None:
    draft = dict(cybertip.render(tips.least(), tips.CONTEXT).parts)["fileDetails"]
    with pytest.raises(BadReport, match="fileDetails: reportId is filled in already"):
        with_ids(with_ids(draft, "1", FILE_ID), "2", FILE_ID)


def test_the_manifest_says_which_hashes_are_not_sent() -> None:
    tree = json.loads(dict(cybertip.render(tips.full(), tips.CONTEXT).parts)["manifest"])
    assert tree["file"]["hashes_not_sent"] == ["phash"]
    assert [call["call"] for call in tree["calls"]] == [
        "POST /submit",
        "POST /upload",
        "POST /fileinfo",
        "POST /finish",
    ]


# --- batches -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "field", "message"),
    [
        ({"subject": None}, "subject.account_id", "is needed: a batch names accounts and nothing else"),
        ({"subject": Subject("user-1")}, "subject.account_id", "is that of cases[0] too"),
        ({"urgent": "now"}, "urgent", "an urgent case is reported on its own"),
        ({"hashes": ()}, "hashes", "no digest says that this is the file of cases[0]"),
        ({"hashes": tips.digests()[:1]}, "hashes", "no digest says that this is the file of cases[0]"),
        ({"hashes": tips.digests(b"other")}, "hashes", "no digest says that this is the file of cases[0]"),
        ({"platform": "Other"}, "platform", f"'Other' differs from '' {ONCE}"),
        ({"viewed_by_human": True}, "viewed_by_human",
         f"True differs from False {ONCE}"),
        ({"classification": ""}, "classification", f"'' differs from 'A2' {ONCE}"),
    ],
)  # fmt: skip
def test_every_rule_of_batches_names_the_case(fields: dict[str, Any], field: str, message: str) -> None:
    with pytest.raises(BadReport) as caught:
        cybertip.render_batch([tips.member(1), replace(tips.member(2), **fields)], tips.CONTEXT)
    assert caught.value.message == f"batched CyberTip: cases[1].{field}: {message} (batch)"
    assert caught.value.field == f"cases[1].{field}"


def test_a_batch_is_of_what_went_round() -> None:
    quiet = [replace(tips.member(n), viral=False, potential_meme=False) for n in (1, 2)]
    with pytest.raises(BadReport, match=r"cases\[0\].viral: neither viral nor potential_meme is true"):
        cybertip.render_batch(quiet, tips.CONTEXT)


def test_a_batch_is_several_cases_of_abuse() -> None:
    with pytest.raises(BadInput, match="a batch is several cases, not 0"):
        cybertip.render_batch([], tips.CONTEXT)
    with pytest.raises(BadReport, match="cases: a batch is several cases, not 1"):
        cybertip.render_batch([tips.member(1)], tips.CONTEXT)
    trafficking = [replace(tips.member(n), domain=HarmDomain.THB, minor_involved=True, matches=()) for n in (1, 2)]
    with pytest.raises(BadReport, match=r"cases\[0\].domain: thb is not reported in batches"):
        cybertip.render_batch(trafficking, tips.CONTEXT)


def test_the_rules_of_single_cases_hold_in_batches() -> None:
    with pytest.raises(BadReport) as caught:
        cybertip.render_batch([tips.member(1), replace(tips.member(2), occurred_at=NAIVE)], tips.CONTEXT)
    assert "cases[1].occurred_at: 2025-01-01T00:00:00 has no zone" in caught.value.message


def test_a_batch_tells_accounts_and_nothing_else_of_them() -> None:
    document = cybertip.render_batch([tips.member(n) for n in (1, 2)], tips.CONTEXT)
    body = parsed(document.body, "report")
    assert [[child.tag for child in one] for one in body.findall("personOrUserReported")] == [["espIdentifier"]] * 2
    assert {element.tag for element in body} == {"batchedReport", "incidentSummary", "reporter", "personOrUserReported"}
    details = parsed(dict(document.parts)["fileDetails"], "fileDetails")
    assert {element.tag for element in details} == {
        "reportId", "fileId", "fileViewedByEsp", "exifViewedByEsp", "fileRelevance", "fileAnnotations",
        "industryClassification",
    }  # fmt: skip


# --- the table of orders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("xml", "wrong"),
    [
        ("<report><reporter/><incidentSummary/></report>", "report/incidentSummary comes too late"),
        ("<report><incidentSummary/><reporter/><x/></report>", "report/x is not allowed"),
        ("<report><incidentSummary/></report>", "report/reporter is there 0 times"),
        ("<ipCaptureEvent><ipAddress/><port/><port/></ipCaptureEvent>", "ipCaptureEvent/port is there 2 times"),
        ("<fileAnnotations><viral>false</viral></fileAnnotations>", "fileAnnotations/viral is not true"),
        ("<report><incidentSummary/><!-- x --><reporter/></report>", "is not allowed"),
    ],
)
def test_disorder_is_seen(xml: str, wrong: str) -> None:
    (told,) = disorder(etree.fromstring(xml))
    assert wrong in told
