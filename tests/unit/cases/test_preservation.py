"""Holds, and the documents that ask the caller's store to keep or to release."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.cases.preservation import HoldAction, due, hold_document, new_hold
from hashmatch.errors import BadInput
from hashmatch.model.cases import Document, Locator
from hashmatch.model.deliveries import Hold
from hashmatch.sections import CasesConfig
from tests.support.sharing_cases import CASE, NOW, SECRETS, VECTORS

CASE_WITH_REFERENCE = replace(CASE, item_id="item-9", locator=Locator((SECRETS[4],), "bucket/9", SECRETS[2]))
HOLD = new_hold(CASE_WITH_REFERENCE, "store://items/9", NOW, CasesConfig().hold_days)
RENDERED = {
    HoldAction.KEEP: hold_document(HOLD, CASE_WITH_REFERENCE, HoldAction.KEEP, report_ids=("4711",)),
    HoldAction.RELEASE: hold_document(
        HOLD, CASE_WITH_REFERENCE, HoldAction.RELEASE, reason="the match was wrong", report_ids=("4711",)
    ),
}


@pytest.mark.parametrize("action", HoldAction)
def test_documents_are_the_golden_ones(action: HoldAction) -> None:
    document = RENDERED[action]
    assert document.body == (VECTORS / "hold" / f"{action.value}.json").read_bytes()
    assert document == Document("hold", "application/json", f"hold-{action.value}-{HOLD.hold_id}.json", document.body)


@pytest.mark.parametrize("action", HoldAction)
def test_nothing_personal_is_in_a_document(action: HoldAction) -> None:
    text = RENDERED[action].body.decode()
    assert [secret for secret in SECRETS if secret in text] == []


def test_a_hold_lasts_a_year_by_default() -> None:
    assert HOLD.deadline == dt.datetime(2027, 11, 28, 9, 30, tzinfo=dt.UTC)
    assert json.loads(RENDERED[HoldAction.KEEP].body)["until"] == "2027-11-28T09:30:00Z"


def test_asked_for_twice_it_is_one_hold() -> None:
    later = new_hold(CASE_WITH_REFERENCE, "store://items/9", NOW + dt.timedelta(hours=1), 365)
    other = new_hold(CASE_WITH_REFERENCE, "store://items/10", NOW, 365)
    assert (later.hold_id == HOLD.hold_id, other.hold_id == HOLD.hold_id) == (True, False)


@pytest.mark.parametrize("handle", ["", "  ", "a\nb", "x" * 2_001, "\ud800"])
def test_a_handle_names_something(handle: str) -> None:
    with pytest.raises(BadInput) as refused:
        new_hold(CASE, handle, NOW, 365)
    assert refused.value.message == "handle: what to keep is named by 1 to 2,000 printable characters"
    assert refused.value.field == "handle"


def test_a_hold_of_another_case_is_refused() -> None:
    with pytest.raises(BadInput) as refused:
        hold_document(replace(HOLD, case_id="case-x"), CASE, HoldAction.KEEP)
    assert refused.value.message == f"hold_id: the hold {HOLD.hold_id} is of case case-x, not case-2026-0001"


@given(st.lists(st.tuples(st.integers(-5, 5), st.booleans()), max_size=12))
def test_due_is_what_has_come_and_nobody_ended(stated: list[tuple[int, bool]]) -> None:
    holds = [
        Hold(f"h{n}", "c", "x", NOW + dt.timedelta(days=days), NOW, NOW if ended else None)
        for n, (days, ended) in enumerate(stated)
    ]
    found = due(holds, NOW)
    assert {hold.hold_id for hold in found} == {
        f"h{n}" for n, (days, ended) in enumerate(stated) if days <= 0 and not ended
    }
    assert [hold.deadline for hold in found] == sorted(hold.deadline for hold in found)
