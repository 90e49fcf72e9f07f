"""What callers get to see: nothing passes a handler without being held against the caller."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

import hashmatch.service
from hashmatch.cases.receipt import MAX_BYTES, sealed, unsealed
from hashmatch.errors import BadReceipt, CaseNotFound, PermissionDenied
from hashmatch.identity import LOCAL, Caller, Role, acting
from hashmatch.identity.callers import Proof
from hashmatch.model import EntryHash, Hit, MatchReport, RescanAnswer, Verdict
from hashmatch.model.cases import Case, CaseState
from hashmatch.model.deliveries import CaseFile, Finding
from hashmatch.model.entries import Rejected
from hashmatch.service import purview
from hashmatch.signatures import SigningKey
from tests.support import cases
from tests.support.ports import entry_ref
from tests.support.service import STATUS

DETECTS = Caller("uploads", frozenset({Role.DETECT, Role.REPORT}), frozenset({"a"}), Proof.KEY)
KEY = SigningKey.generate()


def hit(set_name: str, verdict: Verdict = Verdict.MATCH, entry_id: str = "e1") -> Hit:
    entry = dataclasses.replace(entry_ref(entry_id, set_name=set_name), terms="theirs", agree=2)
    return Hit(verdict, "within_match_distance", entry, "pdq", "pdq", 12, 31, "rot90", 2, "crop", 1e-9, "x/y")


def report(**changes: Any) -> MatchReport:
    made = MatchReport(
        request_id="r",
        verdict=Verdict.MATCH,
        rule="within_match_distance",
        generation="7.1",
        created_at=cases.report().created_at,
        hits=(hit("b", Verdict.POSSIBLE_MATCH), hit("a"), hit("a", entry_id="e2"), hit("c", Verdict.NO_MATCH)),
        truncated=True,
        elapsed_us={"search": 17},
        hashes=(EntryHash("pdq", bytes(32)),),
        receipt=b"HMR1 in clear",
    )
    return dataclasses.replace(made, **changes)


def test_who_may_see_detail_sees_it_all() -> None:
    assert purview.shown(report()) == report()
    assert purview.shown_file(CaseFile(cases.case(), (), (), ())).case == cases.case()


def test_who_may_not_sees_a_verdict_and_the_sets_that_led_to_it() -> None:
    with acting(DETECTS):
        seen = purview.shown(report())
    assert (seen.verdict, seen.reduced, seen.rule, seen.truncated) == (Verdict.MATCH, True, "", False)
    assert (seen.hashes, seen.elapsed_us, seen.receipt) == ((), {}, b"")
    assert [(item.entry.set_name, item.verdict) for item in seen.hits] == [
        ("a", Verdict.MATCH),
        ("b", Verdict.POSSIBLE_MATCH),
    ]
    for item in seen.hits:
        entry = dataclasses.asdict(item.entry)
        assert {name for name, value in entry.items() if value} == {
            *("set_id", "set_name", "set_version", "domain", "mode", "status"),
        }
        rest = dataclasses.asdict(item)
        assert {name for name, value in rest.items() if value} == {"verdict", "entry"}


def test_how_near_something_was_changes_nothing_that_is_seen() -> None:
    """What a prober climbs along: two pictures that differ only in how near they are get the same answer."""
    near = report(hits=(dataclasses.replace(hit("a"), distance=1, chance=1e-30),), rule="digest_equal")
    far = report(hits=(dataclasses.replace(hit("a"), distance=31), hit("a", entry_id="e9")))
    with acting(DETECTS):
        assert purview.shown(near) == purview.shown(far)


def test_a_reason_for_not_looking_is_told_to_everybody() -> None:
    with acting(DETECTS):
        seen = purview.shown(report(verdict=Verdict.NOT_CHECKED, rule="picture_too_small", hits=(), receipt=b""))
    assert (seen.rule, seen.reduced) == ("picture_too_small", True)


def test_a_sealed_receipt_is_given_and_one_that_can_be_read_is_not() -> None:
    receipt = sealed(b"HMR1 in clear", KEY)
    with acting(DETECTS):
        assert purview.shown(report(receipt=receipt)).receipt == receipt
        assert purview.shown(report()).receipt == b""
        answer = purview.shown_answer(RescanAnswer("7.1", everything=False, checked=1, reports=(report(),)))
    assert [item.reduced for item in answer.reports] == [True]


def test_a_case_is_reduced_like_the_report_that_it_rests_on() -> None:
    with acting(DETECTS):
        seen = purview.shown_case(cases.case())
        finding = purview.shown_finding(Finding(cases.case(), 1, (Rejected(0, "matches", "no entry 'e1'"),)))
    assert seen.hashes == ()
    assert {match.list_name for match in seen.matches} == {match.list_name for match in cases.case().matches}
    assert {(match.entry_id, match.distance, match.algorithm) for match in seen.matches} == {("", 0, "")}
    assert finding.case == seen
    assert [item.reason for item in finding.skipped] == ["no opinion was recorded"]


def test_sets_that_are_not_the_callers_are_refused_whether_they_exist_or_not() -> None:
    with acting(DETECTS):
        assert purview.own_set("a") == "a"
        with pytest.raises(PermissionDenied) as raised:
            purview.own_set("b")
        assert purview.own_status(STATUS).quarantined == ()
    assert raised.value.field == "set_name"
    assert purview.own_status(STATUS) == STATUS


class FakeCases:
    """Cases in the order of their ids."""

    def __init__(self, *made: Case) -> None:
        self.made = made
        self.outbox: Any = None

    def get(self, case_id: str) -> CaseFile:
        """Return the one of that id."""
        return CaseFile(next(case for case in self.made if case.case_id == case_id), (), (), ())

    def page(self, *, after: str = "", state: CaseState | None = None, domain: Any = None, most: int = 100) -> Any:
        """Return those after one, a few at a time, however many were asked for."""
        del state, domain
        return tuple(case for case in self.made if case.case_id > after)[: min(most, 3)]


def case(number: int, *lists: str) -> Case:
    (match, *_) = cases.case().matches
    matches = tuple(dataclasses.replace(match, list_name=name) for name in lists)
    return dataclasses.replace(cases.case(), case_id=f"c{number:03}", matches=matches)


async def test_a_case_that_rests_on_other_sets_is_not_found() -> None:
    kept = FakeCases(case(1, "a"), case(2, "a", "b"))
    assert await purview.own_case(kept, "c002") == "c002"
    with acting(DETECTS):
        assert await purview.own_case(kept, "c001") == "c001"
        with pytest.raises(CaseNotFound) as raised:
            await purview.own_case(kept, "c002")
    assert raised.value.message == "case_id: there is no case 'c002'"


@pytest.mark.parametrize("most", [1, 2, 4, 100])
def test_a_page_is_full_however_many_foreign_cases_lie_between(most: int) -> None:
    kept = FakeCases(*(case(number, "a" if number % 5 == 0 else "b") for number in range(1, 40)))
    wanted = [f"c{number:03}" for number in range(5, 40, 5)]
    with acting(DETECTS):
        page = purview.own_page(kept, after="", state=None, domain=None, most=most)
        rest = purview.own_page(kept, after=wanted[0], state=None, domain=None, most=most)
    assert [item.case_id for item in page] == wanted[:most]
    assert [item.case_id for item in rest] == wanted[1 : most + 1]
    assert len(purview.own_page(kept, after="", state=None, domain=None, most=2)) == 2


HANDLERS = ("reporting.py", "hashsets.py", "detection.py", "status.py")
UNHELD = re.compile(
    r"actor=request\.actor|self\._casework\.\w+,\s*request\.|self\._curator\.\w+\(\s*request\."
    r"|(?<!def )(?:case|file|finding|report)_to_proto\((?!shown)"
)
"""What a handler writes when it forgets to ask who calls."""


def unheld(source: str) -> list[str]:
    code = source.partition("class ")[2]
    return [found[0] for found in UNHELD.finditer(code)]


@pytest.mark.parametrize("name", HANDLERS)
def test_no_handler_forgets_to_ask_who_calls(name: str) -> None:
    source = (Path(hashmatch.service.__file__).parent / name).read_text(encoding="utf-8")
    found = [text for text in unheld(source) if not re.fullmatch(r"self\._casework\.open,\s*request\.", text)]
    assert found == []  # `open` takes a receipt, and holds what it says against the caller itself


def test_a_handler_that_forgets_is_seen() -> None:
    source = (
        "class X:\n  f(self._casework.get, request.case_id, actor=request.actor)\n  case_to_proto(case)\n"
        "  self._curator.get(request.name)\n  report_to_proto(report)\n  report_to_proto(shown(report))\n"
    )
    assert unheld(source) == [
        "self._casework.get, request.",
        "actor=request.actor",
        "case_to_proto(",
        "self._curator.get(request.",
        "report_to_proto(",
    ]


def test_local_callers_are_asked_nothing() -> None:
    assert LOCAL.sets is None
    assert LOCAL.may(Role.DETAIL)


def flipped(data: bytes, place: int) -> bytes:
    """Return bytes of which one is another one, whatever it was."""
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


def test_a_sealed_receipt_is_opened_by_its_service_and_tells_nothing_by_its_length() -> None:
    other = SigningKey.generate()
    for size in (1, 100, 4_091, 4_092, 4_093, 100_000, MAX_BYTES):
        receipt = b"HMR1" + bytes(size - 4) if size > 4 else bytes(size)
        made = sealed(receipt, KEY)
        assert unsealed(made, KEY) == receipt
        assert (len(made) - 40) & (len(made) - 41) == 0
        assert len(made) >= 4_096 + 40
    assert sealed(receipt, KEY) != sealed(receipt, KEY)
    assert unsealed(b"HMR1 as it is", KEY) == b"HMR1 as it is"
    assert sealed(b"", KEY) == b""
    made = sealed(b"HMR1", KEY)
    for broken in (made[:-1], made[:30], b"HMS1", flipped(made, 8), flipped(made, len(made) - 1)):
        with pytest.raises(BadReceipt, match="receipt: cannot be opened here"):
            unsealed(broken, KEY)
    with pytest.raises(BadReceipt, match="receipt: cannot be opened here"):
        unsealed(made, other)
    with pytest.raises(BadReceipt, match="bytes are too many"):
        unsealed(b"HMS1" + bytes(3 * MAX_BYTES), KEY)
