"""XARF v4: the notice that abuse desks of hosting providers read by machine, as ``content/csam`` or ``content/csem``.

Theory of operation
-------------------
The harm domain decides the type (``_TYPES``). What a type wants and a hash match does not show is taken from what the
caller says, and from nothing else; where nobody said it, there is a problem that names the field:

=====================  ===============================================================================================
``classification``     csam: the reporter's own, A1 to B2 or ``baseline``. What lists say is never converted.
``detection_method``   csam: ``hash_match``. csem has no word for a hash match; it is ``manual_review`` where a person
                       has seen the picture, ``user_report`` after a notice, ``law_enforcement_referral`` after an
                       order.
``exploitation_type``  csem: ``distribution``, and only of a file that anybody can fetch; a picture shows no other kind.
=====================  ===============================================================================================

One report is about one host. Further addresses of the same file there are in ``evidence`` as text, which is all that
ever is: no image. Hashes are those of this file. ``confidence`` is left out, because a distance is not a probability.

A report is one incident: several cases are several reports, each in a mail of its own (``formats`` has no batch of it).

What this module deliberately does not do: it reports no other domain (there is no type for wildlife, trafficking or
terrorist content: ``domains`` refuses them), and says nothing of a subject.

Source: xarf.org, XARF v4.2.0, ``xarf-core``, ``content-base``, ``content-csam``, ``content-csem``; reference formats
§2.5.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Document, Problem, Source, Visibility
from hashmatch.projections import basis, domains, places
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig

FORMAT: Final = "xarf"
TITLE: Final = "XARF v4"
VERSION: Final = "4.2.0"

CLASSIFICATIONS: Final = ("baseline", "A1", "A2", "B1", "B2")
MEDIA_TYPES: Final = ("image", "video", "audio", "text", "mixed")
MAX_TAGS: Final = 20
MAX_ORGANISATION: Final = 200
MAX_EVIDENCE_BYTES: Final = 5 << 20

_HASHES: Final = ("md5", "sha1", "sha256")
_UUID_VERSION: Final = 4
_DOMAIN: Final = re.compile(r"([a-z0-9]+(-[a-z0-9]+)*\.)+[a-z]{2,}")
"""What the schema takes as ``domain``; names in punycode are not among it and stand in ``source_identifier`` only."""
_HOST: Final = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE)
_EMAIL: Final = re.compile(r"[^@\s\"<>(),;:]+@[a-z0-9]([a-z0-9.-]*[a-z0-9])?", re.IGNORECASE)
_TAG_UNFIT: Final = re.compile(r"[^a-z0-9_+-]+")

_TYPES: Final[Mapping[HarmDomain, str]] = MappingProxyType(
    {HarmDomain.CSAM: "csam", HarmDomain.CSE_EXPLOITATIVE: "csem"}
)

_TOLD: Final[Mapping[Source, str]] = MappingProxyType(
    {
        Source.ARTICLE_16: "user_report",
        Source.TRUSTED_FLAGGER: "user_report",
        Source.NOTICE: "user_report",
        Source.ORDER: "law_enforcement_referral",
    }
)
"""How somebody else's word is called where csem asks for a method of detection."""


def problems(case: Case, reporter: ReporterConfig, now: dt.datetime) -> Iterator[Problem]:
    """Yield every rule of the format that the case or the reporter breaks; reporter fields begin with ``reporter.``."""
    yield from basis.time_problems((("occurred_at", case.occurred_at), ("observed_at", case.observed_at)), now)
    yield from _reporter_problems(reporter)
    yield from places.problems(case)
    hosts = sorted({places.host_of(url) for url in case.locator.urls} - {""})
    if not case.locator.urls:
        yield Problem(
            "locator.urls", "required", "a notice to a hosting provider is about an address, and there is none"
        )
    elif len(hosts) > 1:
        told = ", ".join(hosts)
        yield Problem("locator.urls", "one host", f"addresses on {len(hosts)} hosts ({told}); make a notice for each")
    yield from _TYPE_PROBLEMS[case.domain](case)
    if (size := len(_payload(case.locator.urls[1:]))) > MAX_EVIDENCE_BYTES:
        yield Problem("locator.urls", "evidence", f"further addresses take {size} bytes; at most {MAX_EVIDENCE_BYTES}")


def _reporter_problems(reporter: ReporterConfig) -> Iterator[Problem]:
    yield from basis.length_problems((("reporter.name", reporter.name, MAX_ORGANISATION),))
    for name, text in (("name", reporter.name), ("email", reporter.email), ("domain", reporter.domain)):
        if not text:
            yield Problem(f"reporter.{name}", "required", "a recipient has to know who reports; set it in [reporter]")
    if reporter.email and not _EMAIL.fullmatch(reporter.email):
        yield Problem("reporter.email", "e-mail", "expected one address, such as notices@hotline.example")
    if reporter.domain and not _HOST.fullmatch(reporter.domain):
        yield Problem("reporter.domain", "hostname", "expected a DNS name, such as hotline.example")


def _csam_problems(case: Case) -> Iterator[Problem]:
    if case.classification not in CLASSIFICATIONS:
        said = f"{case.classification!r} is none" if case.classification else "it is not given"
        known = ", ".join(CLASSIFICATIONS)
        yield Problem("classification", "required", f"{said}; csam wants the reporter's own, one of {known}")
    if case.media.kind not in MEDIA_TYPES:
        yield Problem("media.kind", "media_type", f"{case.media.kind!r} is none of {', '.join(MEDIA_TYPES)}")
    if places.strongest(case) is None:
        yield Problem("matches", "required", "the method is hash_match, and no list is named that knows the file")


def _csem_problems(case: Case) -> Iterator[Problem]:
    if _csem_method(case) is None:
        yield Problem(
            "viewed_by_human",
            "detection_method",
            "csem has no word for a hash match alone: a person has to look, or a notice or an order is the source",
        )
    if case.publicly_available is not True:
        yield Problem(
            "publicly_available",
            "exploitation_type",
            "csem wants the kind of exploitation; a file shows distribution only where everybody can fetch it",
        )


_TYPE_PROBLEMS: Final = MappingProxyType({HarmDomain.CSAM: _csam_problems, HarmDomain.CSE_EXPLOITATIVE: _csem_problems})


def _csem_method(case: Case) -> str | None:
    return "manual_review" if case.viewed_by_human else _TOLD.get(case.source)


def render(case: Case, context: Context) -> Document:
    """Return the report; its part ``text`` is a summary for people, for the mail that carries it.

    Raises
    ------
    OutletForbidden
        XARF has no type for the domain.
    BadReport
        The case breaks a rule of the format.

    """
    domains.check_allowed(case, FORMAT)
    basis.refuse([*problems(case, context.reporter, context.now)], TITLE)
    report = _core(case, context) | _content(case, context.reporter) | _TYPE_FIELDS[case.domain](case)
    body = json.dumps(report, ensure_ascii=False, indent=1).encode() + b"\n"
    name = f"xarf-{report_id(context)}.json"
    return Document(FORMAT, "application/json", name, body, parts=(("text", _summary(case, context).encode()),))


def report_id(context: Context) -> uuid.UUID:
    """Return the id that the report bears: XARF wants version 4, so its bits are marked as such.

    It is not random, and the same each time the report is rendered: a recipient tells a second delivery from a second
    report by it.
    """
    return uuid.UUID(bytes=context.report_id.bytes, version=_UUID_VERSION)


def _core(case: Case, context: Context) -> dict[str, Any]:
    reporter = context.reporter
    who = {"org": reporter.name, "contact": reporter.email, "domain": reporter.domain.lower()}
    return {
        "xarf_version": VERSION,
        "report_id": str(report_id(context)),
        "timestamp": _moment(case.occurred_at),
        "reporter": who,
        "sender": dict(who),
        "source_identifier": case.locator.ip or places.host_of(case.locator.urls[0]),
        "category": "content",
        "type": _TYPES[case.domain],
        "evidence_source": "automated_scan" if case.automated_detection else "user_report",
    }


def _content(case: Case, reporter: ReporterConfig) -> dict[str, Any]:
    url, *further = case.locator.urls
    content: dict[str, Any] = {"url": places.uri(url)}
    if _DOMAIN.fullmatch(places.host_of(url)):
        content["domain"] = places.host_of(url)
    content["verified_at"] = _moment(case.observed_at)
    if (method := _verification(case, reporter)) is not None:
        content["verification_method"] = method
    if further:
        content["evidence"] = [_addresses(further)]
    if tags := _tags(case):
        content["tags"] = tags
    return content


def _verification(case: Case, reporter: ReporterConfig) -> str | None:
    """How it is known that the file is there; None where nobody said."""
    if case.viewed_by_human:
        return "manual"
    if reporter.hotline and case.automated_detection:
        return "automated_crawler"
    return "user_report" if _TOLD.get(case.source) == "user_report" else None


def _payload(urls: Iterable[str]) -> bytes:
    return "".join(f"{places.uri(url)}\n" for url in urls).encode()


def _addresses(urls: list[str]) -> dict[str, Any]:
    payload = _payload(urls)
    return {
        "content_type": "text/plain",
        "description": "Further addresses of the same file on the same host, one a line",
        "payload": base64.b64encode(payload).decode(),
        "hash": f"sha256:{hashlib.sha256(payload).hexdigest()}",
        "size": len(payload),
    }


def _tags(case: Case) -> list[str]:
    """Return the lists that know the file, as ``list:NAME``; names are folded into what a tag may hold."""
    names = (match.list_name for match in case.matches if match.domain is case.domain)
    folded = (_TAG_UNFIT.sub("-", name.lower()).strip("-_+") for name in names)
    return list(dict.fromkeys(f"list:{name}" for name in folded if name))[:MAX_TAGS]


def _csam(case: Case) -> dict[str, Any]:
    fields: dict[str, Any] = {"classification": case.classification, "detection_method": "hash_match"}
    fields["media_type"] = case.media.kind
    if hashes := {item.algorithm: item.hex for item in case.hashes if item.algorithm in _HASHES}:
        fields["hash_values"] = {name: hashes[name] for name in _HASHES if name in hashes}
    told = [prior.reference for prior in case.prior_reports if prior.authority.strip().upper() == "NCMEC"]
    if told:
        fields["ncmec_report_id"] = told[-1]
    if case.decision is not None and case.decision.visibility is not None:
        fields["content_removed"] = case.decision.visibility is Visibility.REMOVED
    if case.decision is not None and case.decision.account is not None:
        fields["account_suspended"] = True  # suspended or terminated: there is no other
    return fields


def _csem(case: Case) -> dict[str, Any]:
    fields: dict[str, Any] = {"exploitation_type": "distribution", "detection_method": _csem_method(case)}
    if any(prior.authority.strip().upper() == "NCMEC" for prior in case.prior_reports):
        fields["reporting_obligations"] = ["NCMEC"]
    return fields


_TYPE_FIELDS: Final = MappingProxyType({HarmDomain.CSAM: _csam, HarmDomain.CSE_EXPLOITATIVE: _csem})


def _moment(at: dt.datetime) -> str:
    """RFC 3339 in UTC, with milliseconds where there are any."""
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.astimezone(dt.UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _identified(case: Case) -> Iterator[str]:
    if "hash_values" in _TYPE_FIELDS[case.domain](case):
        yield "The hashes in the JSON identify the file on your systems."


def _origin_asked(case: Case) -> Iterator[str]:
    """Ask a content delivery network for the host behind it: the JSON has no word for that."""
    if case.locator.cdn:
        name = places.unlinked(" ".join(case.locator.cdn.split()))
        yield f"{name} delivers this for somebody else: pass this on to the host of the origin, and tell us who."


def _summary(case: Case, context: Context) -> str:
    """Return what a person at an abuse desk reads first; addresses are de-fanged."""
    reporter = context.reporter
    lines = [
        f"{reporter.name} reports content on your network.",
        f"This is an XARF v4 report of type content/{_TYPES[case.domain]}; the JSON is for machines.",
        "",
        f"Report: {report_id(context)}",
        f"Seen:   {_moment(case.observed_at)}",
        "Where (read hxxp as http and [.] as a dot):",
        *(f"  {places.defanged(places.uri(url))}" for url in case.locator.urls),
        *_origin_asked(case),
        "",
        "No image is attached. Do not open the address to check it.",
        *_identified(case),
        "",
        f"Contact: {reporter.email}",
    ]
    return "\n".join(lines) + "\n"
