"""Records written as plain values and read again: mappings and numbers beside what cases are made of."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from hashmatch.errors import BadInput
from hashmatch.model import HarmDomain, Hit, MatchReport, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Summary, Via
from hashmatch.report.plain import from_plain, to_plain
from tests.support.ports import entry_ref

AT = dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC)
HOP = Hop("https://example.org/a", "192.0.2.1", 443, ("cdn.example.org",), 200, (("Server", "x"),), started_at=AT)
FETCHED = Fetched((HOP,), content_type="image/png", wire_bytes=7, ended_at=AT)
HIT = Hit(Verdict.MATCH, "within_match_distance", entry_ref("e1"), "pdq", "pdq", 4, 31, "orig", chance=2.5e-21)
REPORT = MatchReport("r", Verdict.MATCH, "within_match_distance", "3.0", AT, hits=(HIT,), elapsed_us={"decode": 7})
ITEM = Item(7, "https://example.org/a", Via.IMG, Outcome.MATCH, fetched=FETCHED, report=REPORT,
            place=Place("192.0.2.1", 64500, sources={"asn": "table 2026-11"}))  # fmt: skip
SUMMARY = Summary(
    Submission(7, "hxxps://example[.]org/a", {"theme": "other"}), Outcome.MATCH, counts={Outcome.MATCH: 1}
)


def test_what_a_check_finds_is_read_as_it_was_written() -> None:
    assert from_plain(Item, json.loads(json.dumps(to_plain(ITEM)))) == ITEM
    assert from_plain(Summary, json.loads(json.dumps(to_plain(SUMMARY)))) == SUMMARY
    assert to_plain(SUMMARY)["counts"] == {"match": 1}


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "counts: expected an object"),
        ({"match": "1"}, "counts.match: expected a whole number, got str"),
    ],
)
def test_a_mapping_is_read_by_the_kinds_of_its_keys_and_values(counts: object, message: str) -> None:
    plain = {**to_plain(SUMMARY), "counts": counts}
    with pytest.raises(BadInput) as caught:
        from_plain(Summary, plain)
    assert caught.value.message == message


def test_a_key_that_is_no_word_is_refused() -> None:
    with pytest.raises(BadInput, match=r"^counts: expected one of match, possible_match, .*, got 'safe'$"):
        from_plain(Summary, {**to_plain(SUMMARY), "counts": {"safe": 1}})


@pytest.mark.parametrize(("chance", "kind"), [("0.5", "str"), (True, "bool")])
def test_a_number_is_neither_a_text_nor_true(chance: object, kind: str) -> None:
    plain = {**to_plain(HIT), "chance": chance}
    with pytest.raises(BadInput) as caught:
        from_plain(Hit, plain)
    assert caught.value.message == f"chance: expected a number, got {kind}"


def test_a_whole_number_will_do_for_a_number() -> None:
    assert from_plain(Hit, {**to_plain(HIT), "chance": 1}).chance == 1.0
    assert from_plain(Hit, to_plain(HIT)).entry.domain is HarmDomain.OTHER
