"""Counting: what goes where, what beyond the limit of names, and that a copy stays as it was."""

from __future__ import annotations

import dataclasses

import pytest

from hashmatch.model import MatchReport, Verdict
from hashmatch.telemetry.tally import BOUNDS_US, OTHER, Histogram, Tally
from tests.support import cases


def found(set_name: str = "known", verdict: Verdict = Verdict.MATCH, **elapsed_us: int) -> MatchReport:
    """Return a report with two hits of one set."""
    report = cases.report(verdict=verdict)
    entry = dataclasses.replace(report.hits[0].entry, set_name=set_name)
    hit = dataclasses.replace(report.hits[0], entry=entry, verdict=verdict)
    return dataclasses.replace(report, hits=(hit, hit), elapsed_us=elapsed_us)


@pytest.mark.parametrize(
    ("took_us", "bucket"),
    [(0, 0), (100, 0), (101, 1), (250, 1), (10_000_000, len(BOUNDS_US) - 1), (10_000_001, len(BOUNDS_US))],
)
def test_bounds_are_inclusive(took_us: int, bucket: int) -> None:
    histogram = Histogram()
    histogram.observe(took_us)
    assert (histogram.counts.index(1), histogram.sum_us) == (bucket, took_us)


def test_an_image_is_counted_by_stage_verdict_and_set_once_however_many_hits() -> None:
    tally = Tally()
    tally.image(found(search=40, total=3_000))
    tally.image(found("another", Verdict.POSSIBLE_MATCH, total=3_000))
    counts = tally.copy()
    assert counts.verdicts == {("image", "match"): 1, ("image", "possible_match"): 1}
    assert counts.matches == {("known", "match"): 1, ("another", "possible_match"): 1}
    assert {key: sum(item.counts) for key, item in counts.stages.items()} == {
        ("image", "search"): 1,
        ("image", "total"): 2,
    }
    assert counts.stages["image", "total"].sum_us == 6_000


def test_a_batch_is_timed_as_one_and_answered_one_by_one() -> None:
    tally = Tally()
    assert tally.batch([found(search=40, total=50), found(search=60, total=70)]) == {"search": 100, "total": 120}
    counts = tally.copy()
    assert counts.verdicts == {("hashes", "match"): 2}
    assert (sum(counts.stages["hashes", "search"].counts), counts.stages["hashes", "search"].sum_us) == (1, 100)
    assert tally.traffic().stages == {}


def test_names_beyond_the_limit_are_others_and_known_ones_stay() -> None:
    tally = Tally(max_sets=2, max_callers=1)
    for name in ("a", "b", "c", "d", "a"):
        tally.image(found(name))
        tally.called("/s/M", "OK", name)
    tally.quarantined("e")
    tally.quarantined("b")
    tally.failed("/s/M", "QuotaExceeded", "z", quota=True)
    counts = tally.copy()
    assert counts.matches == {("a", "match"): 2, ("b", "match"): 1, (OTHER, "match"): 2}
    assert counts.callers == {("a", "OK"): 2, (OTHER, "OK"): 3}
    assert counts.quarantines == {(OTHER,): 1, ("b",): 1}
    assert counts.refused == {(OTHER,): 1}
    assert counts.errors == {("/s/M", "QuotaExceeded"): 1}


def test_no_names_at_all_can_be_asked_for() -> None:
    tally = Tally(max_sets=0)
    tally.image(found())
    assert tally.copy().matches == {(OTHER, "match"): 1}


def test_a_call_without_a_time_is_counted_and_not_timed() -> None:
    tally = Tally()
    tally.called("/s/Stream", "OK", "anna")
    tally.called("/s/M", "NOT_FOUND", "anna", 1_500)
    counts = tally.copy()
    assert counts.calls == {("/s/Stream", "OK"): 1, ("/s/M", "NOT_FOUND"): 1}
    assert list(counts.durations) == [("/s/M",)]


def test_a_copy_stays_as_it_was() -> None:
    tally = Tally()
    tally.image(found(total=1))
    tally.delivered("ncmec", "postponed")
    before = tally.copy()
    tally.image(found(total=1))
    tally.delivered("ncmec", "postponed")
    tally.checked("image", "gone")
    tally.item("DetectStream", "INTERNAL")
    assert (before.verdicts, before.deliveries) == ({("image", "match"): 1}, {("ncmec", "postponed"): 1})
    assert (sum(before.stages["image", "total"].counts), before.checked, before.items) == (1, {}, {})
    assert repr(tally) == "<Tally: 0 calls, 2 answers>"


def test_what_the_status_tells() -> None:
    tally = Tally()
    tally.called("/s/M", "OK", "anna", 7)
    tally.image(found(total=3_000))
    tally.batch([found(total=9)])
    traffic = tally.traffic()
    assert traffic.bounds_us == BOUNDS_US
    assert [(item.method, item.status, item.count) for item in traffic.calls] == [("/s/M", "OK", 1)]
    assert [(item.set_name, item.verdict, item.count) for item in traffic.matches] == [("known", "match", 2)]
    assert traffic.verdicts == {"match": 2}
    assert list(traffic.stages) == ["total"]
