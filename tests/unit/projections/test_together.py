"""Several cases in one document, and letters to the police that a hotline asks for: rules, limits, golden documents."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hashmatch.errors import BadInput, BadReport, OutletForbidden
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Decision, Notifier
from hashmatch.projections import dsa_notice, formats, letter, letter_parts, xarf
from hashmatch.projections.domains import ALLOWED
from hashmatch.projections.letter_parts import Audience
from tests.support.notice_cases import (
    BEHIND,
    CONTEXT,
    CSAM,
    GOLDEN,
    GROUP,
    HOTLINE,
    PROVIDER,
    SECRETS,
    THB,
    VECTORS,
    WILDLIFE,
    on,
)
from tests.support.union_cases import in_domain

POLICE = replace(CONTEXT, audience="police")
TOGETHER = ("letter", "dsa16")


def text(*cases: Case, audience: str = "") -> str:
    document = letter.render_many(cases, replace(CONTEXT, audience=audience))
    return dict(document.parts)["text"].decode()


def test_the_notice_of_several_items_is_the_golden_one() -> None:
    case, context, render = GOLDEN["dsa16/several.json"]
    assert render(case, context).body == (VECTORS / "dsa16/several.json").read_bytes()


def test_items_of_a_notice_are_those_of_notices_of_one() -> None:
    several = json.loads(dsa_notice.render_many(GROUP[:2], CONTEXT).body)
    single = [json.loads(dsa_notice.render(case, CONTEXT).body) for case in GROUP[:2]]
    assert [(item["explanation"], item["location"]) for item in several["items"]] == [
        (one["explanation"], one["location"]) for one in single
    ]
    assert [item["item"] for item in several["items"]] == [1, 2]
    assert several["requests"] == [dsa_notice.ORIGIN]
    assert "requests" not in single[0]
    assert single[1]["requests"] == [dsa_notice.ORIGIN]


def test_a_letter_about_several_says_of_each_what_a_letter_about_it_says() -> None:
    told = text(*GROUP).splitlines()
    for case in GROUP:
        single = dict(letter.render(case, CONTEXT).parts)["text"].decode().splitlines()
        missing = [line for line in single if line not in told]
        assert missing == [
            line for line in missing if line.startswith(("Notice under", "material", "Where it", "-----"))
        ]


def test_the_origin_is_asked_for_where_something_is_in_front_of_it() -> None:
    asked = "Pass this notice on to\n  whoever hosts the origin, and tell us who that is."
    assert asked in text(CSAM, BEHIND)
    assert asked in text(BEHIND)
    assert "origin" not in text(CSAM)
    mail = dict(xarf.render(replace(BEHIND, matches=CSAM.matches), CONTEXT).parts)["text"].decode()
    assert "Example Delivery delivers this for somebody else: pass this on to the host of the origin" in mail
    assert "origin" not in dict(xarf.render(CSAM, CONTEXT).parts)["text"].decode()


@pytest.mark.parametrize("name", TOGETHER)
@pytest.mark.parametrize(
    ("other", "field", "message"),
    [
        (in_domain(HarmDomain.CSE_EXPLOITATIVE, "a-list", CSAM), "cases[1].domain", "is cse_exploitative, and that of"),
        (
            replace(CSAM, notifier=Notifier("A. Person", "a@example.org")),
            "cases[1].notifier",
            "is not that of cases[0]",
        ),
        (on(), "cases[1].locator.urls", "(Article 16(2)(b))"),
    ],
    ids=["domain", "notifier", "a rule of one"],
)
def test_cases_that_do_not_belong_together_are_refused(name: str, other: Case, field: str, message: str) -> None:
    with pytest.raises(BadReport) as refused:
        formats.render_several((CSAM, other), name, CONTEXT)
    assert refused.value.field == field
    assert message in refused.value.message


def test_letters_rest_on_one_law() -> None:
    other = replace(WILDLIFE, decision=Decision(legal_basis="Another Act"))
    with pytest.raises(
        BadReport, match=r"^letter: cases\[1\].decision.legal_basis: is not that of cases\[0\]; write a"
    ):
        letter.render_many((WILDLIFE, other), CONTEXT)


def test_what_is_wrong_with_the_reporter_is_said_once() -> None:
    nobody = replace(CONTEXT, reporter=replace(HOTLINE, name=""))
    with pytest.raises(BadReport) as refused:
        letter.render_many((CSAM, BEHIND), nobody)
    assert refused.value.message == "letter: reporter.name: whoever gets a letter has to know whom to answer (required)"


@pytest.mark.parametrize("name", TOGETHER)
def test_documents_are_bounded(name: str) -> None:
    most = formats.FORMATS[name].most_cases
    many = [replace(CSAM, case_id=str(number)) for number in range(most + 1)]
    assert formats.render_several(many[:most], name, CONTEXT).body
    with pytest.raises(BadInput, match=rf"^cases: {most + 1} are not within 1 and {most}; "):
        formats.render_several(many, name, CONTEXT)
    with pytest.raises(BadInput, match=rf"^cases: 0 are not within 1 and {most}; "):
        formats.render_several((), name, CONTEXT)
    half = on(*(f"https://img.example.org/{number}" for number in range(501)))
    with pytest.raises(BadInput, match=r"^cases: 1002 addresses are more than 1000; "):
        formats.render_several((half, replace(half, case_id="2")), name, CONTEXT)


@pytest.mark.parametrize("name", [name for name, row in formats.FORMATS.items() if row.batch])
def test_the_table_of_formats_has_the_limits_of_the_modules(name: str) -> None:
    row = formats.FORMATS[name]
    assert (row.most_cases > 1, row.most_urls >= 1_000) == (True, True)
    if name in TOGETHER:
        module = {"letter": letter, "dsa16": dsa_notice}[name]
        assert (row.most_cases, row.most_urls) == (module.MAX_CASES, module.MAX_URLS)


# --- to the police -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", HarmDomain)
@pytest.mark.parametrize("reporter", [HOTLINE, PROVIDER], ids=["hotline", "provider"])
def test_the_police_is_told_of_crimes_against_persons_only(domain: HarmDomain, reporter: object) -> None:
    hotline = reporter is HOTLINE
    context = replace(POLICE, reporter=HOTLINE if hotline else PROVIDER)
    case = replace(in_domain(domain, "a-list", CSAM), decision=Decision(legal_basis="An Act"))
    if domain in ALLOWED["dsa18"]:
        wanted = Audience.REFERRAL if hotline else Audience.POLICE
        assert letter_parts.audience_of(case, context.reporter, "police") is wanted
        assert formats.render(case, "letter", context).body == formats.render_several([case], "letter", context).body
        return
    with pytest.raises(
        OutletForbidden, match=rf"^audience: {domain.value} is not told to the police in a letter"
    ) as no:
        formats.render(case, "letter", context)
    assert no.value.field == "audience"


def test_only_letters_have_an_audience_and_only_one_that_is_known() -> None:
    for name in ("dsa16", "xarf"):
        with pytest.raises(
            BadInput, match=rf"^audience: {name} is not written for 'police'; there is letter for the po"
        ):
            formats.render(CSAM, name, POLICE)
    with pytest.raises(
        BadInput, match=r"^audience: letter is not written for 'press'; there is letter for the police$"
    ):
        formats.render_several([CSAM], "letter", replace(CONTEXT, audience="press"))


def test_a_hotline_tells_the_police_whom_it_is_about_and_claims_no_service_of_its_own() -> None:
    told = text(THB, audience="police")
    assert [secret for secret in SECRETS if secret in told] == list(SECRETS)
    flat = " ".join(told.split())
    assert "found on a service of others; we neither run that service nor host the content." in flat
    assert "would hinder an investigation" in flat
    assert "Article 18" not in told
    assert "Article 16" not in told
