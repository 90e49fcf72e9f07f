"""A report as a mail message: what stands in which part, and headers that nothing can break out of.

Theory of operation
-------------------
The format of the document decides the layout:

=======================  =============================================================================================
letter                   ``multipart/alternative``: the part "text", then the body as HTML
xarf                     ``multipart/report; report-type=feedback-report``: a summary, ``message/feedback-report`` with
                         ``Feedback-Type: xarf``, and ``application/json`` named ``xarf.json``, in base64
dsa16, dsa18, iccam      ``multipart/mixed``: a summary, and the document under its own name and media type
=======================  =============================================================================================

The layout of XARF is that of the format's own description of mail, which extends RFC 5965: abuse desks sort by the
outer type and by ``Feedback-Type``, and read the JSON (reference formats §2.5); a parser that wants all three finds
nothing in ``multipart/mixed``, and a desk that only looks for ``xarf.json`` finds it here as well.

The Message-ID and the boundaries are made from the key of the delivery, so a message that is sent again is recognised.
Subjects name the report by its number: a mailbox list shows neither what was found nor where. A header holds what
passed :func:`address`, a regular expression, or a constant; the letter's subject is printable text on one line.
Everything but the addresses is ASCII on the way, so that no server needs ``8BITMIME``; lines have 78 columns, except
that an address is never broken.

What this module deliberately does not do: it attaches no image and nothing whose type it does not know, adds no display
names, and takes neither quoted local parts nor domains that are not written in ASCII: ways of converting those differ,
and a report must not go to a host that merely looks alike.

Source
------
RFC 5321 §4.5.3, RFC 5322 §2.1.1 and §3.6, RFC 2046 §5.1, RFC 3834 §5, RFC 5965, RFC 6531; XARF v4, "Email Transport".
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage
from importlib import metadata
from typing import Final

from hashmatch.errors import BadInput, BadReport
from hashmatch.model.cases import Document
from hashmatch.outbox.parcels import Parcel

MAX_LOCAL_BYTES: Final = 64
MAX_DOMAIN_CHARS: Final = 253
"""Of a name in the DNS; RFC 5321 §4.5.3.1 allows two more."""
MAX_SUBJECT_CHARS: Final = 200

XARF_NAME: Final = "xarf.json"

_LOCAL: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
"""``dot-atom`` of RFC 5322 §3.2.3; characters beyond ASCII are put aside before (RFC 6531 §3.3)."""
_ENCODED: Final = "=?"
"""What an encoded word begins with (RFC 2047 §2): a header would be read as another address than the envelope's."""
_DOMAIN: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_REPORT_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_PARAMETER: Final = re.compile(r"([a-z]{1,20})=([a-z0-9-]{1,20})")

_ATTACHED: Final = frozenset({"application/json", "text/csv"})
"""Media types that may be attached."""

_7BIT: Final = policy.SMTP.clone(cte_type="7bit", max_line_length=78)
_UTF8: Final = policy.SMTPUTF8.clone(cte_type="7bit", max_line_length=78)


def address(text: str, field: str) -> str:
    """Return a mail address that can stand in a header and in an envelope as it is.

    Parameters
    ----------
    text : str
        ``local@domain`` and nothing else; the local part may hold letters beyond ASCII, the domain may not.
    field : str
        What to call it in the message.

    Raises
    ------
    BadInput
        It is no such address.

    """
    local, at, domain = text.rpartition("@")
    plain = "".join("x" if not c.isascii() and c.isalnum() else c for c in local)
    if (
        not at
        or _ENCODED in local
        or _LOCAL.fullmatch(plain) is None
        or len(local.encode()) > MAX_LOCAL_BYTES
        or _DOMAIN.fullmatch(domain) is None
        or len(domain) > MAX_DOMAIN_CHARS
    ):
        raise BadInput(
            f"{field}: {text[:80]!r} is no mail address: expected name@host, the host in ASCII (xn--...)", field=field
        )
    return text


def domain_of(text: str) -> str:
    """Return the domain of an address, in lower case."""
    return text.rpartition("@")[2].lower()


def message_id(key: str, sender: str) -> str:
    """Return the Message-ID of a delivery: the same at every try, and nothing of the key can be read from it."""
    return f"<{_digest(key, 'id')}@{domain_of(sender)}>"


def message(parcel: Parcel, sender: str, now: dt.datetime) -> EmailMessage:
    """Return a delivery as a message.

    Parameters
    ----------
    parcel : Parcel
        Whose ``recipient`` is the address that it goes to.
    sender : str
        Address that it comes from.
    now : datetime
        With a zone.

    Raises
    ------
    BadInput
        An address is none.
    BadReport
        The format does not go by mail, or the document lacks what its layout needs.

    """
    pair = address(sender, "sender"), address(parcel.recipient, "recipient")
    layout = _LAYOUTS.get(parcel.document.format)
    if layout is None:
        raise BadReport(f"{parcel.document.format} does not go by mail; {', '.join(_LAYOUTS)} do", field="format")
    named = _Named(parcel.document, _report_id(parcel.document))
    made = EmailMessage(policy=_7BIT if "".join(pair).isascii() else _UTF8)
    made["From"], made["To"] = (Address(username=one.rpartition("@")[0], domain=one.rpartition("@")[2]) for one in pair)
    made["Subject"] = layout.subject(named)
    made["Date"] = now
    made["Message-ID"] = message_id(parcel.key, sender)
    made["Auto-Submitted"] = "auto-generated"
    made["MIME-Version"] = "1.0"
    made["Content-Type"] = f"multipart/{layout.subtype}"
    for name, value in layout.parameters:
        made.set_param(name, value)
    made.set_boundary(f"=_{_digest(parcel.key, 'boundary')}")
    for part in layout.parts(named):
        del part["MIME-Version"]  # one for the whole (RFC 2045 §4)
        made.attach(part)
    return made


@dataclass(frozen=True, slots=True)
class _Named:
    """A document with the number of its report."""

    document: Document
    report_id: str

    def part(self, name: str) -> str:
        """Return the text of a part; the document has to have it."""
        found = dict(self.document.parts).get(name)
        if found is None:
            raise BadReport(f"{self.document.format} goes by mail only with its part {name!r}", field="document")
        return found.decode()


@dataclass(frozen=True, slots=True)
class _Layout:
    subtype: str
    subject: Callable[[_Named], str]
    parts: Callable[[_Named], Iterable[EmailMessage]]
    parameters: tuple[tuple[str, str], ...] = ()


def _letter_subject(named: _Named) -> str:
    """Return the subject that the letter brings, or one that says nothing."""
    if "subject" not in dict(named.document.parts):
        return f"Notice {named.report_id}"
    subject = " ".join(named.part("subject").split())
    if not subject.isprintable() or len(subject) > MAX_SUBJECT_CHARS or "://" in subject:
        raise BadReport(
            f"the letter's subject is no printable line of at most {MAX_SUBJECT_CHARS} characters without an address",
            field="document",
        )
    return subject


def _letter(named: _Named) -> Iterable[EmailMessage]:
    media_type, _, _ = named.document.media_type.partition(";")
    if media_type != "text/html":
        raise BadReport(f"a letter by mail is text/html, not {media_type[:80]!r}", field="document")
    yield _text(named.part("text"))
    html = _part()
    html.set_content(named.document.body.decode(), subtype="html")
    yield html


def _xarf(named: _Named) -> Iterable[EmailMessage]:
    yield _summary(named)
    feedback = _part()
    feedback["Content-Type"] = "message/feedback-report"
    feedback["Content-Disposition"] = "inline"
    feedback.set_payload(
        f"Feedback-Type: xarf\r\nUser-Agent: hashmatch/{metadata.version('hashmatch')}\r\nVersion: 1\r\n"
    )
    yield feedback
    yield _attachment(named.document, XARF_NAME)


def _attached(named: _Named) -> Iterable[EmailMessage]:
    yield _summary(named)
    if _NAME.fullmatch(named.document.file_name) is None:
        raise BadReport(f"{named.document.file_name[:80]!r} is no name for an attachment", field="document")
    yield _attachment(named.document, named.document.file_name)


def _summary(named: _Named) -> EmailMessage:
    """Return the text that people see first: the document's own, or one that leads to the attachment."""
    if "text" in dict(named.document.parts):
        return _text(named.part("text"))
    what = _WHAT[named.document.format]
    return _text(
        f"This message was made by a system. It carries\n{what}.\n"
        f"Report: {named.report_id}\n\n"
        "What it says is in the attachment. No image is attached.\n"
        "Answers to this address reach the sender of the report.\n"
    )


def _text(text: str) -> EmailMessage:
    part = _part()
    part.set_content(text)
    return part


def _attachment(document: Document, name: str) -> EmailMessage:
    media_type, *rest = (piece.strip() for piece in document.media_type.split(";"))
    given = [_PARAMETER.fullmatch(piece) for piece in rest]
    if media_type not in _ATTACHED:
        raise BadReport(f"nothing of the type {media_type[:80]!r} is attached to a mail", field="document")
    parameters = {"name": name} | {found[1]: found[2] for found in given if found is not None}
    maintype, _, subtype = media_type.partition("/")
    part = _part()
    part.set_content(document.body, maintype=maintype, subtype=subtype, filename=name, params=parameters)
    return part


def _part() -> EmailMessage:
    return EmailMessage(policy=_7BIT)


def _report_id(document: Document) -> str:
    found = _REPORT_ID.search(document.file_name)
    if found is None:
        raise BadReport(f"{document.file_name[:80]!r} does not name its report", field="document")
    return found[0]


def _digest(key: str, purpose: str) -> str:
    return hashlib.sha256(f"hashmatch mail {purpose}\0{key}".encode()).hexdigest()[:40]


_WHAT: Final[Mapping[str, str]] = types.MappingProxyType(
    {
        "xarf": "an abuse report in the format XARF v4",
        "dsa16": "a notice under Article 16 of Regulation (EU) 2022/2065",
        "dsa18": "a notification under Article 18 of Regulation (EU) 2022/2065",
        "iccam": "report items",
    }
)
"""Format to what a summary calls it."""

_LAYOUTS: Final[Mapping[str, _Layout]] = types.MappingProxyType(
    {
        "letter": _Layout("alternative", _letter_subject, _letter),
        "xarf": _Layout(
            "report", lambda named: f"XARF abuse report {named.report_id}", _xarf, (("report-type", "feedback-report"),)
        ),
        "dsa16": _Layout("mixed", lambda named: f"Article 16 DSA notice {named.report_id}", _attached),
        "dsa18": _Layout("mixed", lambda named: f"Article 18 DSA notification {named.report_id}", _attached),
        "iccam": _Layout("mixed", lambda named: f"Report items {named.report_id}", _attached),
    }
)
"""Format to its layout; the keys are the formats that ``projections.formats`` lets go by mail."""
