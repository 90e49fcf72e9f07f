"""Notices under Article 16 and notifications under Article 18: every rule with its message, and what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from hashmatch.errors import BadReport
from hashmatch.model import HarmDomain
from hashmatch.model.cases import Case, Locator, Notifier
from hashmatch.projections import dsa_letter, dsa_notice
from hashmatch.projections.dsa_terms import OFFENCES
from hashmatch.sections import ReporterConfig
from tests.support.union_cases import CASES, CONTEXT, CSAM, DECISION, NOW, REPORTER, in_domain

NOBODY = ReporterConfig()
URLS = ("https://example.org/1",) * 1_001


def notice(case: Case, reporter: ReporterConfig = REPORTER) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(dsa_notice.render(case, replace(CONTEXT, reporter=reporter)).body)
    return found


def letter(case: Case, reporter: ReporterConfig = REPORTER, **given: Any) -> dict[str, Any]:
    context = replace(CONTEXT, reporter=reporter, **given)
    found: dict[str, Any] = json.loads(dsa_letter.render(case, context).body)
    return found


# --- Article 16 --------------------------------------------------------------------------------------------------

NOTICE_RULES: dict[str, tuple[Case, str]] = {
    "no reason": (
        replace(CSAM, matches=(), decision=None),
        "decision.explanation: there is no match: say why the content is held to be illegal (Article 16(2)(a))",
    ),
    "nowhere": (
        replace(CSAM, locator=Locator(content_ref="p17")),
        "locator.urls: say exactly where the content is: at least one address (Article 16(2)(b))",
    ),
    "no address": (
        replace(CSAM, locator=Locator(("https://example.org/", "example.org/2"))),
        "locator.urls[1]: 'example.org/2' is no address: expected https://host/path (address)",
    ),
    "too many addresses": (
        replace(CSAM, locator=Locator(URLS)),
        "locator.urls: 1001 addresses are too many; at most 1000 (number)",
    ),
    "no e-mail": (
        replace(CSAM, notifier=Notifier("A. Person", "none")),
        "notifier.email: is no e-mail address (address)",
    ),
    "long reasons": (
        replace(CSAM, decision=replace(DECISION, explanation="x" * 5_001)),
        "decision.explanation: 5001 characters are too many; at most 5000 (length)",
    ),
    "half a notifier": (
        replace(CASES["thb"], notifier=Notifier("A foundation")),
        "notifier.email: Article 16(2)(c) asks for it where the content is thb; reporter has none either (required)",
    ),
}


@pytest.mark.parametrize("name", NOTICE_RULES)
def test_every_rule_of_a_notice_is_told(name: str) -> None:
    case, message = NOTICE_RULES[name]
    with pytest.raises(BadReport) as caught:
        notice(case)
    assert caught.value.message == f"notice under Article 16: {message}"
    assert caught.value.field == message.partition(": ")[0]


@pytest.mark.parametrize("domain", HarmDomain)
def test_who_gives_notice_may_stay_unnamed_for_abuse_of_children_only(domain: HarmDomain) -> None:
    case = in_domain(domain, "a-list")
    fields = [problem.field for problem in dsa_notice.problems(case, NOBODY, NOW)]
    assert fields == ([] if domain is HarmDomain.CSAM else ["notifier.name", "notifier.email"])


def test_the_reporter_gives_notice_where_nobody_else_does_and_is_not_named_for_abuse_of_children() -> None:
    wildlife = replace(CASES["wildlife"], notifier=None)
    assert notice(wildlife)["notifier"] == {"name": REPORTER.name, "email": REPORTER.email}
    assert notice(CSAM)["notifier"] is None
    named = replace(CSAM, notifier=Notifier("A hotline", "desk@hotline.example.org"))
    assert notice(named)["notifier"] == {"name": "A hotline", "email": "desk@hotline.example.org"}


def test_a_notice_has_its_four_parts_and_nothing_of_the_user() -> None:
    found = notice(CSAM)
    assert found["explanation"]["text"] == (
        "The file was compared, by its hashes, with lists of known material. "
        "pdq met an entry of the list 'known-pictures', version 12, at distance 4 of at most 31, after the "
        "transformation flipx: a match. pdq met an entry of the list 'second-list', version 3, at distance 34 of at "
        "most 36: a possible match, which a person has to look at. No person has seen it."
    )
    assert found["location"]["urls"] == list(CSAM.locator.urls)
    assert found["good_faith"] == dsa_notice.GOOD_FAITH
    body = json.dumps(found)
    assert [secret for secret in ("user-4711", "sunset", "192.0.2.10", "2001:db8") if secret in body] == []


# --- Article 18 --------------------------------------------------------------------------------------------------

LETTER_RULES: dict[str, tuple[Case, ReporterConfig, str]] = {
    "hotline": (
        CSAM,
        replace(REPORTER, hotline=True),
        "reporter.hotline: is a duty of hosts; a hotline gives notice by xarf, dsa16 or letter (Article 18)",
    ),
    "nobody": (
        CSAM,
        replace(REPORTER, name=""),
        "reporter.name: say who notifies (required)",
    ),
    "no contact": (
        CSAM,
        replace(REPORTER, contact_information="", email=""),
        (
            "reporter.contact_information: say how an authority can reach you: contact_information, email or phone "
            "(required)"
        ),
    ),
    "Greece": (
        replace(CSAM, member_states=("EL",)),
        REPORTER,
        "member_states: 'EL' is not the code of a Member State; write GR (state)",
    ),
    "no suspicion": (
        replace(CSAM, matches=(), decision=None),
        REPORTER,
        "decision.explanation: there is no match: say what makes you suspect a crime (recital 56)",
    ),
    "not necessarily illegal": (
        replace(in_domain(HarmDomain.CSE_EXPLOITATIVE, "a-list"), decision=None),
        REPORTER,
        (
            "decision.explanation: lists of this domain also hold what is not illegal: say what makes you suspect a "
            "crime (recital 56)"
        ),
    ),
    "no content": (
        replace(CSAM, locator=Locator()),
        REPORTER,
        "locator: say which content it is: an address or a reference of yours (recital 56)",
    ),
    "no address": (
        replace(CSAM, locator=Locator(("example.org",))),
        REPORTER,
        "locator.urls[0]: 'example.org' is no address: expected https://host/path (address)",
    ),
    "long note": (
        replace(CSAM, note="x" * 5_001),
        REPORTER,
        "note: 5001 characters are too many; at most 5000 (length)",
    ),
}


@pytest.mark.parametrize("name", LETTER_RULES)
def test_every_rule_of_a_notification_is_told(name: str) -> None:
    case, reporter, message = LETTER_RULES[name]
    with pytest.raises(BadReport) as caught:
        letter(case, reporter)
    assert caught.value.message == f"notification under Article 18: {message}"
    assert caught.value.field == message.partition(": ")[0]


def test_it_goes_to_the_member_states_concerned_and_not_to_those_of_the_decision() -> None:
    case = replace(CSAM, member_states=("DE", "BE", "DE"), territorial_scope=("NL", "FR"))
    assert letter(case)["authorities"] == {
        "member_states": ["BE", "DE"],
        "europol": False,
        "rule": "Article 18(1): Member States concerned",
    }


@pytest.mark.parametrize(("country", "states"), [("NL", ["NL"]), ("nl", ["NL"]), ("US", []), ("", []), ("NO", [])])
def test_where_they_are_not_known_it_goes_to_the_state_of_establishment_or_to_europol(
    country: str, states: list[str]
) -> None:
    found = letter(replace(CSAM, member_states=()), replace(REPORTER, country=country))["authorities"]
    assert (found["member_states"], found["europol"]) == (states, True)
    assert found["rule"].startswith("Article 18(2): the Member States concerned are not known; ")


def test_it_names_the_authority_that_it_is_for() -> None:
    assert letter(CSAM, recipient="Example Police")["authorities"]["recipient"] == "Example Police"


@pytest.mark.parametrize("domain", OFFENCES)
def test_each_domain_names_its_crime(domain: HarmDomain) -> None:
    assert letter(in_domain(domain, "a-list"))["suspicion"]["offence"] == OFFENCES[domain]


def test_the_offences_are_those_of_recital_56() -> None:
    assert {domain: text.rpartition("(Directive ")[2].rstrip(")") for domain, text in OFFENCES.items()} == {
        HarmDomain.CSAM: "2011/93/EU",
        HarmDomain.CSE_EXPLOITATIVE: "2011/93/EU",
        HarmDomain.THB: "2011/36/EU",
        HarmDomain.TVEC: "(EU) 2017/541",
    }


def test_it_has_what_helps_to_find_the_recipient_where_the_case_has_it() -> None:
    found = letter(CSAM)
    assert found["recipient"]["network_events"][0] == {
        "ip": "192.0.2.10",
        "port": 51_515,
        "event": "upload",
        "at": "2026-11-27T22:01:00+01:00",
    }
    assert found["suspicion"]["occurred_at"] == "2026-11-27T22:01:00+01:00"
    assert letter(replace(CSAM, subject=None))["recipient"] is None
