"""What became of a URL comes over the wire as it was."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.errors import BadInput
from hashmatch.model import MatchReport, Refusal, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Summary, TlsSeen, Via
from hashmatch.report import hotline
from hashmatch.v1 import hotline_pb2

texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
moments = st.datetimes(dt.datetime(1970, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001  the zone is given beside
counts = st.integers(0, 2**32 - 1)
several = st.lists(texts, max_size=3).map(tuple)
mappings = st.dictionaries(texts, texts, max_size=3)
tls = st.builds(TlsSeen, texts, texts, texts, texts, st.none() | moments, several, texts)
hops = st.builds(
    Hop,
    texts,
    texts,
    st.integers(0, 65_535),
    several,
    st.integers(0, 599),
    st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    st.none() | tls,
    st.booleans(),
    st.none() | moments,
    st.none() | moments,
)
fetched = st.builds(
    Fetched,
    st.lists(hops, max_size=3).map(tuple),
    st.none() | st.sampled_from(Outcome),
    texts,
    texts,
    wire_bytes=counts,
    ended_at=st.none() | moments,
    robots=texts,
)
places = st.builds(Place, texts, st.none() | counts, *[texts] * 5, mappings)
reports = st.builds(
    MatchReport, texts, st.sampled_from(Verdict), texts, texts, moments, st.none() | st.sampled_from(Refusal)
)
items = st.builds(
    Item,
    counts,
    texts,
    st.sampled_from(Via),
    st.sampled_from(Outcome),
    texts,
    texts,
    st.none() | fetched,
    counts,
    st.none() | reports,
    st.none() | places,
    texts,
)
submissions = st.builds(Submission, counts, texts, mappings)
summaries = st.builds(
    Summary,
    submissions,
    st.sampled_from(Outcome),
    texts,
    texts,
    st.none() | fetched,
    st.none() | places,
    st.dictionaries(st.sampled_from(Outcome), counts, max_size=3),
    st.none() | moments,
    st.none() | st.integers(1, 2**32 - 1),
)


@given(items)
def test_an_item_survives_the_wire(item: Item) -> None:
    message = hotline_pb2.UrlItem.FromString(hotline.item_to_proto(item).SerializeToString())
    assert hotline.item_from_proto(message) == item


@given(summaries)
def test_a_summary_survives_the_wire(summary: Summary) -> None:
    message = hotline_pb2.UrlSummary.FromString(hotline.summary_to_proto(summary).SerializeToString())
    assert hotline.summary_from_proto(message) == summary


@given(submissions)
def test_a_submission_survives_the_wire(submission: Submission) -> None:
    message = hotline_pb2.UrlSubmission.FromString(hotline.submission_to_proto(submission).SerializeToString())
    assert hotline.submission_from_proto(message) == submission


def test_a_body_does_not_cross() -> None:
    whole = Fetched((), content_type="image/png", body=b"\x89PNG and the rest")
    message = hotline.item_to_proto(Item(1, "https://a.example/", Via.IMG, Outcome.NO_MATCH, fetched=whole))
    assert b"PNG" not in message.SerializeToString()
    assert hotline.item_from_proto(message).fetched == Fetched((), content_type="image/png")


def test_an_outcome_of_a_newer_peer_is_refused_by_name() -> None:
    message = hotline_pb2.UrlItem(number=1, via=hotline_pb2.FOUND_VIA_IMG, outcome=hotline_pb2.UrlOutcome.ValueType(99))
    with pytest.raises(BadInput, match=r"outcome: 99 is not one of URL_OUTCOME_MATCH, URL_OUTCOME_POSSIBLE_MATCH"):
        hotline.item_from_proto(message)
