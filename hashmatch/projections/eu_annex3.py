"""The report of Annex III of the proposed CSA Regulation, as JSON (format "eu-annex3"). A draft: it is not in force.

Theory of operation
-------------------
COM(2022) 209 has the only template of a report that the Union has published. The document says on its first lines that
it follows a proposal. Under ``report`` stand the template's fields in its order, the empty ones included, so that it
can be seen that nothing was given.

The template ends in a signature. :func:`signed_bytes` returns what is signed: the document without its ``signature``,
in the canonical form of RFC 8785, which is one text however a reader writes the document down again.
:func:`with_signature` puts in what came of it. Signing itself, and its key, are the caller's.

A report to the authority of a third country, which the template asks for, is one whose country is outside the Union;
NCMEC's is known.

What this module deliberately does not do: it attaches no content, and knows no victim: the case has none.

Source
------
COM(2022) 209 final, Articles 12 and 13, Annex III; RFC 8785.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import rfc8785

from hashmatch.errors import BadReport
from hashmatch.model.cases import Case, Document, PriorReport, Problem, ServiceKind, Source, Visibility
from hashmatch.projections import basis, eu_annex3_people, findings, union
from hashmatch.projections.domains import check_allowed
from hashmatch.sections import ReporterConfig

FORMAT: Final = "eu-annex3"
MEDIA_TYPE: Final = "application/json"
SCHEMA: Final = "hashmatch-eu-annex3/1"
STATUS: Final = "proposal COM(2022) 209, not in force"
LEGAL_BASIS: Final = "COM(2022) 209 (proposal)"
MAX_TEXT: Final = 5_000
MAX_NAME: Final = 255

_TITLE: Final = "report of Annex III"
_SERVICES: Final[Mapping[ServiceKind, str]] = {
    ServiceKind.HOSTING: "hosting",
    ServiceKind.MARKETPLACE: "hosting",
    ServiceKind.INTERPERSONAL: "interpersonal_communications",
}
_MANNERS: Final[Mapping[Source, tuple[str, str]]] = {
    Source.VOLUNTARY: ("own_motion", "Own motion"),
    Source.ARTICLE_16: ("other", "Notice under Article 16 of Regulation (EU) 2022/2065"),
    Source.TRUSTED_FLAGGER: ("hotline_or_trusted_flagger", "Notice by a trusted flagger"),
    Source.NOTICE: ("other", "Notice"),
    Source.ORDER: ("public_authority", "Order of an authority"),
}
_COUNTRIES: Final[Mapping[str, str]] = {"ncmec": "US"}
"""Authority, in lower case, to its country, where everybody knows it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """A signature over :func:`signed_bytes`.

    ``value`` is text, such as base64; ``timestamp`` a token of a time-stamping service, where there is one.
    """

    algorithm: str
    key_id: str
    value: str
    timestamp: str = ""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> tuple[Problem, ...]:
    """Return every rule that the case breaks.

    Raises
    ------
    OutletForbidden
        The case is not of child sexual abuse material, or its matches are not.

    """
    check_allowed(case, FORMAT)
    return tuple(_problems(case, reporter, now))


def render(case: Case, context: basis.Context) -> Document:
    """Return the report, not signed.

    Raises
    ------
    BadReport
        The case breaks a rule; the message has all of them.
    OutletForbidden
        The case is not of child sexual abuse material, or its matches are not.

    """
    basis.refuse(problems(case, context.reporter, context.now), _TITLE)
    body = findings.to_bytes(
        {
            "schema": SCHEMA,
            "status": STATUS,
            "report_id": str(context.report_id),
            "report": _report(case, context),
            "signature": None,
        }
    )
    return Document(FORMAT, MEDIA_TYPE, f"{FORMAT}-{context.report_id}.json", body)


def signed_bytes(document: Document) -> bytes:
    """Return what a signature of the report is over, signed already or not.

    Raises
    ------
    BadReport
        The document is no report of this format.

    Source: RFC 8785.
    """
    return rfc8785.dumps({name: value for name, value in _parsed(document).items() if name != "signature"})


def with_signature(document: Document, signature: Signature) -> Document:
    """Return the report with a signature, in place of any that it had.

    Raises
    ------
    BadReport
        The document is no report of this format, or the signature is empty.

    """
    if not signature.algorithm or not signature.key_id or not signature.value:
        raise BadReport("signature: algorithm, key_id and value are needed", field="signature")
    signed = _parsed(document) | {"signature": findings.without_empty(dataclasses.asdict(signature))}
    return dataclasses.replace(document, body=findings.to_bytes(signed))


def _parsed(document: Document) -> dict[str, Any]:
    if document.format != FORMAT:
        raise BadReport(f"a document of format {document.format} is no {_TITLE}", field="format")
    tree: dict[str, Any] = json.loads(document.body)
    return tree


def _problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    if reporter.hotline:
        yield Problem("reporter.hotline", "Article 12", "the report is the provider's; a hotline gives notice")
    yield from basis.time_problems(basis.times_of(case), now)
    yield from findings.text_problems(case)
    yield from findings.required(
        [
            ("reporter.name", reporter.name, "Annex III names the provider"),
            ("reporter.contact_point", reporter.contact_point, "Annex III names the provider's point of contact"),
        ]
    )
    if case.service_kind not in _SERVICES:
        message = f"{case.service_kind.value!r}: Annex III knows hosting and interpersonal communications"
        yield Problem("service_kind", "Annex III, 7", message)
    if not case.matches and not case.viewed_by_human:
        message = "there is no match and nobody has looked: nothing says that it is material of abuse"
        yield Problem("viewed_by_human", "Annex III, 2", message)
    if not case.locator.urls and not case.locator.content_ref and not case.item_id:
        message = "say which content it is: an address, a reference or an item of yours"
        yield Problem("locator", "Annex III, 3", message)
    for index, url in enumerate(case.locator.urls):
        yield from findings.url_problems(f"locator.urls[{index}]", url)
    for index, prior in enumerate(case.prior_reports):
        if not _country(prior):
            message = f"say the country of {prior.authority!r}: Annex III asks for authorities of third countries"
            yield Problem(f"prior_reports[{index}].country", "Annex III, 9", message)
    yield from eu_annex3_people.problems(case)
    yield from basis.length_problems(
        [
            ("urgent", case.urgent, MAX_TEXT),
            ("note", case.note, MAX_TEXT),
            ("source_identity", case.source_identity, MAX_TEXT),
            ("decision.explanation", "" if case.decision is None else case.decision.explanation, MAX_TEXT),
            ("reporter.name", reporter.name, MAX_NAME),
            ("reporter.contact_point", reporter.contact_point, MAX_NAME),
        ]
    )


def _country(prior: PriorReport) -> str:
    return prior.country.upper() or _COUNTRIES.get(prior.authority.strip().lower(), "")


def _report(case: Case, context: basis.Context) -> dict[str, Any]:
    """Return the fields of Annex III, in its order."""
    reporter, decision = context.reporter, case.decision
    manner, how = _MANNERS[case.source]
    gone = decision is not None and decision.visibility in {Visibility.REMOVED, Visibility.DISABLED}
    who = f": {case.source_identity}" if case.source_identity else ""
    urls = case.locator.urls
    return {
        "provider": findings.without_empty(
            {
                "name": reporter.name,
                "legal_representative": reporter.legal_representative,
                "contact_point": reporter.contact_point,
                "contact_information": reporter.contact_information or reporter.email,
            }
        ),
        "urgent": bool(case.urgent),
        "abuse_type": ["known_csam" if case.matches else "new_csam"],
        "content": [_content(case, reference) for reference in urls or (case.locator.content_ref or case.item_id,)],
        "other_data": _other_data(case),
        "location": eu_annex3_people.location(case),
        "users": eu_annex3_people.users(case),
        "service": findings.without_empty(
            {
                "kind": _SERVICES[case.service_kind],
                "url": urls[0] if urls else "",
                "other": ", ".join(filter(None, (case.platform or reporter.platform, case.service))),
            }
        ),
        "awareness": {
            "manner": manner,
            "details": f"{how}{who}. {findings.explanation(case)}",
        },
        "third_country_report": _third_country(case),
        "content_removed": gone,
        "user_decision": eu_annex3_people.user_decision(case),
        "victims": [],
        "other": "\n".join(filter(None, (f"Urgent: {case.urgent}" if case.urgent else "", case.note))),
        "issued_at": findings.stamp(context.now),
        "legal_basis": LEGAL_BASIS,
    }


def _content(case: Case, reference: str) -> dict[str, Any]:
    """Return one place of the content; bytes are attached by the provider, if at all."""
    file = findings.digests(case)
    return findings.without_empty(
        {
            "reference": reference,
            "media_type": case.media.kind if case.media.kind in {"image", "video", "text"} else "",
            "sha256": file.get("sha256"),
            "md5": file.get("md5"),
            "attached": False,
        }
    )


def _other_data(case: Case) -> list[dict[str, Any]]:
    """Return metadata of the file and the times of the event."""
    file = case.media
    rows: list[tuple[str, str, dt.datetime | None]] = [
        ("occurred", "", case.occurred_at),
        ("observed", "", case.observed_at),
        ("uploaded", "", file.uploaded_at),
        ("file name", file.file_name, None),
        ("media type", file.mime, None),
        ("size in bytes", str(file.size_bytes or ""), None),
        ("created with AI", "yes" if file.created_with_ai else "", None),
    ]
    return [
        findings.without_empty({"name": name, "value": value, "timestamp": None if at is None else findings.stamp(at)})
        for name, value, at in rows
        if value or at is not None
    ]


def _third_country(case: Case) -> dict[str, Any]:
    told = [prior for prior in case.prior_reports if _country(prior) not in union.MEMBER_STATES]
    return findings.without_empty(
        {
            "reported": bool(told),
            "authority": "; ".join(prior.authority for prior in told),
            "reference": "; ".join(prior.reference for prior in told),
        }
    )
