"""Item rows: every rule with its message, what a row says, and no formulas."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hashmatch.errors import BadInput, BadReport
from hashmatch.model import HarmDomain, Verdict
from hashmatch.model.cases import Case
from hashmatch.projections import iccam
from tests.support.notice_cases import (
    CONTEXT,
    CSAM,
    LABELLED,
    UNLISTED,
    on,
    rows,
)
from tests.support.union_cases import MATCH, POSSIBLE


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (on(), "locator.urls: a row is about an address, and the case has none (required)"),
        (replace(CSAM, hashes=()), "hashes: a row says which file was seen, and the case has no hash of it (required)"),
    ],
    ids=["no address", "no hash"],
)
def test_every_rule_of_rows_is_told_and_one_bad_case_stops_all(case: Case, message: str) -> None:
    with pytest.raises(BadReport) as refused:
        iccam.render_many((UNLISTED, case), CONTEXT)
    assert refused.value.message == f"item rows of case {CSAM.case_id}: {message}"


def test_rows_of_no_case_are_refused() -> None:
    with pytest.raises(BadInput) as refused:
        iccam.render_many((), CONTEXT)
    assert refused.value.message == "item rows: there is no case to write"


def test_the_row_names_the_surest_and_nearest_match() -> None:
    nearer = replace(MATCH, entry_id="e-1", distance=2)
    possible = replace(POSSIBLE, distance=0)
    foreign = replace(MATCH, domain=HarmDomain.CSE_EXPLOITATIVE, distance=0)
    (row, _) = rows(iccam.render(replace(CSAM, matches=(foreign, possible, MATCH, nearer)), CONTEXT).body)
    assert (row["match"], row["outcome_code"], row["entry_id"], row["distance"]) == ("yes", "MATCH", "e-1", "2")


def test_no_match_is_unknown_and_nothing_else() -> None:
    (row, _) = rows(iccam.render(UNLISTED, CONTEXT).body)
    assert (row["match"], row["outcome_code"], row["list_id"], row["classification_value"]) == ("unknown", "", "", "")


@pytest.mark.parametrize(("said", "scheme"), [("A1", "ncmec"), ("baseline", "interpol")])
def test_the_classification_is_the_reporters_own(said: str, scheme: str) -> None:
    (row, _) = rows(iccam.render(replace(CSAM, classification=said), CONTEXT).body)
    assert (row["classification_scheme"], row["classification_value"]) == (scheme, said)


def test_labels_of_lists_stand_as_they_are_where_there_is_none() -> None:
    (row,) = rows(iccam.render(LABELLED, CONTEXT).body)
    assert (row["match"], row["classification_scheme"], row["classification_value"]) == ("near", "ncmec|copine", "A1|7")


def test_rows_are_rfc_4180_and_have_the_columns_in_their_order() -> None:
    document = iccam.render(CSAM, CONTEXT)
    assert document.media_type == "text/csv; charset=utf-8; header=present"
    assert document.file_name == f"items-{CONTEXT.report_id}.csv"
    first, *_, last = document.body.decode().split("\r\n")
    assert (first.split(","), last) == (list(iccam.COLUMNS), "")
    assert len(iccam.COLUMNS) == len(set(iccam.COLUMNS)) == 37


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(start: str) -> None:
    hostile = f'{start}HYPERLINK("https://evil.example";"x"),2'
    case = replace(
        CSAM,
        case_id=hostile,
        evidence_ref=hostile,
        classification="",
        matches=(replace(MATCH, list_id=hostile, entry_id=hostile, labels=(replace(MATCH.labels[0], value=hostile),)),),
    )
    (row, _) = rows(iccam.render(case, CONTEXT).body)
    told = [row[name] for name in ("report_id", "evidence_id", "list_id", "entry_id", "classification_value")]
    assert told == [f"'{hostile}"] * 5


def test_verdicts_have_their_words() -> None:
    for verdict, words in ((Verdict.MATCH, ("yes", "MATCH")), (Verdict.POSSIBLE_MATCH, ("near", "NEAR"))):
        (row, _) = rows(iccam.render(replace(CSAM, matches=(replace(MATCH, verdict=verdict),)), CONTEXT).body)
        assert (row["match"], row["outcome_code"]) == words
