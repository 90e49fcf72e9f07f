"""``hashmatch bench distances``: how near unrelated pictures come, and how wide the review band may therefore be.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "sources": "directory → photos that were listed; `skipped` are the others, with the reason",
        "alterations": "what was done to every photo before it was asked for",
        "classes": "`picture` and `guess`, kinds of views that share a bound → what follows",
        "kinds": "kind of view (`whole`: the picture itself) → `pairs` of hashes of unrelated photos, `mean` and "
        "`deviation` of their distances, `nearest`, `photo_pairs` (distance → pairs of photos within), `histogram`",
        "bands": "least quality of a hash → the same",
        "same_source": "the same for photos of one directory, which may be look-alikes",
        "recall": "alteration → edge of the review band → share of the photos that reach their original, views = full",
        "tails": "class → the bound: `threshold` in bits, `share` of the pairs within it, `decades_per_bit`",
        "quality": "least quality → how many times likelier than on average to be near a stranger, at most",
        "edges": "class → level of views → length of the list → edge in bits at `review_false_rate`, before any limit",
        "search": "`us_per_query` up to each edge, in a list of `entries` made-up codes",
        "seed": "what everything left to chance follows from; `side_px`: longest side of a photo",
        "machine": "processor, caches, memory, versions",
    }
)
"""Keys of the one row of ``bench distances --json``."""


@click.command(
    "distances",
    cls=Command,
    epilog=example(
        "hashmatch bench distances --photos ~/Pictures/2024 --photos ~/Pictures/scans --json",
        "hashmatch bench distances --photos A --photos B --plot plots --results distances.json",
    ),
)
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    multiple=True,
    required=True,
    metavar="DIR",
    help="Photos of your own, decoded without a sandbox; name at least two directories.",
)
@click.option("--limit", type=click.IntRange(1, 100_000), help="Photos of each directory at most (default: all).")
@click.option("--transforms", metavar="A,B", help="Alterations (default: thirteen of all kinds).")
@click.option(
    "--side", "side_px", type=click.IntRange(64, 8_000), default=640, show_default=True, help="Longest side in pixels."
)
@click.option("--entries", type=click.IntRange(1, 2**31), default=1_000_000, show_default=True, help="Codes to search.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Processes (default: one per core).")
@click.option("--seed", type=int, default=1, show_default=True, help="What everything random follows from.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="DIR", help="Write unrelated.svg and edge.svg there.")
@click.option("--results", type=click.Path(path_type=Path), metavar="FILE", help="Write the JSON there.")
@pass_options
def distances(options: GlobalOptions, /, plot: Path | None, results: Path | None, **asked: Any) -> ExitCode:
    """Measure how near the hashes of unrelated photos come to each other, and fit a bound to it.

    Photos of different directories are taken for unrelated, those of one directory are counted apart. The bound is
    what the policy chooses the review band by; the same run tells what wider bands find and cost.
    """
    from hashmatch.bench import distances_report

    output = Output(options)
    request = distances_report.Request(**asked)
    with output.progress() as progress:
        record = distances_report.run(request, progress)
    distances_report.write(record, plot=plot, path=results)
    with output.results("kind", "pairs", "mean", "deviation", "nearest") as shown:
        if output.json:
            shown.add(record)
        for cells in () if output.json else distances_report.rows(record):
            shown.add({}, *cells)
    for line in distances_report.remarks(record):
        output.remark(line)
    return ExitCode.CLEAN
