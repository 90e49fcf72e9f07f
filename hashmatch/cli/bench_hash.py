"""``hashmatch bench hash``: pictures per second, ours beside others', equality first.

Theory of operation
-------------------
A case is a size of generated pictures, or the photos of a folder; each is measured from pixels and from the bytes of
JPEG files. Every case and source is one row of JSON, and a few rows of the table for people.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode

if TYPE_CHECKING:
    from hashmatch.bench.hash_pictures import Sample

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "case": "size of the generated pictures, or `photos`",
        "source": "`pixels` (RGB, in memory) or `jpeg` (the bytes of a file)",
        "pictures": "how many took their turns",
        "us_per_image": "per system: median time per picture in microseconds, one thread",
        "interval_us": "per system: 95 % confidence interval of that median",
        "images_per_second": "per system: one second by that time, on one core",
        "ratio_vs": "per system: its time by the time of `ours`",
        "same_bits": "systems whose PDQ hashes and qualities were equal, checked before timing; the others compute "
        "something else",
        "most_bits": "of systems that promise to be near, `ours_screen`: most bits that a hash was off",
        "exact_share": "share of the pictures that the guard sent to the exact kernel",
        "stages_us": "parts of our own way, in microseconds",
        "cpu_share": "per system: CPU time by wall time; below 1 others wanted the core. `samples`: rounds measured",
        "goals": "of this row: `what`, `goal`, `measured`, `met` (null: a peer is missing)",
        "skipped": "peers that were left out, with the reason",
        "machine": "processor, caches, memory, versions; `noise` before the run",
    }
)
"""Keys of one row of ``bench hash --json``."""

SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
LEAST_SIDE, MOST_PIXELS = 65, 50_000_000
"""The C ceiling leaves out the reference's special case of 64 x 64; the decoder's default limit."""

Row = dict[str, Any]


@click.command(
    "hash",
    cls=Command,
    epilog=example(
        "hashmatch bench hash --sizes 512x512,1024x768 --json",
        "hashmatch bench hash --photos ~/Pictures --sizes '' --plot plots",
    ),
)
@click.option("--sizes", default="512x512,1024x768,4000x3000", show_default=True, metavar="WxH,...", help="In pixels.")
@click.option(
    "--photos",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="Also JPEG photos of your own, at most 24 or 60 megapixels, decoded without a sandbox.",
)
@click.option("--systems", metavar="A,B", help="Compare only these.")
@click.option("--rounds", type=click.IntRange(3, 1_000), default=15, show_default=True, help="Samples per system.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the generated pictures follow from.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="DIR", help="Write hashing.svg there.")
@pass_options
def hash_(  # noqa: PLR0917 - click passes options by name
    options: GlobalOptions,
    sizes: str,
    photos: Path | None,
    systems: str | None,
    rounds: int,
    seed: int,
    plot: Path | None,
) -> ExitCode:
    """Time PDQ from pixels and from JPEG files, ours and others', with equal bits checked first.

    Systems: ours, pdqhash, threatexchange, perception, imagehash, c_exact; those that are not installed are skipped
    with the reason. A system that promises PDQ and differs in one bit ends the command with exit code 5. The goals that
    hashing is held to are printed at the end.
    """
    from hashmatch.bench import hash_plots, hash_run
    from hashmatch.bench.timing import Effort

    output = Output(options)
    wanted = parse_sizes(sizes)
    families = None if systems is None else [name.strip() for name in systems.split(",")]
    with output.progress() as progress:
        rows = hash_run.run(cases(wanted, photos, seed), families, Effort(rounds=rounds, by_cpu=True), progress)
    if plot is not None:
        hash_plots.draw(rows, plot)
    _print(output, rows)
    return ExitCode.CLEAN


def parse_sizes(text: str) -> list[tuple[int, int]]:
    """Widths and heights of ``512x512,1024x768``; none for an empty text.

    Raises
    ------
    BadInput
        Something else is written, or a size that is not measured.

    """
    sizes: list[tuple[int, int]] = []
    for part in filter(None, map(str.strip, text.split(","))):
        match = SIZE.fullmatch(part)
        if match is None:
            raise BadInput(f"a size is written like 1024x768, not {part!r}", field="sizes")
        width, height = int(match[1]), int(match[2])
        if min(width, height) < LEAST_SIDE or width * height > MOST_PIXELS:
            raise BadInput(
                f"{part} is not measured; sides of at least {LEAST_SIDE} and at most {MOST_PIXELS:,} pixels are",
                field="sizes",
            )
        sizes.append((width, height))
    return sizes


def cases(sizes: Sequence[tuple[int, int]], photos: Path | None, seed: int) -> Iterator[tuple[str, list[Sample]]]:
    """Yield name and pictures of every case, made when its turn comes.

    Raises
    ------
    BadInput
        There is nothing to measure.

    """
    from hashmatch.bench import hash_pictures

    if not sizes and photos is None:
        raise BadInput("there is nothing to measure: give --sizes, --photos or both", field="sizes")
    if photos is not None:  # first: a folder without photos is said at once
        yield "photos", hash_pictures.from_folder(photos)
    for width, height in sizes:
        yield f"{width}x{height}", hash_pictures.generated(width, height, seed)


def _print(output: Output, rows: Sequence[Row]) -> None:
    """Print the rows with ``--json``, else a line per system, then stages, goals and what was skipped."""
    from hashmatch.bench.hash_run import bits

    with output.results("case", "from", "system", "us/image", "95 %", "by ours", "images/s", "bits") as results:
        for row in rows:
            if output.json:
                results.add(row)
            for name, took in () if output.json else row["us_per_image"].items():
                low, high = row["interval_us"][name]
                ratio = row["ratio_vs"].get(name)
                results.add(
                    {}, row["case"], row["source"], name, f"{took:.1f}", f"{low:.1f} to {high:.1f}",
                    "" if ratio is None else f"{ratio:.2f}", f"{row['images_per_second'][name]:,.0f}",
                    bits(row, name),
                )  # fmt: skip
    for row in () if output.json else rows:
        parts = ", ".join(f"{name} {took:.1f}" for name, took in row["stages_us"].items())
        output.remark(f"{row['case']} from {row['source']}, us: {parts}; exact kernel {100 * row['exact_share']:.0f} %")
    for row in rows:
        for goal in row["goals"]:
            state = {True: "met", False: "MISSED", None: "open"}[goal["met"]]
            measured = "not measured" if goal["measured"] is None else f"{goal['measured']:.2f}"
            output.remark(f"{state:6} {goal['what']}: {measured} ({goal['goal']})")
    for name, reason in rows[0]["skipped"].items():
        output.remark(f"skipped {name}: {reason}")
    noise = rows[0]["machine"]["noise"]
    if not noise["quiet"]:
        output.remark(
            f"the machine was not quiet (spread {100 * noise['spread']:.0f} %): read ratios rather than times"
        )
