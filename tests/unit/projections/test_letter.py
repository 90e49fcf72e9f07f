"""Letters: golden documents in four languages, every rule with its message, and what hostile texts do to them."""

from __future__ import annotations

import datetime as dt
import html.parser
import re
import string
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import (
    Account,
    Case,
    Decision,
    Locator,
    Monetary,
    NetworkEvent,
    Notifier,
    OtherTexts,
    Provision,
    Subject,
    Visibility,
)
from hashmatch.projections import letter, letter_parts, wording
from hashmatch.projections.basis import Context
from hashmatch.projections.letter_parts import Audience
from hashmatch.projections.wording import LANGUAGES, PHRASES, Words, flattened, shown
from hashmatch.sections import ReporterConfig
from tests.support.notice_cases import (
    AUTHORITY,
    CONTEXT,
    CSAM,
    GOLDEN,
    HOTLINE,
    LETTERS,
    POLICE,
    PROVIDER,
    SECRETS,
    THB,
    VECTORS,
    WILDLIFE,
    on,
    strange,
)
from tests.support.union_cases import DECISION, NOW, in_domain

NAMES = [name for name in GOLDEN if name.startswith("letter/")]
VOID = frozenset({"meta", "br"})


class Page(html.parser.HTMLParser):
    """Reads a page as a browser would: elements, attributes, and the text between them."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[tuple[str, str | None]] = set()
        self.text = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and its attributes."""
        self.elements.add(tag)
        self.attributes.update(attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost element, which has to be this one."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Gather the text."""
        self.text += data


ELEMENTS = frozenset(
    "html head meta title body address br p h1 h2 table tr th td ul li code".split()  # noqa: SIM905
)


def text(case: Case, context: Context = CONTEXT) -> str:
    return dict(letter.render(case, context).parts)["text"].decode()


def flat(case: Case, context: Context = CONTEXT) -> str:
    return " ".join(text(case, context).split())


# --- golden documents --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_documents_are_the_golden_ones(name: str) -> None:
    case, context, render = GOLDEN[name]
    document = render(case, context)
    assert document.body == (VECTORS / name).read_bytes()
    assert render(case, context) == document


def test_there_is_a_golden_document_for_every_file_and_the_other_way_round() -> None:
    assert {f"letter/{path.name}" for path in (VECTORS / "letter").iterdir()} == set(NAMES)
    assert len(NAMES) == (len(LETTERS) + 1) * len(LANGUAGES) * 2 == 48


def test_a_letter_says_what_it_is() -> None:
    document = letter.render(THB, replace(POLICE, language="nl"))
    assert document.media_type == "text/html; charset=utf-8"
    assert document.file_name == f"letter-{CONTEXT.report_id}.nl.html"
    assert dict(document.parts)["subject"].decode() == (
        "Vermoeden van een strafbaar feit, artikel 18 van de digitaledienstenverordening: mensenhandel"
    )


# --- to whom -----------------------------------------------------------------------------------------------------

HOST = {HarmDomain.CSAM, HarmDomain.CSE_EXPLOITATIVE}
CRIME = {*HOST, HarmDomain.TVEC, HarmDomain.THB}


@pytest.mark.parametrize("domain", HarmDomain)
def test_who_writes_and_of_what_decides_to_whom(domain: HarmDomain) -> None:
    case = in_domain(domain, "a-list", CSAM)
    assert letter_parts.audience_of(case, HOTLINE) is (Audience.HOST if domain in HOST else Audience.PLATFORM)
    assert letter_parts.audience_of(case, PROVIDER) is (Audience.POLICE if domain in CRIME else Audience.AUTHORITY)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("reporter", [HOTLINE, PROVIDER], ids=["hotline", "provider"])
@pytest.mark.parametrize("domain", HarmDomain)
def test_every_domain_has_a_letter_in_every_language(
    domain: HarmDomain, reporter: ReporterConfig, language: str
) -> None:
    case = replace(in_domain(domain, "a-list", CSAM), decision=DECISION)
    document = letter.render(case, replace(CONTEXT, reporter=reporter, language=language))
    subject = dict(document.parts)["subject"].decode()
    assert subject.endswith(PHRASES[f"domain.{domain.value}"][language])
    assert len(subject) <= 200
    assert Page(document.body).elements <= ELEMENTS


@pytest.mark.parametrize("name", LETTERS)
def test_the_subject_of_a_report_stands_in_letters_to_the_police_only(name: str) -> None:
    case, context = LETTERS[name]
    document = letter.render(case, context)
    everything = b"\n".join((document.body, *(body for _, body in document.parts))).decode()
    told = [secret for secret in SECRETS if secret in everything]
    assert told == (list(SECRETS) if name.startswith("police") else [])
    assert ("holiday.jpg" in everything) == name.startswith("police")


def test_nobody_who_told_of_abuse_of_children_is_named_and_others_are() -> None:
    named = Notifier("A. Person", "person@example.org")
    assert "A. Person" not in text(replace(CSAM, notifier=named))
    assert "Name: Example Foundation\nE-mail address: desk@foundation.example.org\n" in text(WILDLIFE)
    half = replace(WILDLIFE, notifier=Notifier("A. Person"))
    assert "Name: Example Hotline\nE-mail address: notices@hotline.example\n" in text(half)


def test_an_imminent_threat_is_said_of_urgent_terrorism_to_the_police_only() -> None:
    tvec = replace(in_domain(HarmDomain.TVEC, "a-list", CSAM), urgent="A place\nand a time are named.")
    threat = "An imminent threat to life may be involved (Article 14(5) of Regulation (EU) 2021/784)."
    assert f"Urgent: A place and a time are named. {threat}" in flat(tvec, POLICE)
    assert threat not in flat(tvec)
    assert threat not in flat(replace(tvec, urgent=""), POLICE)
    assert threat not in flat(replace(THB, urgent="Now."), POLICE)


def test_every_measure_is_told_and_what_other_ones_are() -> None:
    decision = Decision(
        visibility=Visibility.OTHER,
        account=Account.TERMINATED,
        provision=Provision.PARTLY_SUSPENDED,
        monetary=Monetary.OTHER,
        others=OtherTexts(visibility="blurred", monetary="held back"),
    )
    assert (
        "What was done\n-------------\n"
        "Content: another measure\n"
        "Account: terminated\n"
        "Provision of the service: partly suspended\n"
        "Payments: another measure\n"
        "Namely: blurred\n"
        "Namely: held back\n"
    ) in text(replace(THB, decision=decision), POLICE)
    assert "What was done" not in text(replace(THB, decision=Decision()), POLICE)


def test_reasons_of_the_caller_are_told_line_by_line() -> None:
    decision = Decision(explanation="First reason.\n\nSee https://example.org/x.", facts="A fact.")
    told = flat(replace(WILDLIFE, decision=decision))
    assert "has looked at the file. First reason. See hxxps://example.org/x. A fact. Report: " in told


def test_events_of_an_account_are_in_the_language_of_the_letter() -> None:
    events = (NetworkEvent("192.0.2.9", "purchase", port=443), NetworkEvent("192.0.2.8", "swim", possible_proxy=True))
    told = text(replace(THB, subject=Subject(network_events=events)), replace(POLICE, language="de"))
    assert "Netzwerkadresse: 192.0.2.9; Port 443; Kauf\n" in told
    assert "Netzwerkadresse: 192.0.2.8; swim; möglicherweise ein Proxy\n" in told


# --- rules -------------------------------------------------------------------------------------------------------

REASON = "decision.explanation: no list knows the file and nobody saw it: say why it is held to be illegal"
PERSONAL = "only letters to the police hold personal data: leave it out (personal data)"
UNSEEN: dict[str, Any] = {"matches": (), "viewed_by_human": False, "decision": None}
RULES: dict[str, tuple[Case, Context, str]] = {
    "nobody": (
        CSAM,
        replace(CONTEXT, reporter=replace(HOTLINE, name="")),
        "reporter.name: whoever gets a letter has to know whom to answer (required)",
    ),
    "no e-mail": (
        CSAM,
        replace(CONTEXT, reporter=replace(HOTLINE, email="")),
        "reporter.email: whoever gets a letter has to know whom to answer (required)",
    ),
    "no address": (
        on(),
        CONTEXT,
        "locator.urls: a notice says exactly where the content is; give its address (Article 16(2)(b))",
    ),
    "a hostile address": (
        on("https://img.example.org/<script>"),
        CONTEXT,
        (
            'locator.urls[0]: holds what no address holds: a space, a control character or one of "<>\\^`{|}; '
            "percent-encode it (characters)"
        ),
    ),
    "no reason for a notice": (replace(WILDLIFE, **UNSEEN), CONTEXT, f"{REASON} (Article 16(2)(a))"),
    "no reason for the police": (replace(THB, **UNSEEN), POLICE, f"{REASON} (recital 56)"),
    "nowhere": (
        replace(THB, locator=Locator(), item_id=""),
        POLICE,
        "locator: say where the content is: an address, or your own reference of it (required)",
    ),
    "no law": (
        in_domain(HarmDomain.OTHER, "a-list", CSAM),
        CONTEXT,
        "decision.legal_basis: the domain other has no law of its own; name it (required)",
    ),
    "a language": (CSAM, replace(CONTEXT, language="it"), "language: 'it' is none of en, nl, fr, de (known)"),
    "a long note": (
        replace(THB, note="x" * 10_001),
        POLICE,
        "note: 10001 characters are too many; at most 10000 (length)",
    ),
    "a long reason": (
        replace(WILDLIFE, decision=Decision(explanation="x" * 2_001)),
        CONTEXT,
        "decision.explanation: 2001 characters are too many; at most 2000 (length)",
    ),
    "a control character": (
        replace(CSAM, urgent="now\x07"),
        CONTEXT,
        "urgent: control characters are not allowed (characters)",
    ),
    "a person in a notice": (
        replace(CSAM, urgent="ask someone@example.org"),
        CONTEXT,
        f"urgent: seems to hold an e-mail address; {PERSONAL}",
    ),
    "a person in information": (
        replace(AUTHORITY, decision=replace(DECISION, legal_basis="of 192.0.2.1")),
        replace(POLICE, recipient=""),
        f"decision.legal_basis: seems to hold an IP address; {PERSONAL}",
    ),
    "no zone": (
        replace(CSAM, occurred_at=dt.datetime(2026, 11, 28, 8)),  # noqa: DTZ001 - that is what is wrong with it
        CONTEXT,
        "occurred_at: 2026-11-28T08:00:00 has no zone; give an offset, such as Z or +01:00 (zone)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_told(name: str) -> None:
    case, context, message = RULES[name]
    with pytest.raises(BadReport) as refused:
        letter.render(case, context)
    assert refused.value.message == f"letter: {message}"
    assert refused.value.field == message.partition(": ")[0]


def test_the_police_may_read_what_others_may_not() -> None:
    assert "Urgent: ask someone@example.org" in flat(replace(THB, urgent="ask someone@example.org"), POLICE)


def test_the_guard_of_domains_is_asked_first() -> None:
    with pytest.raises(OutletForbidden, match="the case says wildlife, its matches are in lists of csam"):
        letter.render(replace(CSAM, domain=HarmDomain.WILDLIFE, locator=Locator()), CONTEXT)


# --- hostile texts -----------------------------------------------------------------------------------------------

HOSTILE = '<img src=x onerror="alert(1)">&amp;\u202e{{7*7}}{reporter}\'https://evil.example/'


def test_nothing_that_a_case_says_becomes_markup_a_placeholder_or_invisible() -> None:
    subject = Subject(account_id=HOSTILE, screen_name=HOSTILE, display_names=(HOSTILE,), profile_url=HOSTILE)
    case = replace(THB, subject=subject, media=replace(THB.media, file_name=HOSTILE), item_id=HOSTILE, case_id=HOSTILE)
    context = replace(POLICE, recipient=HOSTILE, reporter=replace(PROVIDER, name=HOSTILE))
    document = letter.render(case, context)
    page = Page(document.body)
    assert page.elements <= ELEMENTS
    assert page.attributes == {("lang", "en"), ("charset", "utf-8"), ("scope", "row")}
    assert page.open == []
    spelt = HOSTILE.replace("\u202e", "\\u202e")
    assert page.text.count(spelt) == 9  # sender, recipient, opening, case, file name, account, two names, signature
    assert "\u202e" not in document.body.decode() + text(case, context)


def test_an_address_in_a_letter_is_no_link_and_markup_in_it_is_text() -> None:
    document = letter.render(on("https://img.example.org/'onload='x'?a=1&b=http://b.example/"), CONTEXT)
    assert "hxxps://img[.]example[.]org/'onload='x'?a=1&b=hxxp://b.example/" in Page(document.body).text
    assert b"&amp;b=hxxp://b.example/" in document.body
    assert b"://img.example.org" not in document.body


def test_a_long_address_goes_on_between_angle_brackets() -> None:
    url = f"https://img.example.org/{'a-b/' * 100}"
    (found,) = re.findall(r"<hxxps[^>]*>", text(on(url)))
    assert "".join(found.split()) == f"<hxxps://img[.]example[.]org/{'a-b/' * 100}>"
    assert len(found.splitlines()) == 6


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".txt")])
def test_lines_of_the_text_have_78_columns_at_most(name: str) -> None:
    assert max(map(len, (VECTORS / name).read_text("utf-8").splitlines())) <= letter.COLUMNS == 78


@given(case=strange(st.text(st.characters(exclude_categories=["Cs"]), max_size=90), tuple(HarmDomain)), data=st.data())
def test_a_case_without_problems_renders_and_one_with_some_does_not(case: Case, data: st.DataObject) -> None:
    reporter = data.draw(st.sampled_from((HOTLINE, PROVIDER)))
    context = replace(CONTEXT, reporter=reporter, language=data.draw(st.sampled_from(LANGUAGES)))
    if [*letter.problems(case, reporter, NOW)]:
        with pytest.raises(BadReport):
            letter.render(case, context)
        return
    document = letter.render(case, context)
    page = Page(document.body)
    assert (page.open, page.elements <= ELEMENTS) == ([], True)
    lines = dict(document.parts)["text"].decode().split("\n")
    assert max(map(len, lines)) <= letter.COLUMNS
    assert all(line.isprintable() for line in "".join(lines).replace("\u00a0", "").replace("\u202f", "").split())
    assert dict(document.parts)["subject"].decode().count("\n") == 0


# --- phrases -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", PHRASES)
def test_every_phrase_is_in_every_language_with_the_same_placeholders(key: str) -> None:
    assert set(PHRASES[key]) == set(LANGUAGES)
    fields = {
        language: sorted(name for _, name, _, _ in string.Formatter().parse(phrase) if name is not None)
        for language, phrase in PHRASES[key].items()
    }
    assert fields == dict.fromkeys(LANGUAGES, fields["en"])


def test_every_choice_of_a_case_has_its_phrase() -> None:
    choices = {
        *(f"{kind}.{domain.value}" for domain in HarmDomain for kind in ("domain", "law")),
        *(f"{kind}.{audience.value}" for audience in Audience for kind in ("subject", "opening")),
        *(f"visibility.{choice.value}" for choice in Visibility),
        *(f"account.{choice.value}" for choice in Account),
        *(f"provision.{choice.value}" for choice in Provision),
        *(f"monetary.{choice.value}" for choice in Monetary),
    }
    assert choices - set(PHRASES) == {"law.other"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_twelve_months_and_headings_fit_a_line(language: str) -> None:
    assert len(set(PHRASES["months"][language].split(","))) == 12
    headings = [phrases[language] for key, phrases in PHRASES.items() if key.startswith("heading.")]
    assert max(map(len, headings)) <= letter.COLUMNS


@pytest.mark.parametrize(
    ("language", "day", "number"),
    [
        ("en", "1 March 2026", "1,234,567"),
        ("nl", "1 maart 2026", "1.234.567"),
        ("fr", "1er mars 2026", "1\u202f234\u202f567"),
        ("de", "1. März 2026", "1.234.567"),
    ],
)
def test_dates_and_numbers_are_those_of_the_language(language: str, day: str, number: str) -> None:
    assert Words(language).day(dt.date(2026, 3, 1)) == day
    assert Words(language).number(1_234_567) == number


@pytest.mark.parametrize(("minutes", "zone"), [(0, "UTC"), (60, "UTC+01:00"), (-210, "UTC-03:30")])
def test_a_time_says_its_zone(minutes: int, zone: str) -> None:
    at = dt.datetime(2026, 11, 28, 8, 5, 9, 999_999, dt.timezone(dt.timedelta(minutes=minutes)))
    assert Words("en").moment(at) == f"28 November 2026, 08:05:09 ({zone})"


@pytest.mark.parametrize(
    "tree",
    [
        {"a": {"en": "x"}},
        {"a": {"b": dict.fromkeys(LANGUAGES, "")}},
        {"a": "x"},
        {"a": {"b": {}, "c": "x"}},
    ],
)
def test_a_phrase_that_lacks_a_language_is_refused(tree: dict[str, Any]) -> None:
    with pytest.raises(
        ValueError, match=r"^templates/phrases\.toml: [a-c.]+: expected a text in each of en, nl, fr, de$"
    ):
        flattened(tree)


def test_nothing_invisible_is_shown_and_words_say_what_they_are() -> None:
    assert shown("photo\u202egpj.exe\n\x00é") == "photo\\u202egpj.exe\\n\\x00é"
    assert repr(Words("nl")) == f"<Words: nl, {len(PHRASES)} phrases>"
    assert wording.FILE == "templates/phrases.toml"
