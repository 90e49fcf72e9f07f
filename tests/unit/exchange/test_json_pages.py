"""Pages of ThreatExchange, StopNCII and Tech Against Terrorism: entries, tombstones, opinions, and facts."""

from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import records
from hashmatch.exchange.pages import Broken
from hashmatch.exchange.records import Records
from hashmatch.exchange.stopncii import StopNciiPage
from hashmatch.exchange.tat import TatPage
from hashmatch.exchange.threatexchange import ThreatExchangePage
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

PDQ, MD5 = "c3d4" * 16, "a1" * 16
DAY = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
AT = 1_735_689_600
"""The same in seconds."""


def stream(tree: object) -> io.BytesIO:
    return io.BytesIO(json.dumps(tree).encode())


def only(page: Any) -> Entry:
    (row,) = page
    assert isinstance(row, Entry)
    return row


# --- ThreatExchange ----------------------------------------------------------------------------------------------


def update(*statuses: str, **more: object) -> dict[str, object]:
    descriptors = [
        {
            "id": f"1{number}",
            "owner": {"id": f"{number}"},
            "status": status,
            "tags": {"data": [{"text": f"tag{number % 2}"}]},
            "added_on": "2025-01-01T00:00:00+0000",
        }
        for number, status in enumerate(statuses)
    ]
    return {
        "id": "7",
        "indicator": PDQ,
        "type": "HASH_PDQ",
        "last_updated": AT,
        "should_delete": False,
        "descriptors": {"data": descriptors},
        **more,
    }


def test_an_indicator_becomes_an_entry_with_an_opinion_per_owner() -> None:
    page = ThreatExchangePage(stream({"data": [update("MALICIOUS", "UNKNOWN", "MALICIOUS")]}))
    assert only(page) == Entry(
        "7",
        (EntryHash("pdq", bytes.fromhex(PDQ)),),
        (Label("threatexchange", "", "tag0"), Label("threatexchange", "", "tag1")),
        Provenance("ThreatExchange", "2025-01-01T00:00:00Z", external_id="HASH_PDQ/7"),
        opinions=(
            Opinion("ThreatExchange app 0", Stance.AGREE, "", DAY),
            Opinion("ThreatExchange app 2", Stance.AGREE, "", DAY),
        ),
    )
    assert (page.after, page.last_updated) == ("", AT)


@pytest.mark.parametrize(
    ("statuses", "status", "reason"),
    [
        ((), EntryStatus.ACTIVE, ""),
        (("MALICIOUS", "SUSPICIOUS"), EntryStatus.ACTIVE, ""),
        (("MALICIOUS", "NON_MALICIOUS"), EntryStatus.DISPUTED, "malicious: 1, non-malicious: 1"),
        (("NON_MALICIOUS",), EntryStatus.DISPUTED, "malicious: 0, non-malicious: 1"),
        (("SUSPICIOUS", "UNKNOWN"), EntryStatus.DISPUTED, "malicious: 0, suspicious: 1"),
    ],
)
def test_an_entry_is_disputed_by_whoever_says_that_it_is_harmless(
    statuses: tuple[str, ...], status: EntryStatus, reason: str
) -> None:
    entry = only(ThreatExchangePage(stream({"data": [update(*statuses)]})))
    assert (entry.status, entry.status_reason) == (status, reason)


def test_an_indicator_that_should_be_deleted_is_a_tombstone_whatever_it_was() -> None:
    entry = only(ThreatExchangePage(stream({"data": [update(type="URI", should_delete=True)]})))
    assert (entry.entry_id, entry.hashes, entry.status) == ("7", (), EntryStatus.WITHDRAWN)


@pytest.mark.parametrize(
    ("paging", "after"),
    [
        ({}, ""),
        ({"cursors": {"after": "c1"}}, ""),
        ({"cursors": {"after": "c1"}, "next": "https://example.org/?access_token=t&after=c2"}, "c1"),
        ({"next": "https://example.org/?access_token=t&after=c2"}, "c2"),
        ({"next": "https://[/"}, ""),
        ([], ""),
    ],
)
def test_the_next_page_is_known_by_its_cursor(paging: object, after: str) -> None:
    page = ThreatExchangePage(stream({"data": [], "paging": paging}))
    assert list(page) == []
    assert page.after == after


# --- StopNCII ----------------------------------------------------------------------------------------------------


def record(status: str = "Active", kind: str = "ImagePDQ", value: str = PDQ, **more: object) -> dict[str, object]:
    return {"lastModtimestamp": AT, "signalType": kind, "hashValue": value, "hashStatus": status, **more}


def test_a_record_becomes_an_entry_known_by_type_and_value_without_the_numbers_of_cases() -> None:
    feedback = [
        {"source": "One", "feedbackValue": "NotBlocked", "tags": []},
        {"source": "One", "feedbackValue": "Blocked", "tags": ["b", "a", 1]},
        {"source": "Two", "feedbackValue": "NotBlocked"},
        {"source": "Three", "feedbackValue": "PendingReview"},
        {"source": "Four", "feedbackValue": "Blocked"},
        {"source": "Four", "feedbackValue": "Withdrawn"},
        {"feedbackValue": "Blocked"},
    ]
    page = StopNciiPage(
        stream({"hashRecords": [record(value=PDQ.upper(), caseNumbers={"C-1": "Active"}, CSPFeedbacks=feedback)]})
    )
    entry = only(page)
    assert entry == Entry(
        f"ImagePDQ:{PDQ}",
        (EntryHash("pdq", bytes.fromhex(PDQ)),),
        (),
        Provenance("StopNCII", "2025-01-01T00:00:00Z", external_id=f"ImagePDQ:{PDQ}"),
        opinions=(Opinion("One", Stance.AGREE, "a; b"), Opinion("Two", Stance.DISAGREE)),
    )
    assert "C-1" not in repr(entry)


@pytest.mark.parametrize("status", ["Withdrawn", "Deleted"])
def test_what_the_status_takes_back_is_a_tombstone(status: str) -> None:
    entry = only(StopNciiPage(stream({"hashRecords": [record(status)]})))
    assert (entry.entry_id, entry.hashes, entry.status) == (f"ImagePDQ:{PDQ}", (), EntryStatus.WITHDRAWN)
    assert entry.status_reason == f"{status.lower()} at the source, 2025-01-01T00:00:00Z"


def test_types_that_are_not_installed_are_named_once_per_page() -> None:
    rows = list(StopNciiPage(stream({"hashRecords": [record(kind="VideoTMK"), record(kind="VideoTMK"), record()]})))
    assert [type(row) for row in rows] == [Rejected, Entry]


def test_a_page_of_stopncii_says_how_it_goes_on() -> None:
    page = StopNciiPage(
        stream({"hashRecords": [], "nextPageToken": "t", "nextSetTimestamp": AT, "hasMoreRecords": True})
    )
    assert list(page) == []
    assert (page.next_token, page.next_timestamp, page.has_more) == ("t", AT, True)
    page = StopNciiPage(stream({"hashRecords": [], "nextPageToken": None, "nextSetTimestamp": "x"}))
    assert list(page) == []
    assert (page.next_token, page.next_timestamp, page.has_more) == ("", 0, False)


# --- Tech Against Terrorism --------------------------------------------------------------------------------------


def result(**more: object) -> dict[str, object]:
    facts = {"hash_digest": MD5, "algorithm": "MD5", "ideology": "far-right", "file_type": "jpg", "deleted": False}
    return {**facts, "updated_on": float(AT), "created_on": "2024-01-01T00:00:00Z", "id": 5, **more}


def test_a_result_becomes_an_entry_or_a_tombstone() -> None:
    page = TatPage(stream({"results": [result()], "checkpoint": "1735689600,5", "next": "https://example.org/"}))
    assert only(page) == Entry(
        "5",
        (EntryHash("md5", bytes.fromhex(MD5)),),
        (Label("tat-ideology", "", "far-right"), Label("tat-file-type", "", "jpg")),
        Provenance("Tech Against Terrorism", "2025-01-01T00:00:00Z", external_id="5"),
    )
    assert (page.checkpoint, page.has_more) == ("1735689600,5", True)
    gone = only(TatPage(stream({"results": [result(deleted=True, hash_digest="")]})))
    assert (gone.entry_id, gone.hashes, gone.status) == ("5", (), EntryStatus.WITHDRAWN)


# --- documents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [(b"", "not JSON"), (b"[1]", "no JSON object"), (b"<a/>", "not JSON"), (b"\xff\xfe", "not JSON")],
)
def test_what_is_no_object_is_refused_at_once(text: bytes, message: str) -> None:
    with pytest.raises(BadFile, match=message):
        Records(io.BytesIO(text), "data", "a page")


@pytest.mark.parametrize(
    ("text", "message", "before"),
    [
        ('{"data": [1, 2, ', "breaks off after 2 records", 2),
        ('{"data": [1], "x": tru', "breaks off after 1 records", 1),
        ('{"data": {}}', "no array 'data'", 0),
        ("{}", "no array 'data'", 0),
        ('{"data": [1]} {}', "breaks off after 1 records", 1),
        ('{"data": [1, ' + "[" * 40 + "]" * 40 + "]}", "deeper than 32", 1),
        ('{"data": [1, [' + "1," * 20_001 + "1]]}", "more than 20000 parts", 1),
        ('{"data": [1], ' + ",".join(f'"{key}": 1' for key in range(1_001)) + "}", "more than 1000 keys", 1),
        ('{"data": [1, "' + "x" * (records.MAX_TOKEN_BYTES + 70_000) + '"]}', "bytes without a value", 1),
        ('{"data": [1, 1' + "0" * 400 + "]}", "after 1 records: parse error: integer overflow$", 1),
    ],
)
def test_a_document_that_breaks_keeps_the_records_before(text: str, message: str, before: int) -> None:
    found: list[object] = []
    document = Records(io.BytesIO(text.encode()), "data", "a page")
    with pytest.raises(Broken, match=message):
        found.extend(document)
    assert len(found) <= before


def test_a_byte_order_mark_is_dropped_and_what_stands_beside_the_array_is_kept() -> None:
    document = Records(io.BytesIO(b'\xef\xbb\xbf{"a": {"b": [1, 2.5]}, "data": [{}], "c": null}'), "data", "a page")
    assert list(document) == [{}]
    assert document.facts == {"a": {"b": [1, 2.5]}, "c": None}
