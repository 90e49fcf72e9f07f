"""Every system that is compared answers as the naive twin does, or says truly how much it misses."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path

import numpy as np
import pytest

from hashmatch.bench import ceiling, codes, usearch_systems
from hashmatch.bench.answers import Found, difference
from hashmatch.bench.column import Column
from hashmatch.bench.registry import FAMILIES
from hashmatch.bench.search import Bench, Comparison, compare
from hashmatch.bench.systems import ALL_AT_ONCE, Skipped, System, Task
from hashmatch.bench.timing import Effort
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.index.columns import Bytes

ENTRIES, RADIUS = 3_000, 20
TINY = Effort(rounds=3, round_s=0.0005)
needs_usearch = pytest.mark.skipif(importlib.util.find_spec("usearch") is None, reason="usearch is not installed")


def naive(rows: Bytes, queries: Bytes, radius: int) -> Found:
    distances = np.bitwise_count(queries[:, None] ^ rows[None]).sum(axis=2).astype(np.int64)
    query, row = np.nonzero(distances <= radius)
    return Found(query, row, distances[query, row])


def column(entries: int = ENTRIES, max_hits: int = 50, distribution: str = "uniform") -> Column:
    return Column(codes.entries_of(distribution, entries, 1), max_hits)


def asked(system: System, queries: Bytes, radius: int) -> Found:
    return system.found(system.ask(queries, radius), len(queries)).within(radius)


@pytest.fixture(scope="module")
def built() -> tuple[Column, dict[str, System]]:
    indexed = column()
    systems: dict[str, System] = {}
    for family in FAMILIES.values():
        try:
            systems |= {system.name: system for system in family(Task(indexed, RADIUS))}
        except Skipped:
            continue
    return indexed, systems


@pytest.mark.parametrize(
    "name", ["ours", "ours_loop", "ours_batch8", "ours_batch120", "faiss_flat", "faiss_multihash", "c_scan"]
)
def test_exact_systems_answer_as_the_naive_twin(name: str, built: tuple[Column, dict[str, System]]) -> None:
    indexed, systems = built
    if name not in systems:
        pytest.skip("there is no C compiler")
    queries = codes.queries_for(indexed.codes, 40, 3)
    truth = naive(indexed.codes, queries, RADIUS)
    assert len(truth) > 3
    assert systems[name].exact
    assert difference(truth, asked(systems[name], queries, RADIUS), indexed.max_hits, len(queries)) is None


@pytest.mark.parametrize("name", ["faiss_hash", "faiss_hnsw", "faiss_ivf", "usearch_exact", "usearch_hnsw"])
def test_approximate_systems_report_only_pairs_that_are_true(
    name: str, built: tuple[Column, dict[str, System]]
) -> None:
    indexed, systems = built
    if name not in systems:
        pytest.skip("usearch is not installed")
    queries = codes.queries_for(indexed.codes, 40, 3)
    truth = naive(indexed.codes, queries, RADIUS)
    found = asked(systems[name], queries, RADIUS)
    assert not systems[name].exact
    true = set(zip(truth.query.tolist(), truth.row.tolist(), truth.distance.tolist(), strict=True))
    given = set(zip(found.query.tolist(), found.row.tolist(), found.distance.tolist(), strict=True))
    assert given <= true
    assert len(given) >= len(true) / 2


@pytest.mark.parametrize("distribution", ["shared", "identical"])
def test_limited_systems_keep_the_nearest_and_say_that_there_was_more(distribution: str) -> None:
    crowd = column(2_500, max_hits=7, distribution=distribution)
    queries = codes.queries_for(crowd.codes, 6, 3)
    truth = naive(crowd.codes, queries, 31)
    for family in ("ours", "c_probe", "c_scan"):
        try:
            systems = FAMILIES[family](Task(crowd, 31))
        except Skipped as reason:
            assert "compiler" in str(reason) or "planned as a scan" in str(reason)  # noqa: PT017 - either is fine
            continue
        for system in systems:
            assert difference(truth, asked(system, queries, 31), 7, len(queries)) is None, system.name


def test_every_family_is_described_and_names_its_systems() -> None:
    for name, family in FAMILIES.items():
        assert (family.__doc__ or "").strip()
        try:
            systems = family(Task(column(), RADIUS))
        except Skipped:
            continue
        assert all(system.name.startswith(name) for system in systems)
        assert all(system.batch >= ALL_AT_ONCE for system in systems)


@needs_usearch
def test_long_lists_are_left_to_those_who_insist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usearch_systems, "HNSW_ENTRIES", 99)
    with pytest.raises(Skipped, match=r"for 100 entries takes minutes; name it in --systems to insist"):
        usearch_systems.hnsw(Task(column(100), RADIUS))
    assert usearch_systems.hnsw(Task(column(100), RADIUS, insist=True))[0].name == "usearch_hnsw"


def test_without_sources_or_compiler_the_ceiling_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Skipped, match="native_bench/ceiling is not here"):
        ceiling._compiled(tmp_path, tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(Skipped, match="there is no C compiler 'no-such-compiler'; install one or name it in CC"):
        ceiling._compiled(ceiling.SOURCES, tmp_path)


def test_what_the_compiler_said_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "build.sh"
    script.write_text("#!/bin/sh\necho 'no such instruction' >&2\nexit 1\n")
    script.chmod(0o755)
    monkeypatch.setenv("CC", "sh")
    with pytest.raises(Skipped, match="sh could not compile native_bench/ceiling: no such instruction"):
        ceiling._compiled(tmp_path, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_the_library_is_compiled_once(tmp_path: Path) -> None:
    try:
        first = ceiling._compiled(ceiling.SOURCES, tmp_path)
    except Skipped as reason:
        pytest.skip(str(reason))
    changed = first.stat().st_mtime_ns
    assert ceiling._compiled(ceiling.SOURCES, tmp_path) == first
    assert first.stat().st_mtime_ns == changed
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


@pytest.mark.parametrize("flags", ["-march=x86-64-v3", "-march=x86-64-v2"], ids=["AVX2", "portable"])
def test_the_ceiling_is_right_on_lesser_processors_too(
    flags: str, built: tuple[Column, dict[str, System]], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    indexed, systems = built
    if "c_probe" not in systems or platform.machine() != "x86_64":
        pytest.skip("there is no C compiler, or no x86-64 to compile for")
    monkeypatch.setenv("CEILING_CFLAGS", flags)
    library = ceiling._library.__wrapped__()
    assert library.ceiling_instructions().decode() == request.node.callspec.id
    monkeypatch.setattr(ceiling, "_library", lambda: library)
    queries = codes.queries_for(indexed.codes, 40, 3)
    truth = naive(indexed.codes, queries, RADIUS)
    for family in (ceiling.probe, ceiling.scan):
        for system in family(Task(indexed, RADIUS)):
            assert difference(truth, asked(system, queries, RADIUS), indexed.max_hits, 40) is None, system.name


def test_memory_bounds_are_figures_in_their_units() -> None:
    try:
        bounds = ceiling.memory_bounds(Task(column(20_000), 31))
    except Skipped as reason:
        pytest.skip(str(reason))
    assert bounds["stream_gb_per_s"] * bounds["scan_us"] == pytest.approx(20_000 * 32 / 1e3)
    assert bounds["latency_ns"] > 0
    assert bounds["lines"] > 16 * 10
    assert 0 < bounds["line_ns"] < 1e3 * bounds["probe_us"]


def test_a_comparison_reports_recall_time_and_ratio_of_every_system() -> None:
    outcome = compare(Comparison(ENTRIES, RADIUS, checked=50, families=("ours", "faiss_flat", "faiss_hash")), TINY)
    said = outcome.as_json()
    names = ["ours", "ours_loop", "ours_batch8", "ours_batch16", "ours_batch120", "faiss_flat", "faiss_hash"]
    for key in ("us_per_query", "interval_us", "recall", "ratio_vs", "cpu_share"):
        assert list(said[key]) == names  # type: ignore[call-overload]
    assert outcome.recalls["ours"] == outcome.recalls["faiss_flat"] == 1.0
    assert said["ratio_vs"]["ours"] == 1.0  # type: ignore[index]
    assert said["memory"]["codes"] == 32.0  # type: ignore[index]


def test_nothing_is_timed_when_an_exact_system_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(Comparison(ENTRIES, RADIUS, checked=50, families=("ours", "faiss_flat")))
    honest = bench.column._search.range
    monkeypatch.setattr(
        type(bench.column._search), "range", lambda _self, queries, _radius, rows, most: honest(queries, 3, rows, most)
    )
    with pytest.raises(IntegrityError, match=r"^ours at radius 20 over 3,000 entries: \d+ pairs instead of \d+$"):
        bench.run(RADIUS, TINY)


def test_an_unknown_system_is_answered_with_the_known_ones() -> None:
    with pytest.raises(BadInput, match=r"no such system: faster; there are ours, faiss_flat, faiss_multihash"):
        Bench(Comparison(10, families=("ours", "faster")))


def test_a_list_that_does_not_fit_is_refused_with_what_it_needs() -> None:
    with pytest.raises(BadInput, match=r"^10,000,000,000 entries need about 4000\.0 GB, \d+\.\d GB are available$"):
        Bench(Comparison(10_000_000_000))
