"""What goes over the wire comes back as it was: every projection to protocol buffers has an exact inverse."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadInput
from hashmatch.model import (
    Digests,
    Entry,
    EntryHash,
    EntryRef,
    EntryStatus,
    Event,
    HarmDomain,
    HashSet,
    Hit,
    ImportResult,
    Label,
    MatchReport,
    MediaInfo,
    Opinion,
    Provenance,
    Refusal,
    Rejected,
    SetMode,
    Stance,
    Verdict,
)
from hashmatch.report import json as report_json
from hashmatch.report import opinions, proto
from hashmatch.v1 import hashset_pb2, types_pb2

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001  the zone is given beside
counts = st.integers(0, 2**32 - 1)
labels = st.lists(st.builds(Label, texts, texts, texts), max_size=3).map(tuple)
hashes = st.builds(EntryHash, texts, st.binary(max_size=64), st.none() | st.integers(0, 100), texts)
entries = st.builds(
    Entry,
    texts,
    st.lists(hashes, max_size=3).map(tuple),
    labels,
    st.builds(Provenance, texts, texts, texts, st.none() | moments, texts, texts),
    st.sampled_from(EntryStatus),
    texts,
    st.lists(st.builds(Opinion, texts, st.sampled_from(Stance), texts, st.none() | moments, texts), max_size=3).map(
        tuple
    ),
)
events = st.builds(Event, moments, texts, texts, texts, texts, counts, texts, texts, st.none() | moments)
sets = st.builds(
    HashSet,
    texts,
    texts,
    st.sampled_from(HarmDomain),
    texts,
    texts,
    texts,
    texts,
    texts,
    st.sampled_from(SetMode),
    counts,
    counts,
    counts,
    st.none() | moments,
    texts,
    st.none() | moments,
)
refs = st.builds(
    EntryRef,
    texts,
    texts,
    counts,
    st.sampled_from(HarmDomain),
    st.sampled_from(SetMode),
    texts,
    st.sampled_from(EntryStatus),
    labels,
    texts,
    counts,
    counts,
)
chances = st.none() | st.floats(0, allow_infinity=False)
hits = st.builds(
    Hit, st.sampled_from(Verdict), texts, refs, *[texts] * 2, *[counts] * 2, texts, counts, texts, chances, texts
)
reports = st.builds(
    MatchReport,
    texts,
    st.sampled_from(Verdict),
    texts,
    texts,
    moments,
    st.none() | st.sampled_from(Refusal),
    texts,
    st.lists(hits, max_size=3).map(tuple),
    st.booleans(),
    st.none() | st.builds(Digests, st.binary(max_size=16), st.binary(max_size=20), st.binary(max_size=32), counts),
    st.none() | st.builds(MediaInfo, texts, counts, counts, counts, counts, st.booleans()),
    st.none() | st.integers(0, 100),
    st.dictionaries(texts, counts, max_size=3),
    st.lists(hashes, max_size=2).map(tuple),
    st.binary(max_size=20),
)


@given(reports)
def test_report_survives_the_wire(report: MatchReport) -> None:
    message = types_pb2.MatchReport.FromString(proto.report_to_proto(report).SerializeToString())
    assert proto.report_from_proto(message) == report


@given(entries)
def test_entry_survives_the_wire(entry: Entry) -> None:
    assert proto.entry_from_proto(proto.entry_to_proto(entry)) == entry


@given(events)
def test_event_survives_the_wire(event: Event) -> None:
    assert opinions.event_from_proto(opinions.event_to_proto(event)) == event


@given(sets)
def test_hash_set_survives_the_wire(item: HashSet) -> None:
    assert proto.hash_set_from_proto(proto.hash_set_to_proto(item)) == item


@given(sets, st.lists(st.builds(Rejected, counts, texts, texts), max_size=3).map(tuple))
def test_import_result_survives_the_wire(item: HashSet, rejections: tuple[Rejected, ...]) -> None:
    result = ImportResult(item, 1, 2, 3, len(rejections), rejections)
    assert proto.import_result_from_proto(proto.import_result_to_proto(result)) == result


@given(reports)
def test_every_report_is_json_with_the_same_keys(report: MatchReport) -> None:
    text = json.dumps(report_json.report_to_json(report))
    assert sorted(json.loads(text)) == [
        "created_at",
        "detail",
        "digests",
        "elapsed_us",
        "generation",
        "hashes",
        "hits",
        "media",
        "quality",
        "reason",
        "receipt",
        "request_id",
        "rule",
        "size_bytes",
        "truncated",
        "verdict",
    ]


def test_a_verdict_from_a_newer_service_is_refused_by_name() -> None:
    message = types_pb2.MatchReport(verdict=99)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=r"^verdict: 99 is not one of VERDICT_MATCH, VERDICT_POSSIBLE_MATCH, .*"):
        proto.report_from_proto(message)


def test_an_unspecified_domain_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"^harm_domain: 0 is not one of HARM_DOMAIN_CSAM, "):
        proto.domain_from_proto(0)


def test_times_are_rfc_3339_in_utc() -> None:
    summer = dt.datetime(2026, 7, 1, 14, 30, 0, 123_456, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert report_json.moment_to_json(summer) == "2026-07-01T12:30:00.123Z"


@pytest.mark.parametrize("seconds", [253_402_300_800, -62_135_596_801])
def test_a_time_outside_the_calendar_is_refused_by_field(seconds: int) -> None:
    entry = hashset_pb2.Entry(entry_id="a")
    entry.provenance.received_at.seconds = seconds
    with pytest.raises(BadInput, match="received_at: no time of the years 1 to 9999") as caught:
        proto.entry_from_proto(entry)
    assert caught.value.field == "received_at"


@pytest.mark.parametrize("number", [0, 9])
def test_an_opinion_without_a_stance_is_refused(number: int) -> None:
    entry = hashset_pb2.Entry(entry_id="a", opinions=[hashset_pb2.Opinion(who="o")])
    entry.opinions[0].stance = number  # type: ignore[assignment]
    with pytest.raises(BadInput, match=f"opinion.stance: {number} is not one of STANCE_AGREE, STANCE_DISAGREE"):
        proto.entry_from_proto(entry)
