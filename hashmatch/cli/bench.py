"""``hashmatch bench``: measure this machine, hashmatch and its peers side by side.

Theory of operation
-------------------
One comparison per call: one list, one radius, every system that is installed. ``native_bench`` runs the whole series.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli import bench_detect, bench_distances, bench_hash, bench_import, bench_urlcheck
from hashmatch.cli.options import Command, GlobalOptions, Group, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.index.columns import Bytes
    from hashmatch.progress import Progress

SEARCH_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "entries": "codes in the list",
        "radius": "bits, inclusive",
        "bits": "length of a code",
        "distribution": "how the list was made, and `distribution_is` in words",
        "seed": "what list and queries follow from",
        "max_hits": "entries that `ours` and the C probe report per query at most",
        "hits_per_query": "entries within the radius, mean over the queries of the recall check",
        "us_per_query": "per system: median time per query in microseconds, one thread",
        "interval_us": "per system: 95 % confidence interval of that median",
        "recall": "per system: share of the entries within the radius that it found, checked before timing; "
        "`recall_queries` says on how many queries",
        "ratio_vs": "per system: its time by the time of `ours`",
        "bytes_per_entry": "per system: memory of the index with the codes; for peers, growth of the process",
        "build_s": "per system: seconds to build the index",
        "memory": "bytes per entry of each part of our index",
        "bounds": "what the memory allows: `scan_us` for reading all codes, `probe_us` for the probe's cache lines",
        "cpu_share": "per system: CPU time by wall time; below 1 others wanted the core. `samples`: rounds measured",
        "skipped": "systems that were left out, with the reason",
        "machine": "processor, caches, memory, versions; `noise` before the run",
    }
)
"""Keys of the one row of ``bench search --json``."""

ROBUSTNESS_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "photos": "originals that were listed; `skipped` are the others, with the reason",
        "seed": "what everything left to chance follows from",
        "side_px": "longest side of an original; larger photos were reduced first",
        "entries": "length of the list: the originals' exact hashes, and made-up codes",
        "match_distance": "bits, inclusive; likewise `review_distance`",
        "transforms": "alteration → `group` and `levels` → `n`, `recall`, `recall_review`, `refused`, "
        "`mean_distance` and `median_distance` of the nearest hash, `hashes_per_query`, and medians of `decode_ms`, "
        "`hash_ms` and `search_ms`",
        "foreign": "level → `queries`, `query_hashes`, `comparisons`, `false_matches`, `false_matches_review`, "
        "`nearest_foreign`, `nearest_pairs` (distance, photo, alteration, other photo), `histogram` of the distances",
        "strangers": "with `--strangers`: `queries`, `query_hashes`, `comparisons` with photos, `entries`, `photos`, "
        "`false_matches` and the first of them (`false`), `nearest_foreign`, `nearest` (distance, kind, number, "
        "photo), `kinds`, `histogram`",
        "hard_negatives": "kind → level → `pairs`, `matches`, `matches_review`, `nearest`, `nearest_pair`",
        "cost": "level → what an upload of 1024x768 pixels costs: `hashes`, `decode_ms`, `hash_ms`, `search_ms`, "
        "`search_review_ms`",
        "goals": "list of `what`, `goal`, `measured`, `met` (null: open)",
        "machine": "processor, caches, memory, versions; `noise` before the run",
    }
)
"""Keys of the one row of ``bench robustness --json``."""


@click.group(cls=Group, name="bench")
def bench() -> None:
    """Measure hashmatch beside its peers and the hardware's limits, on this machine."""


bench.add_command(bench_hash.hash_)
bench.add_command(bench_detect.detect)
bench.add_command(bench_distances.distances)
bench.add_command(bench_import.import_)
bench.add_command(bench_urlcheck.urlcheck)


@bench.command(
    "search",
    cls=Command,
    epilog=example(
        "hashmatch bench search --entries 1000000 --radius 31 --json",
        "hashmatch bench search --entries 100000 --systems ours,faiss_flat,faiss_hnsw --plot plots",
    ),
)
@click.option("--entries", type=click.IntRange(1, 2**31), default=1_000_000, show_default=True, help="Codes to search.")
@click.option("--radius", type=click.IntRange(0, 256), default=31, show_default=True, help="Bits, inclusive.")
@click.option("--distribution", default="uniform", show_default=True, metavar="NAME", help="How the list is made.")
@click.option("--systems", metavar="A,B", help="Compare only these, also where they take minutes to build.")
@click.option(
    "--queries",
    type=click.IntRange(1, 100_000),
    default=1_000,
    show_default=True,
    help="Queries that recall is checked on.",
)
@click.option("--rounds", type=click.IntRange(3, 1_000), default=25, show_default=True, help="Samples per system.")
@click.option("--seed", type=int, default=1, show_default=True, help="What list and queries follow from.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="DIR", help="Write systems.svg there.")
@pass_options
def search(  # noqa: PLR0917 - click passes options by name
    options: GlobalOptions,
    entries: int,
    radius: int,
    distribution: str,
    systems: str | None,
    queries: int,
    rounds: int,
    seed: int,
    plot: Path | None,
) -> ExitCode:
    """Time one exact search by Hamming distance, ours and others', with recall checked first.

    Distributions: uniform, correlated, photos (from the pictures in HASHMATCH_EXTRA_DATA), ball, shared, identical,
    zero. Systems: ours, faiss_flat, faiss_multihash, faiss_hash, faiss_hnsw, faiss_ivf, usearch_exact, usearch_hnsw,
    c_probe, c_scan; those that are not installed or would take minutes are skipped with the reason.
    """
    from hashmatch.bench import machine, plots
    from hashmatch.bench.registry import FAMILIES
    from hashmatch.bench.search import Comparison, compare
    from hashmatch.bench.timing import Effort

    output = Output(options)
    families = tuple(FAMILIES) if systems is None else tuple(name.strip() for name in systems.split(","))
    comparison = Comparison(entries, radius, distribution, seed, queries, families=families, insist=systems is not None)
    noise = machine.noise()
    with output.progress() as progress:
        pictures = _pictures(distribution, progress)
        outcome = compare(comparison, Effort(rounds=rounds), pictures=pictures, progress=progress)
    record = outcome.as_json() | {
        "machine": {**machine.card(), "noise": {"load": noise.load, "spread": noise.spread, "quiet": noise.quiet}}
    }
    if plot is not None:
        plots.bars(record, plot)
    _print(output, record)
    return ExitCode.CLEAN


@bench.command(
    "robustness",
    cls=Command,
    epilog=example(
        "hashmatch bench robustness --photos ~/Pictures",
        "hashmatch bench robustness --photos ~/Pictures --transforms all --levels all --strangers 100000 --plot plots",
    ),
)
@click.option("--photos", type=click.Path(path_type=Path, exists=True, file_okay=False), multiple=True, required=True,
              metavar="DIR", help="Photos of your own, decoded without a sandbox; repeatable, taken from each in "
              "turn.")  # fmt: skip
@click.option("--limit", type=click.IntRange(2, 100_000), default=16, show_default=True, help="Photos at most.")
@click.option("--levels", metavar="A,B", help="Views of an upload; all (default: plain,full).")
@click.option(
    "--transforms", default="quick", show_default=True, metavar="A,B", help="Alterations or groups; quick; all; augly."
)
@click.option("--negatives", type=click.Path(path_type=Path, exists=True, file_okay=False), metavar="DIR",
              help="A directory per product with photos that must not match each other (default: in "
              "HASHMATCH_EXTRA_DATA).")  # fmt: skip
@click.option(
    "--side", "side_px", type=click.IntRange(64, 8_000), default=640, show_default=True, help="Longest side in pixels."
)
@click.option("--entries", type=click.IntRange(0, 2**31), default=1_000_000, show_default=True, help="List's length.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes (default: one per core).")
@click.option("--strangers", type=click.IntRange(0, 10**7), default=0, show_default=True,
              help="Pictures that no list has, made for this, in a list of all photos.")  # fmt: skip
@click.option("--strangers-file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Keep what was seen of them there; a run that was stopped goes on.")  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="What everything random follows from.")
@click.option(
    "--plot", type=click.Path(path_type=Path), metavar="DIR", help="Write recall.svg and distances.svg there."
)
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="FILE", help="Write the page and FILE's .json there."
)
@pass_options
def robustness(options: GlobalOptions, /, plot: Path | None, results: Path | None, **asked: Any) -> ExitCode:
    """Alter photos as people do and count what is still found, and what else.

    The photos' exact hashes are the list. Every alteration of every photo is hashed as an upload with the views of
    each level and searched for. Hard negatives (other photos of a product, pages with the same layout) must not match,
    and strangers neither. Says first how long it will take; without further options, less than two minutes.
    """
    from hashmatch.bench import robustness_report, robustness_run

    output = Output(options)
    request = robustness_run.Request(**asked)
    with output.progress() as progress:
        record = robustness_run.run(request, progress, output.remark)
    robustness_run.write(record, plot=plot, page=results)
    with output.results("alteration", *(f"{level} %, review %" for level in record["foreign"])) as shown:
        if output.json:
            shown.add(record)
        for cells in () if output.json else robustness_report.recall_rows(record):
            shown.add({}, *cells)
    for line in robustness_report.remarks(record):
        output.remark(line)
    return ExitCode.CLEAN


def _pictures(distribution: str, progress: Progress) -> Bytes | None:
    """Hashes for the distribution ``photos``.

    Raises
    ------
    BadInput
        There are no photos.

    """
    if distribution != "photos":
        return None
    from hashmatch.bench import pictures

    where = pictures.directory()
    if where is None:
        raise BadInput(f"set {pictures.VARIABLE} to a directory with photos/, or use --distribution correlated")
    return pictures.hashes(where, progress)


def _print(output: Output, record: Mapping[str, Any]) -> None:
    """Print the record with ``--json``, else a row per system, and what was skipped."""
    with output.results("system", "us/query", "95 %", "by ours", "recall", "bytes/entry", "build s") as results:
        if output.json:
            results.add(record)
        for name, took in () if output.json else record["us_per_query"].items():
            low, high = record["interval_us"][name]
            results.add(
                {}, name, f"{took:.2f}", f"{low:.2f} to {high:.2f}", _shown(record["ratio_vs"].get(name)),
                f"{record['recall'][name]:.3f}", _shown(record["bytes_per_entry"].get(name)),
                _shown(record["build_s"].get(name)),
            )  # fmt: skip
    for name, reason in record["skipped"].items():
        output.remark(f"skipped {name}: {reason}")
    noise = record["machine"]["noise"]
    if not noise["quiet"]:
        output.remark(
            f"the machine was not quiet (spread {100 * noise['spread']:.0f} %): read ratios rather than times"
        )


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"
