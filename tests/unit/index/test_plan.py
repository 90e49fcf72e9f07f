"""Planning a search: thresholds add up, probes are complete, and a scan is chosen where it is cheaper."""

from __future__ import annotations

import math

import pytest

from hashmatch.index import plan as planning
from hashmatch.index.plan import cost_ns, key_bits_for, plan, probe_count, thresholds_for


@pytest.mark.parametrize("chunks", [4, 16, 32, 72])
@pytest.mark.parametrize("radius", [0, 1, 3, 15, 16, 31, 40, 60, 100])
def test_thresholds_satisfy_the_lemma_and_are_even(chunks: int, radius: int) -> None:
    thresholds = thresholds_for(chunks, radius)
    assert sum(thresholds + 1) == radius + 1
    assert thresholds.max() - thresholds.min() <= 1
    assert thresholds.max() >= 0


def test_the_fields_radius_probes_every_chunk_within_one_bit() -> None:
    assert thresholds_for(16, 31).tolist() == [1] * 16
    assert thresholds_for(16, 50).tolist() == [2, 2, 2, 2, 2, 3, 2, 2, 2, 2, 3, 2, 2, 2, 2, 3]  # none beside another
    assert 16 * probe_count(16, 1) == 272


@pytest.mark.parametrize(
    ("rows", "bits"),
    [(0, 1), (1, 1), (31, 1), (64, 2), (65, 2), (4_096, 8), (100_000, 13), (1_000_000, 16), (10_000_000, 16)],
)
def test_keys_grow_with_the_column_up_to_a_whole_chunk(rows: int, bits: int) -> None:
    assert key_bits_for(rows) == bits


def test_probes_are_all_keys_within_the_threshold_in_order_of_their_bits() -> None:
    made = plan(256, 12, 1_000_000, 45)
    assert made is not None
    assert len(set(made.masks.tolist())) == len(made.masks) == probe_count(12, 2)
    for apart in range(3):
        block = made.masks[made.ends[apart] : made.ends[apart + 1]]
        assert len(block) == math.comb(12, apart)
        assert {int(mask).bit_count() for mask in block} == {apart}


def test_a_plan_for_radius_0_looks_up_one_key() -> None:
    made = plan(256, 12, 100_000, 0)
    assert made is not None
    assert made.masks.tolist() == [0]
    assert sorted(made.thresholds.tolist()) == [-1] * 15 + [0]


def test_a_scan_is_chosen_for_wide_radii_and_its_estimate_is_lower() -> None:
    assert plan(256, 12, 100_000, 31) is not None
    assert plan(256, 12, 100_000, 120) is None
    through_tables, by_scan = cost_ns(256, 12, 100_000, 90)
    assert through_tables > by_scan


def test_more_probes_than_allowed_are_not_planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning, "MAX_PROBES", 16)
    assert plan(256, 16, 12_345_678, 31) is None
