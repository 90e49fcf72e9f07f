"""Made-up cases for notices, item rows and letters, and their golden documents.

``python -m tests.support.notice_cases`` writes the documents anew; look at the difference before it is committed.
"""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from hypothesis import strategies as st

from hashmatch.model import HarmDomain, Label, Verdict
from hashmatch.model.cases import (
    Case,
    CaseMedia,
    Document,
    Locator,
    Notifier,
    Source,
    Subject,
    Visibility,
)
from hashmatch.projections import dsa_notice, iccam, letter, xarf
from hashmatch.projections.basis import Context
from hashmatch.sections import ReporterConfig
from tests.support import union_cases
from tests.support.union_cases import DECISION, MATCH, NOW, PDQ, POSSIBLE, SUBJECT, in_domain

VECTORS = Path(__file__).parent.parent / "vectors" / "reports"
HOTLINE = ReporterConfig(
    name="Example Hotline",
    first_name="Alex",
    last_name="Example",
    contact_point="Notice desk",
    contact_information="Mondays to Fridays, 9:00 to 17:00",
    email="notices@hotline.example",
    domain="Hotline.example",
    address="Example Street 1\n1000 AA Example",
    phone="+31 20 000 0000",
    hotline=True,
)
PROVIDER = replace(union_cases.REPORTER, domain="pictures.example.org", address="Example Quay 2, Example")
CONTEXT = Context(HOTLINE, NOW, uuid.UUID("2f1c8d0e-6b3a-5d47-9e25-7a4b8c9d0e1f"), recipient="Example Hosting B.V.")
"""The id is of version 5, as the service makes them."""

SECRETS = ("user-4711", "sunset", "Sunset", "192.0.2.10", "2001:db8::7", "000 0001", "October")
"""Of the subject: what stands in letters to the police, and nowhere else."""

CSAM = replace(
    union_cases.CSAM,
    classification="A1",
    locator=Locator(("https://img.example.org/17.jpg", "https://img.example.org/a/17.jpg?big=1"), ip="192.0.2.80"),
    subject=replace(SUBJECT, phones=("+31 20 000 0001",)),
    decision=None,
    urgent="",
    note="",
)
SEEN = replace(CSAM, viewed_by_human=True, classification="baseline", prior_reports=(), matches=(POSSIBLE,))
CSEM = replace(
    in_domain(HarmDomain.CSE_EXPLOITATIVE, "Series (first)", CSAM),
    classification="",
    viewed_by_human=True,
    locator=Locator(("https://xn--bcher-kva.example/b%C3%BCcher/é.png",)),
)
ORDER = replace(CSEM, viewed_by_human=False, source=Source.ORDER, automated_detection=False, prior_reports=())
UNLISTED = replace(
    CSAM, case_id="2", matches=(), classification="", evidence_ref="", hashes=(PDQ,), media=CaseMedia(mime="image/png")
)
LABELLED = replace(
    CSAM,
    case_id="=3",
    classification="",
    locator=Locator(("https://img.example.org/x,y;z",)),
    matches=(replace(POSSIBLE, list_id="@list", labels=(Label("ncmec", "2022", "A1"), Label("copine", "", "7"))),),
)


def on(*urls: str, case: Case = CSAM) -> Case:
    """Return a case with other addresses."""
    return replace(case, locator=replace(case.locator, urls=urls))


def rows(body: bytes) -> list[dict[str, str]]:
    """Return rows by column."""
    return list(csv.DictReader(io.StringIO(body.decode(), newline=""), strict=True))


def together(_: Case, context: Context) -> Document:
    """Return the rows of several cases under one header."""
    return iccam.render_many((CSAM, UNLISTED, LABELLED), context)


WILDLIFE = replace(
    in_domain(HarmDomain.WILDLIFE, "removed-adverts", union_cases.WILDLIFE),
    notifier=Notifier("Example Foundation", "desk@foundation.example.org"),
    decision=None,
    viewed_by_human=True,
)
THB = replace(
    union_cases.THB,
    subject=CSAM.subject,
    note="The advert was posted twice.\nSee https://example.org/copy.",
    member_states=("NL", "BE"),
    prior_reports=union_cases.CSAM.prior_reports,
)
AUTHORITY = replace(union_cases.WILDLIFE, subject=CSAM.subject)
POLICE = replace(CONTEXT, reporter=PROVIDER, recipient="Example Police\nDesk of trafficking")
LANGUAGES = ("en", "nl", "fr", "de")

BEHIND = replace(
    CSAM,
    case_id="5b0c2d7e-0000-4000-8000-00000000000b",
    locator=Locator(("https://cdn.example.org/b.png",), ip="2001:db8::50", cdn="Example Delivery"),
    matches=(POSSIBLE,),
    prior_reports=(),
)
GROUP = (CSAM, BEHIND, replace(UNLISTED, viewed_by_human=True))
"""Three pictures in one notice; one of them is behind a content delivery network."""


def text_of(case: Case, context: Context) -> Document:
    """Return the text of a letter as a document."""
    document = letter.render(case, context)
    return replace(document, body=dict(document.parts)["text"])


def several(_: Case, context: Context) -> Document:
    """Return one letter about several cases."""
    return letter.render_many(GROUP, context)


def text_of_several(_: Case, context: Context) -> Document:
    """Return the text of that."""
    document = several(_, context)
    return replace(document, body=dict(document.parts)["text"])


def notice_of_several(_: Case, context: Context) -> Document:
    """Return one notice under Article 16 of several cases."""
    return dsa_notice.render_many(GROUP[:2], context)


LETTERS = {
    "host-csam": (CSAM, CONTEXT),
    "platform-wildlife": (WILDLIFE, CONTEXT),
    "police-thb": (THB, POLICE),
    "authority-wildlife": (AUTHORITY, replace(POLICE, recipient="")),
    "police-by-hotline": (THB, replace(CONTEXT, recipient=POLICE.recipient, audience="police")),
}
SEVERAL = "host-several"
Render = Callable[[Case, Context], Document]
GOLDEN: dict[str, tuple[Case, Context, Render]] = {
    "xarf/csam.json": (CSAM, CONTEXT, xarf.render),
    "xarf/csam-seen.json": (SEEN, CONTEXT, xarf.render),
    "xarf/csam-removed.json": (replace(CSAM, decision=DECISION), replace(CONTEXT, reporter=PROVIDER), xarf.render),
    "xarf/csem.json": (CSEM, CONTEXT, xarf.render),
    "xarf/csem-order.json": (ORDER, CONTEXT, xarf.render),
    "iccam/csam.csv": (CSAM, CONTEXT, iccam.render),
    "iccam/several.csv": (CSAM, CONTEXT, together),
    **{
        f"letter/{name}.{language}.{form}": (case, replace(context, language=language), render)
        for name, (case, context) in LETTERS.items()
        for language in LANGUAGES
        for form, render in (("html", letter.render), ("txt", text_of))
    },
    **{
        f"letter/{SEVERAL}.{language}.{form}": (CSAM, replace(CONTEXT, language=language), render)
        for language in LANGUAGES
        for form, render in (("html", several), ("txt", text_of_several))
    },
    "dsa16/several.json": (CSAM, CONTEXT, notice_of_several),
}


def _printable(text: str) -> str:
    return "".join(filter(str.isprintable, text))


def strange(text: st.SearchStrategy[str], domains: tuple[HarmDomain, ...]) -> st.SearchStrategy[Case]:
    """Cases whose texts and choices are whatever they happen to be: half of them mostly right, half of them not."""
    right, wrong = text.map(_printable), st.one_of(text, text.map("https://img.example.org/{}".format))
    quoted = text.map(lambda said: f"https://img.example.org/{quote(said, safe='')}")
    return st.tuples(st.sampled_from(domains), st.sampled_from(((right, quoted), (text, wrong)))).flatmap(
        lambda drawn: _strange(drawn[0], *drawn[1])
    )


def _strange(domain: HarmDomain, text: st.SearchStrategy[str], urls: st.SearchStrategy[str]) -> st.SearchStrategy[Case]:
    match = st.builds(
        replace,
        st.just(replace(MATCH, domain=domain)),
        list_name=text,
        list_id=text,
        entry_id=text,
        verdict=st.sampled_from((Verdict.MATCH, Verdict.POSSIBLE_MATCH)),
        labels=st.lists(st.builds(Label, text, text, text), max_size=2).map(tuple),
    )
    return st.builds(
        replace,
        st.just(replace(CSAM, domain=domain)),
        case_id=text,
        locator=st.builds(Locator, st.lists(urls, min_size=1, max_size=3).map(tuple), text, st.just("192.0.2.1")),
        classification=st.one_of(st.sampled_from(("baseline", "A1", "B2")), text),
        matches=st.lists(match, max_size=2).map(tuple),
        hashes=st.sampled_from((CSAM.hashes, (PDQ,))),
        viewed_by_human=st.booleans(),
        automated_detection=st.booleans(),
        publicly_available=st.sampled_from((True, False)),
        source=st.sampled_from(Source),
        decision=st.sampled_from((None, DECISION, replace(DECISION, visibility=Visibility.OTHER))),
        subject=st.one_of(st.none(), st.builds(Subject, account_id=text, note=text)),
        notifier=st.one_of(st.none(), st.builds(Notifier, text, text)),
        urgent=text,
        note=text,
        platform=text,
        evidence_ref=text,
    )


if __name__ == "__main__":
    for place, (golden, given, render) in GOLDEN.items():
        (VECTORS / place).write_bytes(render(golden, given).body)
