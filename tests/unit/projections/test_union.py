"""What the formats of the European Union have in common: golden documents, schemas, the guard of domains."""

from __future__ import annotations

import datetime as dt
import json
import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing import Registry, Resource

from hashmatch.errors import BadReport, OutletForbidden
from hashmatch.model import HarmDomain, Label
from hashmatch.model.cases import (
    Account,
    AccountType,
    Automation,
    Case,
    Decision,
    Document,
    Ground,
    Monetary,
    OtherTexts,
    PriorReport,
    Problem,
    Provision,
    ServiceKind,
    Source,
    Visibility,
)
from hashmatch.projections import domains, dsa_letter, dsa_notice, dsa_statement, dsa_terms, eu_annex3, findings, union
from tests.support.receivers.dsa import errors_of
from tests.support.union_cases import (
    CASES,
    CONTEXT,
    CSAM,
    DECISION,
    GOLDEN,
    NOW,
    REPORTER,
    SCHEMAS,
    SUBJECT,
    VECTORS,
    in_domain,
)

FORMATS = [
    pytest.param(module, id=module.FORMAT) for module in (dsa_notice, dsa_statement, dsa_letter, eu_annex3)
]  # fmt: skip


def validators() -> dict[str, jsonschema.Draft202012Validator]:
    trees = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in SCHEMAS.glob("*.json")}
    registry: Registry[Any] = Registry().with_resources(
        (tree["$id"], Resource.from_contents(tree)) for tree in trees.values()
    )
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    return {
        name: jsonschema.Draft202012Validator(tree, registry=registry, format_checker=checker)
        for name, tree in trees.items()
    }


VALIDATORS = validators()


def wrong(document: Document) -> list[str]:
    tree = json.loads(document.body)
    return [f"{error.json_path}: {error.message}" for error in VALIDATORS[document.format].iter_errors(tree)]


def told(found: tuple[Problem, ...]) -> list[tuple[str, str]]:
    return [(problem.field, problem.rule) for problem in found]


@pytest.mark.parametrize("name", GOLDEN)
def test_documents_are_as_they_were_byte_for_byte_and_as_their_schema_says(name: str) -> None:
    case, render = GOLDEN[name]
    document = render(case, CONTEXT)
    assert document.body == (VECTORS / name).read_bytes()
    assert render(case, CONTEXT) == document
    assert document.media_type == "application/json"
    assert document.file_name == f"{document.format}-{CONTEXT.report_id}.json"
    assert wrong(document) == []


def test_there_is_a_golden_document_for_every_file_and_the_other_way_round() -> None:
    files = {f"{kind}/{path.name}" for kind in ("dsa", "eu") for path in (VECTORS / kind).iterdir()}
    assert files == set(GOLDEN)


@pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")
@pytest.mark.parametrize("name", GOLDEN)
def test_schemas_of_others_take_the_documents(name: str) -> None:
    schemas = Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "reference" / "schemas"
    tree = json.loads((VECTORS / name).read_bytes())
    if name.startswith("dsa/statement"):
        schema = json.loads((schemas / "dsa" / "statement-of-reasons.own-made.schema.json").read_bytes())
        for statement in tree.get("statements", [tree]):
            jsonschema.validate(statement, schema)
    elif name.startswith("eu/"):
        schema = json.loads((schemas / "eu" / "annex3-report.own-made.schema.json").read_bytes())
        jsonschema.validate(tree["report"], schema)
    else:
        pytest.skip("nobody has a schema for it")


@pytest.mark.skipif("HASHMATCH_EXTRA_DATA" not in os.environ, reason="HASHMATCH_EXTRA_DATA is not set")
def test_our_schema_takes_the_statements_of_others() -> None:
    samples = sorted((Path(os.environ["HASHMATCH_EXTRA_DATA"]) / "reference/schemas/dsa").glob("sample-*.json"))
    assert len(samples) == 3
    for path in samples:
        VALIDATORS["dsa-sor"].validate(json.loads(path.read_bytes()))


def test_the_schemas_can_refuse() -> None:
    for name in GOLDEN:
        case, render = GOLDEN[name]
        document = render(case, CONTEXT)
        tree = json.loads(document.body)
        for field in list(tree):
            without = {key: value for key, value in tree.items() if key != field}
            if not list(VALIDATORS[document.format].iter_errors(without)):
                assert field in OPTIONAL_FIELDS, f"{name}: {field}"
        assert list(VALIDATORS[document.format].iter_errors(tree | {"hash": "00"})), name


OPTIONAL_FIELDS = {
    *("decision_visibility", "decision_account", "account_type", "end_date_account_restriction"),
    *("end_date_visibility_restriction", "incompatible_content_illegal", "decision_ground_reference_url"),
    *("category_addition", "category_specification", "content_language", "source_identity", "content_id"),
}
"""What a statement can do without; ``decision_visibility`` only where the account was acted upon as well."""


# --- domains -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", HarmDomain)
@pytest.mark.parametrize("module", FORMATS)
def test_a_domain_is_told_in_the_formats_that_are_for_it_and_in_no_other(
    module: ModuleType, domain: HarmDomain
) -> None:
    case = in_domain(domain, "a-list")
    if domain in domains.ALLOWED[module.FORMAT]:
        module.problems(case, REPORTER, NOW)
        return
    message = rf"^domain: {domain.value} is never reported as {module.FORMAT}, "
    with pytest.raises(OutletForbidden, match=message):
        module.problems(case, REPORTER, NOW)
    with pytest.raises(OutletForbidden, match=message):
        module.render(case, CONTEXT)


@pytest.mark.parametrize("module", FORMATS)
def test_a_case_is_told_in_the_domain_of_its_matches(module: ModuleType) -> None:
    case = replace(CSAM, matches=in_domain(HarmDomain.WILDLIFE, "adverts").matches)
    with pytest.raises(OutletForbidden, match=r"^domain: the case says csam, its matches are in lists of wildlife; "):
        module.render(case, CONTEXT)


# --- rules that all have -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", FORMATS)
def test_times_have_a_zone_and_are_not_in_the_future(module: ModuleType) -> None:
    naive = replace(CSAM, occurred_at=dt.datetime(2026, 11, 27, 22, 1))  # noqa: DTZ001 - what is refused
    message = r"occurred_at: 2026-11-27T22:01:00 has no zone; give an offset, such as Z or \+01:00 \(zone\)"
    with pytest.raises(BadReport, match=message) as caught:
        module.render(naive, CONTEXT)
    assert caught.value.field == "occurred_at"
    late = replace(CSAM, observed_at=NOW + dt.timedelta(minutes=6))
    with pytest.raises(BadReport, match=r"observed_at: 2026-11-28T09:36:00\+00:00 is in the future \(future\)"):
        module.render(late, CONTEXT)


@pytest.mark.parametrize("module", FORMATS)
def test_a_text_that_is_none_is_refused_wherever_it_stands(module: ModuleType) -> None:
    case = replace(CSAM, locator=replace(CSAM.locator, content_ref="p\ud800"))
    assert ("locator.content_ref", "characters") in told(module.problems(case, REPORTER, NOW))


@pytest.mark.parametrize("module", FORMATS)
def test_no_value_of_a_list_no_entry_and_no_perceptual_hash_is_told(module: ModuleType) -> None:
    body = module.render(CSAM, CONTEXT).body.decode()
    assert [entry for entry in ("e-17", "e-99", bytes(range(32)).hex()) if entry in body] == []


@pytest.mark.parametrize("module", FORMATS)
def test_an_accepted_case_has_no_problem_and_every_problem_is_in_the_refusal(module: ModuleType) -> None:
    assert module.problems(CSAM, REPORTER, NOW) == ()
    bad = replace(CSAM, occurred_at=NOW + dt.timedelta(days=1), observed_at=NOW + dt.timedelta(days=2))
    with pytest.raises(BadReport) as caught:
        module.render(bad, CONTEXT)
    for problem in module.problems(bad, REPORTER, NOW):
        assert f"{problem.field}: {problem.message} ({problem.rule})" in caught.value.message


# --- what is accepted is valid -----------------------------------------------------------------------------------

texts = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["", "a law", "x" * 501, "a@example.org", "x" * 5_001]
)
times = st.sampled_from(
    [
        CSAM.occurred_at,
        NOW,
        dt.datetime(1999, 12, 31, 23, tzinfo=dt.UTC),
        dt.datetime(2019, 12, 31, 23, tzinfo=dt.UTC),
        NOW + dt.timedelta(days=1),
    ]
)
ends = st.none() | st.dates(dt.date(2026, 1, 1), dt.date(2039, 1, 1)) | st.just(dt.date(2038, 1, 1))
words = st.sampled_from(
    [*sorted(dsa_terms.CATEGORIES)[:3], *sorted(dsa_terms.KEYWORDS)[:3], "KEYWORD_OTHER", "CONTENT_TYPE_OTHER", "NONE"]
)
others = st.builds(OtherTexts, texts, texts, texts, texts) | st.just(OtherTexts())
decisions = st.builds(
    Decision,
    visibility=st.none() | st.sampled_from(Visibility),
    account=st.none() | st.sampled_from(Account),
    account_type=st.none() | st.sampled_from(AccountType),
    monetary=st.none() | st.sampled_from(Monetary),
    provision=st.none() | st.sampled_from(Provision),
    ground=st.sampled_from(Ground),
    legal_basis=texts,
    explanation=texts,
    facts=texts,
    decided_at=st.none() | times,
    ends_on=ends,
    account_ends_on=ends,
    also_illegal=st.none() | st.booleans(),
    reference_url=st.sampled_from(["", "https://example.org/law", "law", "https://example.org/" + "x" * 500]),
    labels=st.lists(st.builds(Label, st.sampled_from(["dsa", "own"]), st.just("2"), words), max_size=3).map(tuple),
    others=others,
) | st.sampled_from([DECISION, CASES["wildlife"].decision, CASES["ncii"].decision])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a case of the golden ones, and a few of its fields anew."""
    case = draw(st.sampled_from(list(CASES.values())))
    drawn: dict[str, Any] = {
        "case_id": draw(texts | st.just(case.case_id)),
        "occurred_at": draw(times),
        "decision": draw(decisions | st.none()),
        "matches": draw(st.sampled_from([case.matches, ()])),
        "viewed_by_human": draw(st.booleans()),
        "service_kind": draw(st.sampled_from(ServiceKind)),
        "source": draw(st.sampled_from(Source)),
        "source_identity": draw(texts),
        "automated_decision": draw(st.sampled_from(Automation)),
        "subject": draw(st.sampled_from([SUBJECT, None])),
        "territorial_scope": draw(st.sampled_from([("NL",), ("EL",), (), ("GR", "NO", "GR")])),
        "member_states": draw(st.sampled_from([("NL",), ("NO",), ()])),
        "language": draw(st.sampled_from(["", "nl", "NL", "xx", "nld"])),
        "ean13": draw(st.sampled_from(["", "4006381333931", "400638133393"])),
        "locator": replace(case.locator, urls=draw(st.sampled_from([(), case.locator.urls, ("ftp://example.org/",)]))),
        "media": replace(case.media, kind=draw(st.sampled_from(["image", "video", "hologram"])), uploaded_at=None),
        "prior_reports": draw(st.sampled_from([(), (PriorReport("ncmec", "1"),), (PriorReport("x", "1"),)])),
        "urgent": draw(texts),
        "note": draw(texts),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(drawn)), max_size=6))
    return replace(case, **{name: drawn[name] for name in chosen})


@given(cases(), st.sampled_from([dsa_notice, dsa_statement, dsa_letter, eu_annex3]))
def test_what_is_accepted_is_valid_and_what_is_not_is_refused(case: Case, module: Any) -> None:
    if case.domain not in domains.ALLOWED[module.FORMAT]:
        return
    if module.problems(case, REPORTER, NOW):
        with pytest.raises(BadReport):
            module.render(case, CONTEXT)
    else:
        document = module.render(case, CONTEXT)
        assert wrong(document) == []
        assert module is not dsa_statement or errors_of(json.loads(document.body)) == {}


# --- small things ------------------------------------------------------------------------------------------------


def test_greece_is_gr() -> None:
    (problem,) = union.state_problems("territorial_scope", ["EL"], union.EEA, "a state of the EEA")
    assert problem == Problem("territorial_scope", "state", "'EL' is not the code of a state of the EEA; write GR")
    (problem,) = union.state_problems("territorial_scope", ["nl"], union.EEA, "a state of the EEA")
    assert problem.message == "'nl' is not the code of a state of the EEA; write NL"
    (problem,) = union.state_problems("member_states", ["NO"], union.MEMBER_STATES, "a Member State")
    assert problem.message.startswith("'NO' is not the code of a Member State; known are AT, BE, BG, ")
    assert (len(union.MEMBER_STATES), len(union.EEA)) == (27, 30)


@pytest.mark.parametrize(
    "url", ["ftp://example.org/", "https://", "https://a b.example.org/", "x", "http://[::1", "\n"]
)
def test_what_is_no_address_is_told(url: str) -> None:
    (problem,) = findings.url_problems("f", url)
    assert problem == Problem("f", "address", f"{url!r} is no address: expected https://host/path")


def test_a_long_address_is_told() -> None:
    (problem,) = findings.url_problems("f", "https://example.org/" + "x" * 2_064)
    assert problem == Problem("f", "length", "2084 characters are too many; at most 2083")
