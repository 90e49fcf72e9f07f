"""The load generator's arithmetic, the goals of serving, and the page."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hashmatch.bench import goals, serving_report
from hashmatch.bench.arrivals import OK, Timed, closed_loop, open_loop, poisson, summary
from hashmatch.bench.hash_run import goal_row
from hashmatch.bench.serving_goals import GOALS


def outcome(p50: float, p99: float) -> dict[str, float]:
    """Return the figures of one outcome."""
    return {"calls": 10, "p50": p50, "p99": p99, "p99.9": p99}


RESULTS: dict[str, Any] = {
    "start": {"first_s": 4.0, "again_s": 1.5, "importing_s": 9.0},
    "images": {"service_per_s": 408.0, "pipeline_per_s": 440.0, "caller_cores": 0.2, "percent_of_pipeline": 103.0},
    "images_plain": {"per_s": 816.0, "caller_cores": 0.3},
    "echo": {"per_s": 2_000.0, "caller_cores": 0.9},
    "echo_small": {"per_s": 6_000.0, "caller_cores": 0.9},
    "unary": {"per_s": 3_999.0, "caller_cores": 0.9},
    "unary_plain": {"per_s": 4_000.0, "caller_cores": 0.9},
    "batched": {"per_s": 59.0, "hashes_per_s": 59_000.0, "caller_cores": 0.4},
    "batched_plain": {"per_s": 60.0, "hashes_per_s": 60_000.0, "caller_cores": 0.4},
    "steady": {
        "rate_per_s": 280.0, "sender_late_p99_ms": 1.0, "outcomes": {OK: outcome(4.0, 12.5)},
        "stages_us": {"decode": 3_100.0, "total": 5_000.0}, "refused_with_hint": 0,
    },
    "overload": {
        "rate_per_s": 800.0, "sender_late_p99_ms": 1.0,
        "outcomes": {OK: outcome(400.0, 900.0), "RESOURCE_EXHAUSTED": outcome(2.0, 8.0)},
        "stages_us": {}, "refused_with_hint": 10,
    },
}  # fmt: skip


def test_arrivals_are_a_poisson_process_that_a_seed_repeats() -> None:
    due = poisson(100, 50, seed=7)
    assert due == poisson(100, 50, seed=7)
    assert due == sorted(due)
    assert len(due) == 5_000
    gaps = [after - before for before, after in zip([0.0, *due], due, strict=False)]
    assert sum(gaps) / len(gaps) == pytest.approx(0.01, rel=0.05)
    assert sum((gap - 0.01) ** 2 for gap in gaps) / len(gaps) == pytest.approx(0.0001, rel=0.15)  # variance = mean²


async def test_a_server_that_stalls_is_charged_for_every_call_that_came_meanwhile() -> None:
    released = asyncio.Event()
    began = 0

    async def stalled(number: int) -> str:
        nonlocal began
        began += 1
        if began == 20:
            released.set()
        await released.wait()
        return OK if number else "UNAVAILABLE"

    calls = await open_loop([number * 0.01 for number in range(20)], stalled)
    assert [call.outcome for call in calls] == ["UNAVAILABLE", *[OK] * 19]
    for number, call in enumerate(calls):  # from its own moment to that of the last, though all were answered together
        assert call.latency_s > 0.01 * (19 - number) - 1e-6


async def test_a_closed_loop_counts_answers_and_bears_no_refusal() -> None:
    async def answers(number: int) -> str:
        await asyncio.sleep(0)
        return OK if number < 1_000_000_000 else "no"

    rate = await closed_loop(3, 0.02, answers)
    assert rate.per_s > 0
    assert rate.seconds >= 0.02
    late = await closed_loop(3, 0.0, answers)
    assert round(late.per_s * late.seconds) == 3, "each asks once, however late it begins"
    with pytest.raises(RuntimeError, match="ended with UNAVAILABLE"):
        await closed_loop(1, 0.02, lambda _: asyncio.sleep(0, "UNAVAILABLE"))


def test_calls_are_put_into_figures_by_outcome() -> None:
    calls = [Timed(0.001 * number, 0.0005, OK) for number in range(1, 102)] + [Timed(0.5, 0.0005, "INTERNAL")]
    told: Any = summary(calls)
    assert told["calls"] == 102
    assert told["sender_late_p99_ms"] == pytest.approx(0.5)
    assert told["outcomes"][OK] == {
        "calls": 101, "p50": pytest.approx(51), "p99": pytest.approx(100), "p99.9": pytest.approx(100.9),
    }  # fmt: skip
    assert told["outcomes"]["INTERNAL"]["p50"] == pytest.approx(500)


def test_what_is_met_and_what_is_not() -> None:
    met = [checked.met for checked in goals.check(RESULTS, GOALS)]
    assert met == [True, True, True, True, False, True, False, False, True, True, True]
    assert {checked.met for checked in goals.check({}, GOALS)} == {None}


def test_the_page_says_what_was_missed_and_how_busy_the_machine_was() -> None:
    record = {
        **RESULTS,
        "entries": 1_000_000, "processes": 1, "image_bytes": 148_532, "load_after": 5.0,
        "goals": [goal_row(checked) for checked in goals.check(RESULTS, GOALS)],
        "machine": {"cpu": "a processor", "cores": 2, "python": "3.11",
                    "noise": {"load": 4.0, "spread": 0.5, "quiet": False}},
    }  # fmt: skip
    page = serving_report.page(record)
    assert "Load 4.0 before and 5.0 after" in page
    assert "the machine was not quiet" in page
    assert "| lookups of one hash per call, with the review band | ≥ 4000 per s | 3,999.0 | **missed** |" in page
    assert "| hashes in batches, within the match distance | 60,000 | 0.40 |" in page
    assert "| twice what it can do | 800 | RESOURCE_EXHAUSTED | 10 | 2.0 | 8.0 | 8.0 | 1.0 |" in page
    assert "Of 10 refusals 10 said when to come back." in page
    assert "| decode | 3.10 |" in page
