"""Reports as mail messages: their parts, their bytes, and what nobody can put into a header."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage, MIMEPart
from importlib import metadata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadInput, BadReport
from hashmatch.model.cases import Document, Environment, OutletKind
from hashmatch.outbox.mail_message import address, domain_of, message, message_id
from hashmatch.outbox.parcels import Parcel
from hashmatch.projections.formats import FORMATS

NOW = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
SENDER, RECIPIENT = "reports@pictures.example", "abuse@hoster.example"
REPORT_ID = "7b0c2d7e-0000-4000-8000-000000000001"
XARF = Document("xarf", "application/json", f"xarf-{REPORT_ID}.json", b'{"xarf_version": "4.2.0"}\n')
LETTER = Document(
    "letter",
    "text/html; charset=utf-8",
    f"letter-{REPORT_ID}.nl.html",
    "<p>Geachte é</p>\n".encode(),
    (("text", "Geachte é\n".encode()), ("subject", b"Melding onder artikel 16")),
)
PARCEL = Parcel("d-1", "case-1", "key-1", Environment.TEST, XARF, recipient=RECIPIENT)

GOLDEN = """\
From: reports@pictures.example
To: abuse@hoster.example
Subject: XARF abuse report 7b0c2d7e-0000-4000-8000-000000000001
Date: Sat, 28 Nov 2026 09:30:00 +0000
Message-ID: <4f461d0384ac8333ab7f36f49a7d9f67cbd7be8f@pictures.example>
Auto-Submitted: auto-generated
MIME-Version: 1.0
Content-Type: multipart/report; report-type="feedback-report";
 boundary="=_48887dc266e4255fd3558a0ff3d99a11c78e4483"

--=_48887dc266e4255fd3558a0ff3d99a11c78e4483
Content-Type: text/plain; charset="utf-8"
Content-Transfer-Encoding: 7bit

This message was made by a system. It carries
an abuse report in the format XARF v4.
Report: 7b0c2d7e-0000-4000-8000-000000000001

What it says is in the attachment. No image is attached.
Answers to this address reach the sender of the report.

--=_48887dc266e4255fd3558a0ff3d99a11c78e4483
Content-Type: message/feedback-report
Content-Disposition: inline

Feedback-Type: xarf
User-Agent: hashmatch/VERSION
Version: 1

--=_48887dc266e4255fd3558a0ff3d99a11c78e4483
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="xarf.json"
Content-Type: application/json; name="xarf.json"

eyJ4YXJmX3ZlcnNpb24iOiAiNC4yLjAifQo=

--=_48887dc266e4255fd3558a0ff3d99a11c78e4483--
"""


def made(document: Document = XARF, **given: str) -> EmailMessage:
    parcel = replace(PARCEL, document=document, recipient=given.get("recipient", RECIPIENT))
    return message(parcel, given.get("sender", SENDER), NOW)


def read(document: Document) -> EmailMessage:
    parsed = message_from_bytes(made(document).as_bytes(), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def text_of(part: MIMEPart) -> str:
    text = part.get_content()
    assert isinstance(text, str)
    return text.replace("\r\n", "\n")


def types_of(whole: EmailMessage) -> list[str]:
    return [part.get_content_type() for part in whole.walk()]


def test_a_xarf_report_is_these_bytes() -> None:
    expected = GOLDEN.replace("VERSION", metadata.version("hashmatch"))
    assert made().as_bytes() == expected.replace("\n", "\r\n").encode()


def test_a_xarf_report_is_a_feedback_report_as_abuse_desks_parse_it() -> None:
    whole = read(XARF)
    assert [part.get_content_type() for part in whole.iter_parts()] == (
        ["text/plain", "message/feedback-report", "application/json"]
    )
    assert whole.get_content_type() == "multipart/report"
    assert whole.get_param("report-type") == "feedback-report"
    attached = list(whole.iter_parts())[2]
    assert (attached.get_filename(), attached.get_param("name")) == ("xarf.json", "xarf.json")
    assert attached.get_content_disposition() == "attachment"
    assert attached.get_payload(decode=True) == XARF.body


def test_a_summary_of_the_documents_own_is_used() -> None:
    whole = read(replace(XARF, parts=(("text", b"One report.\n"),)))
    assert text_of(next(whole.iter_parts())) == "One report.\n"


def test_a_letter_is_text_and_then_html() -> None:
    whole = read(LETTER)
    assert types_of(whole) == ["multipart/alternative", "text/plain", "text/html"]
    assert [text_of(part) for part in whole.iter_parts()] == ["Geachte é\n", "<p>Geachte é</p>\n"]
    assert whole["Subject"] == "Melding onder artikel 16"
    without = replace(LETTER, parts=LETTER.parts[:1])
    assert read(without)["Subject"] == f"Notice {REPORT_ID}"


@pytest.mark.parametrize(
    ("name", "media_type", "file_name", "subject"),
    [
        ("dsa16", "application/json", f"dsa16-{REPORT_ID}.json", f"Article 16 DSA notice {REPORT_ID}"),
        ("dsa18", "application/json", f"dsa18-{REPORT_ID}.json", f"Article 18 DSA notification {REPORT_ID}"),
        ("iccam", "text/csv; charset=utf-8; header=present", f"items-{REPORT_ID}.csv", f"Report items {REPORT_ID}"),
    ],
)
def test_other_documents_are_attached_under_their_name(
    name: str, media_type: str, file_name: str, subject: str
) -> None:
    document = Document(name, media_type, file_name, "é,b\r\n".encode())
    whole = read(document)
    assert types_of(whole) == ["multipart/mixed", "text/plain", media_type.partition(";")[0]]
    assert whole["Subject"] == subject
    attached = list(whole.walk())[2]
    assert (attached.get_filename(), attached.get_payload(decode=True)) == (file_name, document.body)
    assert [attached.get_param(key) for key in ("charset", "header")] == (
        ["utf-8", "present"] if name == "iccam" else [None, None]
    )
    assert REPORT_ID in text_of(next(whole.iter_parts()))


def test_every_format_that_may_go_by_mail_has_a_layout() -> None:
    names = {name for name, row in FORMATS.items() if OutletKind.MAIL in row.outlets}
    with pytest.raises(BadReport) as refused:
        made(replace(XARF, format="stix"))
    assert refused.value.message == "stix does not go by mail; letter, xarf, dsa16, dsa18, iccam do"
    assert names == {"letter", "xarf", "dsa16", "dsa18", "iccam"}


def test_the_same_delivery_has_the_same_number_and_boundary() -> None:
    later = message(replace(PARCEL, attempt=9), SENDER, NOW + dt.timedelta(days=1))
    assert (made()["Message-ID"], made().get_boundary()) == (later["Message-ID"], later.get_boundary())
    assert message_id("key-1", SENDER) == "<4f461d0384ac8333ab7f36f49a7d9f67cbd7be8f@pictures.example>"
    assert len({message_id(key, SENDER) for key in ("key-1", "key-2", "")}) == 3


def test_headers_say_that_no_person_wrote_it() -> None:
    whole = made()
    assert (whole["Auto-Submitted"], whole["Date"]) == ("auto-generated", "Sat, 28 Nov 2026 09:30:00 +0000")
    assert list(whole.keys()) == [
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *("abuse@hoster.example", "a.b+c@a.b.example", "jörg@hoster.example", "用户@hoster.example", "root@localhost"),
        *(f"{'a' * 64}@x.example", "!#$%&'*+/?=^_`{|}~-@x.example", "a=b?c@x.example", "x@xn--mnchen-3ya.example"),
    ],
)
def test_addresses_are_taken_as_they_are(text: str) -> None:
    assert address(text, "recipient") == text
    assert f"To: {text}\r\n".encode() in made(recipient=text).as_bytes()


@pytest.mark.parametrize(
    "text",
    [
        *("", "abuse", "@hoster.example", "abuse@", "a@b@c.example", "a b@c.example", "a@c .example", ".a@c.example"),
        *("a..b@c.example", "a@c.example\r\nBcc: x@d.example", "a\n@c.example", "a@c.example\n", "a\0@c.example"),
        *("Name <a@c.example>", '"a b"@c.example', "a@[192.0.2.1]", "a@-c.example", "a@c..example", "a@c.example."),
        *("a@münchen.example", f"{'a' * 65}@c.example", f"{'é' * 33}@c.example", f"a@{'a' * 64}.example"),
        *(
            "a,b@c.example",
            "a;b@c.example",
            "a(b)@c.example",
            "a>@c.example",
            "a\u2028b@c.example",
            "a\u00a0b@c.example",
        ),
        *(f"a@{'a.' * 126}example", "=?utf-8?q?a?=@c.example", "a=?utf-8?q?=0D=0ABcc=3A_x?=@c.example"),
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadInput) as refused:
        address(text, "recipient")
    assert refused.value.message == (
        f"recipient: {text[:80]!r} is no mail address: expected name@host, the host in ASCII (xn--...)"
    )
    assert refused.value.field == "recipient"
    with pytest.raises(BadInput):
        made(recipient=text)
    with pytest.raises(BadInput):
        made(sender=text)


def test_a_domain_ignores_case() -> None:
    assert domain_of("Abuse@Hoster.EXAMPLE") == "hoster.example"


@pytest.mark.parametrize("subject", ["x" * 201, "see https://host.example/x", "bell\a", "bidi \u202e"])
def test_a_letters_subject_is_one_short_line_that_leads_nowhere(subject: str) -> None:
    with pytest.raises(BadReport) as refused:
        made(replace(LETTER, parts=(("text", b"x"), ("subject", subject.encode()))))
    assert refused.value.message == (
        "the letter's subject is no printable line of at most 200 characters without an address"
    )


def test_line_breaks_in_a_subject_become_spaces() -> None:
    hostile = "Melding\r\nBcc: victim@example.org\n\nbody"
    whole = read(replace(LETTER, parts=(("text", b"x"), ("subject", hostile.encode()))))
    assert (whole["Subject"], whole["Bcc"]) == ("Melding Bcc: victim@example.org body", None)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (replace(LETTER, parts=()), "letter goes by mail only with its part 'text'"),
        (replace(LETTER, media_type="image/png"), "a letter by mail is text/html, not 'image/png'"),
        (replace(XARF, media_type="image/png"), "nothing of the type 'image/png' is attached to a mail"),
        (replace(XARF, media_type="Image/JPEG"), "nothing of the type 'Image/JPEG' is attached to a mail"),
        (replace(XARF, file_name="report.json"), "'report.json' does not name its report"),
        (
            replace(XARF, format="dsa16", file_name=f'{REPORT_ID}"\r\nX: y.json'),
            f"{REPORT_ID + chr(34) + chr(13) + chr(10) + 'X: y.json'!r} is no name for an attachment",
        ),
    ],
)
def test_a_document_that_does_not_fit_its_layout_is_refused(document: Document, message: str) -> None:
    with pytest.raises(BadReport) as refused:
        made(document)
    assert refused.value.message == message


def test_a_name_beyond_ascii_makes_the_headers_utf8_and_nothing_else() -> None:
    octets = made(recipient="jörg@hoster.example").as_bytes()
    assert "To: jörg@hoster.example\r\n".encode() in octets
    _, _, body = octets.partition(b"\r\n\r\n")
    assert body.isascii()
    assert made(LETTER).as_bytes().isascii()


def test_the_longest_addresses_are_not_broken() -> None:
    domain = ".".join(["a" * 60] * 4) + ".example"
    octets = made(sender=f"{'s' * 64}@{domain}", recipient=f"{'r' * 64}@{domain}").as_bytes()
    assert message_id("key-1", f"s@{domain}").encode() in octets
    assert f"To: {'r' * 64}@{domain}\r\n".encode() in octets


TEXTS = st.text(st.characters(codec="utf-8"), max_size=300)


@given(subject=TEXTS, text=TEXTS, html=TEXTS)
def test_nothing_in_a_letter_adds_a_header_or_a_part_or_breaks_a_line(subject: str, text: str, html: str) -> None:
    document = replace(LETTER, body=html.encode(), parts=(("text", text.encode()), ("subject", subject.encode())))
    try:
        octets = made(document).as_bytes()
    except BadReport:
        return
    check_well_formed(octets)
    whole = message_from_bytes(octets, policy=policy.default)
    assert sorted(whole.keys()) == sorted(made().keys())
    assert [part.get_content_type() for part in whole.walk()] == ["multipart/alternative", "text/plain", "text/html"]


@given(body=st.binary(max_size=4_000))
def test_any_document_arrives_byte_by_byte(body: bytes) -> None:
    octets = made(replace(XARF, body=body)).as_bytes()
    check_well_formed(octets)
    whole = message_from_bytes(octets, policy=policy.default)
    assert list(whole.walk())[-1].get_payload(decode=True) == body


def check_well_formed(octets: bytes) -> None:
    """Lines end in CRLF and in nothing else, have at most 78 columns, and are ASCII."""
    assert octets.endswith(b"\r\n")
    assert re.search(rb"\r(?!\n)|(?<!\r)\n|\0", octets) is None
    assert max(map(len, octets.split(b"\r\n"))) <= 78
    assert octets.isascii()
