"""Statements of reasons: every rule of the database with its message, batches, identifiers."""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import replace
from typing import Any

import pytest

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.model import HarmDomain, Label
from hashmatch.model.cases import (
    Case,
    Decision,
    Ground,
    Monetary,
    OtherTexts,
    Provision,
    ServiceKind,
    Source,
    Visibility,
)
from hashmatch.projections import dsa_statement as sor
from hashmatch.projections import dsa_terms as terms
from tests.support.union_cases import CASES, CONTEXT, CSAM, DECISION, NOW, REPORTER, in_domain


def statement(case: Case) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sor.render(case, CONTEXT).body)
    return found


def deciding(**given: Any) -> Case:
    return replace(CSAM, decision=replace(DECISION, **given))


def labelled(*values: str, case: Case = CSAM, **given: Any) -> Case:
    assert case.decision is not None
    labels = tuple(Label("dsa", "2", value) for value in values)
    return replace(case, decision=replace(case.decision, labels=labels, **given))


NO_MEASURE: dict[str, Any] = {"visibility": None, "account": None, "account_type": None}
RULES: dict[str, tuple[Case, str]] = {
    "no decision": (
        replace(CSAM, decision=None),
        "decision: a statement of reasons is about a decision, and the case has none (required)",
    ),
    "no measure": (
        deciding(**NO_MEASURE),
        "decision: say what was done: at least one of visibility, monetary, provision, account (measure)",
    ),
    "other visibility": (
        deciding(visibility=Visibility.OTHER),
        "decision.others.visibility: decision.visibility is other: say what was done (required)",
    ),
    "text without other": (
        deciding(others=OtherTexts(monetary="x")),
        "decision.others.monetary: says what was done, and decision.monetary is not other (other)",
    ),
    "other monetary": (
        deciding(monetary=Monetary.OTHER),
        "decision.others.monetary: decision.monetary is other: say what was done (required)",
    ),
    "text too long": (
        deciding(visibility=Visibility.OTHER, others=OtherTexts(visibility="x" * 501)),
        "decision.others.visibility: 501 characters are too many; at most 500 (length)",
    ),
    "ends late": (
        deciding(ends_on=dt.date(2038, 1, 2)),
        "decision.ends_on: 2038-01-02 is after 2038-01-01; give no date for what is for good (date)",
    ),
    "ends before": (
        deciding(account_ends_on=dt.date(2026, 11, 27)),
        "decision.account_ends_on: 2026-11-27 is before the decision applies, 2026-11-28 (date)",
    ),
    "ends nothing": (
        deciding(provision_ends_on=dt.date(2027, 1, 1)),
        "decision.provision_ends_on: 2027-01-01 ends nothing: the decision has no such measure (measure)",
    ),
    "no law": (
        deciding(legal_basis=" "),
        "decision.legal_basis: say the law that the decision rests on (required)",
    ),
    "no clause": (
        deciding(ground=Ground.TERMS, explanation=""),
        "decision.explanation: say why the content is against the clause of the terms (required)",
    ),
    "law too long": (
        deciding(legal_basis="x" * 501),
        "decision.legal_basis: 501 characters are too many; at most 500 (length)",
    ),
    "explanation too long": (
        deciding(explanation="x" * 2_001),
        "decision.explanation: 2001 characters are too many; at most 2000 (length)",
    ),
    "facts too long": (
        deciding(facts="x" * 5_001),
        "decision.facts: 5001 characters are too many; at most 5000 (length)",
    ),
    "illegal and also illegal": (
        deciding(also_illegal=True),
        "decision.also_illegal: is about content against the terms; decision.ground says illegal (ground)",
    ),
    "reference": (
        deciding(reference_url="the law"),
        "decision.reference_url: 'the law' is no address: expected https://host/path (address)",
    ),
    "long reference": (
        deciding(reference_url="https://example.org/" + "x" * 481),
        "decision.reference_url: 501 characters are too many; at most 500 (length)",
    ),
    "no date": (
        deciding(decided_at=None),
        "decision.decided_at: say when the decision began to apply (required)",
    ),
    "decided early": (
        deciding(decided_at=dt.datetime(2019, 12, 31, tzinfo=dt.UTC)),
        "decision.decided_at: 2019-12-31 is before 2020-01-01 (date)",
    ),
    "occurred early": (
        replace(CSAM, occurred_at=dt.datetime(1999, 12, 31, tzinfo=dt.UTC)),
        "occurred_at: 1999-12-31 is before 2000-01-01 (date)",
    ),
    "uploaded early": (
        replace(CSAM, media=replace(CSAM.media, uploaded_at=dt.datetime(1999, 12, 31, tzinfo=dt.UTC))),
        "media.uploaded_at: 1999-12-31 is before 2000-01-01 (date)",
    ),
    "no scope": (
        replace(CSAM, territorial_scope=()),
        "territorial_scope: say in which states of the EEA the decision applies (required)",
    ),
    "Greece": (
        replace(CSAM, territorial_scope=("EL",)),
        "territorial_scope: 'EL' is not the code of a state of the EEA; write GR (state)",
    ),
    "language": (
        replace(CSAM, language="nld"),
        "language: 'nld' is not a code of ISO 639-1, such as en or nl (language)",
    ),
    "product": (
        replace(CSAM, ean13="400638133393"),
        "ean13: '400638133393' is no EAN-13: expected 13 digits (digits)",
    ),
    "hologram": (
        replace(CSAM, media=replace(CSAM.media, kind="hologram")),
        "media.kind: 'hologram' is no type of content: give one as a label of scheme dsa (content type)",
    ),
    "unknown word": (
        labelled("KEYWORD_GOOD"),
        "decision.labels[0]: 'KEYWORD_GOOD' is no category, keyword or type of content (schema 2)",
    ),
    "no category": (
        in_domain(HarmDomain.OTHER, "a-list"),
        "decision.labels: the domain other has no category of its own: give one as a label of scheme dsa (category)",
    ),
    "other keyword": (
        labelled("KEYWORD_OTHER"),
        "decision.others.keyword: KEYWORD_OTHER is among the labels: say what is meant (required)",
    ),
    "other type": (
        labelled("CONTENT_TYPE_OTHER"),
        "decision.others.content_type: CONTENT_TYPE_OTHER is among the labels: say what is meant (required)",
    ),
    "keyword text": (
        deciding(others=OtherTexts(keyword="x")),
        "decision.others.keyword: says what is meant, and KEYWORD_OTHER is not among the labels (other)",
    ),
    "messages": (
        replace(CSAM, service_kind=ServiceKind.INTERPERSONAL),
        "service_kind: the database is for online platforms, and services for messages are none (recital 14)",
    ),
    "order": (
        replace(CSAM, source=Source.ORDER),
        "source: what an authority ordered under Article 9 is not stated (Article 17(5))",
    ),
    "identity too long": (
        replace(CSAM, source=Source.NOTICE, source_identity="x" * 501),
        "source_identity: 501 characters are too many; at most 500 (length)",
    ),
    "control characters": (
        deciding(facts="a\x00b"),
        "decision.facts: control characters are not allowed (characters)",
    ),
    "no case": (replace(CSAM, case_id=""), "case_id: the statement is named after it (required)"),
}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_told_with_its_values(name: str) -> None:
    case, message = RULES[name]
    with pytest.raises(BadReport) as caught:
        sor.render(case, CONTEXT)
    assert caught.value.message == f"statement of reasons: {message}"
    assert caught.value.field == message.partition(":")[0]


@pytest.mark.parametrize("value", sorted(terms.REMOVED))
def test_words_that_version_2_removed_are_told_as_such(value: str) -> None:
    (problem,) = sor.problems(labelled(value), REPORTER, NOW)
    assert problem.message == f"{value} was removed from the schema on 2025-07-01"


def test_a_hotline_states_no_reasons() -> None:
    (problem,) = sor.problems(CSAM, replace(REPORTER, hotline=True), NOW)
    assert (problem.field, problem.message) == (
        "reporter.hotline",
        "only the platform that decided states its reasons",
    )


@pytest.mark.parametrize(
    ("field", "case"),
    [
        ("decision.legal_basis", deciding(legal_basis="said by x@example.org")),
        ("decision.explanation", deciding(explanation="posted from 192.0.2.1")),
        ("decision.facts", deciding(facts="call +31 20 000 0000")),
        ("decision.reference_url", deciding(reference_url="https://example.org/?to=x@example.org")),
        (
            "decision.others.visibility",
            deciding(visibility=Visibility.OTHER, others=OtherTexts(visibility="hid @some_one")),
        ),
        ("decision.others.monetary", deciding(monetary=Monetary.OTHER, others=OtherTexts(monetary="@some_one"))),
        ("decision.others.keyword", labelled("KEYWORD_OTHER", others=OtherTexts(keyword="@some_one"))),
        ("decision.others.content_type", labelled("CONTENT_TYPE_OTHER", others=OtherTexts(content_type="@some_one"))),
        ("source_identity", replace(CSAM, source=Source.NOTICE, source_identity="x@example.org")),
    ],
)
def test_personal_data_is_looked_for_in_every_free_text(field: str, case: Case) -> None:
    (problem,) = sor.problems(case, REPORTER, NOW)
    assert (problem.field, problem.rule) == (field, "personal data")


def test_nothing_of_the_subject_the_address_or_the_list_is_stated() -> None:
    body = sor.render(CSAM, CONTEXT).body.decode()
    secrets = ("user-4711", "sunset", "192.0.2", "2001:db8", "example.org", "holiday", "known-pictures", "abababab")
    assert [secret for secret in secrets if secret in body] == []


# --- what is said ------------------------------------------------------------------------------------------------


def test_who_told_is_dropped_where_nobody_did() -> None:
    case = replace(CSAM, source_identity="x@example.org")
    assert "source_identity" not in statement(case)
    assert statement(replace(case, source=Source.NOTICE, source_identity="A helpline"))["source_identity"] == (
        "A helpline"
    )


def test_the_dates_are_those_of_the_zone_in_which_they_were_given() -> None:
    late = dt.datetime(2026, 11, 27, 0, 30, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    case = replace(deciding(decided_at=late), media=replace(CSAM.media, uploaded_at=None), occurred_at=late)
    assert (statement(case)["content_date"], statement(case)["application_date"]) == ("2026-11-27", "2026-11-27")


def test_own_categories_and_keywords_take_the_place_of_the_domains() -> None:
    case = labelled(
        "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN",
        "STATEMENT_CATEGORY_VIOLENCE",
        "KEYWORD_NON_CONSENSUAL_IMAGE_SHARING_AGAINST_WOMEN",
        case=CASES["ncii"],
    )
    found = statement(case)
    assert found["category"] == "STATEMENT_CATEGORY_CYBER_VIOLENCE_AGAINST_WOMEN"
    assert found["category_addition"] == ["STATEMENT_CATEGORY_VIOLENCE"]
    assert found["category_specification"] == ["KEYWORD_NON_CONSENSUAL_IMAGE_SHARING_AGAINST_WOMEN"]


def test_synthetic_material_is_called_so() -> None:
    found = statement(replace(CSAM, media=replace(CSAM.media, created_with_ai=True)))
    assert found["category_specification"] == ["KEYWORD_CHILD_SEXUAL_ABUSE_MATERIAL_DEEPFAKE"]
    assert found["content_type"] == ["CONTENT_TYPE_IMAGE", "CONTENT_TYPE_SYNTHETIC_MEDIA"]


def test_the_automated_flags_are_the_cases() -> None:
    found = statement(replace(CSAM, automated_detection=False))
    assert (found["automated_detection"], found["automated_decision"]) == ("No", "AUTOMATED_DECISION_PARTIALLY")


def test_every_measure_has_its_word_and_its_end() -> None:
    end = dt.date(2027, 1, 1)
    case = deciding(
        monetary=Monetary.SUSPENDED,
        monetary_ends_on=end,
        provision=Provision.PARTLY_SUSPENDED,
        provision_ends_on=end,
    )
    found = statement(case)
    assert found["decision_monetary"] == "DECISION_MONETARY_SUSPENSION"
    assert found["decision_provision"] == "DECISION_PROVISION_PARTIAL_SUSPENSION"
    assert found["end_date_monetary_restriction"] == found["end_date_service_restriction"] == "2027-01-01"


def test_the_vocabulary_is_whole() -> None:
    assert (len(terms.CATEGORIES), len(terms.KEYWORDS), len(terms.CONTENT_TYPES)) == (16, 69, 8)
    assert not terms.REMOVED & (terms.CATEGORIES | terms.KEYWORDS)
    for default in terms.DEFAULTS.values():
        assert {default.category, *default.additions} <= terms.CATEGORIES
        assert {*default.keywords, *default.synthetic} <= terms.KEYWORDS
    assert set(terms.DEFAULTS) == set(HarmDomain) - {HarmDomain.OTHER}
    assert set(terms.SOURCE) == set(Source) - {Source.ORDER}
    assert set(terms.VISIBILITY) == set(Visibility)
    assert Decision().labels == ()


# --- identifiers -------------------------------------------------------------------------------------------------


def test_an_identifier_is_the_cases_and_hashed_where_the_database_could_not_hold_it() -> None:
    assert sor.puid_of("Case_2026-1") == "hm-Case_2026-1"
    assert sor.puid_of("x" * 497) == "hm-" + "x" * 497
    hashed = [sor.puid_of(case_id) for case_id in ("x" * 498, "case 1", "case/1", "zaak-é", "")]
    assert all(re.fullmatch("hms-[0-9a-f]{64}", puid) for puid in hashed[:4])
    assert len(set(hashed)) == 5


# --- batches -----------------------------------------------------------------------------------------------------


def numbered(count: int) -> list[Case]:
    return [replace(CSAM, case_id=f"case-{number}") for number in range(count)]


def test_a_hundred_statements_are_one_document() -> None:
    document = sor.render_batch(numbered(100), CONTEXT)
    found = json.loads(document.body)["statements"]
    assert [item["puid"] for item in found] == [f"hm-case-{number}" for number in range(100)]
    assert found[7] == statement(replace(CSAM, case_id="case-7"))
    assert document.format == "dsa-sor-batch"


@pytest.mark.parametrize("count", [0, 101])
def test_more_or_fewer_are_refused_with_the_limit(count: int) -> None:
    with pytest.raises(BadReport) as caught:
        sor.render_batch(numbered(count), CONTEXT)
    assert caught.value.message == f"statements: {count} in one batch; the database takes 1 to 100"


def test_a_batch_is_refused_as_a_whole_and_names_the_statement_and_field() -> None:
    cases = numbered(5)
    cases[3] = replace(cases[3], decision=replace(DECISION, legal_basis=""))
    cases[4] = replace(cases[4], case_id="case-1")
    with pytest.raises(BadReport) as caught:
        sor.render_batch(cases, CONTEXT)
    assert caught.value.field == "statements[3].decision.legal_basis"
    assert caught.value.message == (
        "5 statements of reasons: "
        "statements[3].decision.legal_basis: say the law that the decision rests on (required); "
        "statements[4].case_id: is the case of statements[1]; the database takes a case once (unique)"
    )


def test_a_batch_names_the_statement_whose_domain_is_not_that_of_its_matches() -> None:
    cases = numbered(2)
    cases[1] = replace(cases[1], domain=HarmDomain.THB)
    with pytest.raises(OutletForbidden, match=r"^statements\[1\]\.domain: the case says thb, ") as caught:
        sor.render_batch(cases, CONTEXT)
    assert caught.value.field == "statements[1].domain"
