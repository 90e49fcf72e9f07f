"""``hashmatch bench import``: rows per second and peak memory of an import, beside SQLite's own.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench.imports`` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "form": "`two`: algorithm and value, ids are made of values; `four`: with quality and id",
        "rows": "rows of the list, each an entry",
        "seconds": "per system: wall time, median; `ours` is the whole command",
        "cpu_seconds": "per system: CPU time, median; more steady on a busy machine",
        "rows_per_second": "per system: by wall time",
        "peak_mb": "per system: most resident memory of the process",
        "ratio_to_ceiling": "time of `sqlite3 .import` by ours: 1 is as fast; null without `sqlite3`",
        "goals": "`what`, `goal`, `measured`, `met`",
        "skipped": "systems that were left out, with the reason",
        "machine": "processor, caches, memory, versions; `noise` before the run",
    }
)
"""Keys of one row of ``bench import --json``."""

MOST_ENTRIES = 100_000_000
"""About 50 GB of catalog."""


@click.command(
    "import",
    cls=Command,
    epilog=example("hashmatch bench import --entries 1000000", "hashmatch bench import --entries 10000 --json"),
)
@click.option("--entries", default="1000000", show_default=True, metavar="N,...", help="Rows of the lists.")
@click.option("--form", type=click.Choice(["two", "four", "both"]), default="both", show_default=True, help="Columns.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Imports of each kind.")
@click.option("--seed", type=int, default=1, show_default=True, help="What the values follow from.")
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR", help="Write IMPORT.md and import.json there."
)
@pass_options
def import_(  # noqa: PLR0917 - click passes options by name
    options: GlobalOptions, entries: str, form: str, rounds: int, seed: int, results: Path | None
) -> ExitCode:
    """Time the import of a generated list into SQLite beside `sqlite3 .import` of the same columns.

    What was imported is compared with what was written before a time counts; a difference ends the command with exit
    code 5. Room for about a kilobyte per entry is needed where temporary files go.
    """
    from hashmatch.bench import imports

    output = Output(options)
    forms = list(imports.FORMS) if form == "both" else [form]
    with output.progress() as progress:
        records = [
            imports.measure(name, rows, rounds, seed, progress) for rows in parse_entries(entries) for name in forms
        ]
    columns = ("form", "rows", "system", "rows/s", "seconds", "CPU s", "peak MB")
    with output.results(*columns) as shown:
        for record in records:
            if output.json:
                shown.add(record)
                continue
            for name, took in record["seconds"].items():
                rate, cpu, peak = (record[key][name] for key in ("rows_per_second", "cpu_seconds", "peak_mb"))
                shown.add(
                    {}, record["form"], record["rows"], name, f"{rate:,.0f}", f"{took:.2f}", f"{cpu:.2f}", f"{peak:.0f}"
                )
    for record in records:
        for name, reason in record["skipped"].items():
            output.remark(f"skipped {name}: {reason}")
        for goal in record["goals"]:
            said = "met" if goal["met"] else "missed"
            where = f"{record['form']}, {record['rows']} rows"
            output.remark(f"{where}: {goal['what']}: {goal['measured']:,.0f}, goal {goal['goal']:,}: {said}")
    if results is not None:
        results.mkdir(parents=True, exist_ok=True)
        (results / "IMPORT.md").write_text(imports.page(records), encoding="utf-8")
        (results / "import.json").write_text(imports.to_text(records), encoding="utf-8")
    return ExitCode.CLEAN


def parse_entries(text: str) -> list[int]:
    """Lengths of ``1000000,10000000``.

    Raises
    ------
    BadInput
        Something else is written.

    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdecimal() and 0 < int(part) <= MOST_ENTRIES for part in parts):
        raise BadInput(f"a number of entries is a whole number from 1 to {MOST_ENTRIES}, not {text!r}", field="entries")
    return [int(part) for part in parts]
