"""``hashmatch bench urlcheck``: pages per second and memory of the URL checker, beside a plain crawler.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench.urlcheck`` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import ExitCode

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "web": "the site: `hosts`, `pages` of each, `images` of each page, `seed`",
        "rounds": "runs of each way",
        "concurrency": "fetches at a time, of every way; `host_concurrency`: from one host",
        "ways": "way → `pages`, `pages_per_s`, `images_per_s`, `seconds` of each round, `whole_s` with starting, "
        "`cpu_ms_per_page` by process, `allows_pages_per_s` by process (what its CPU time would leave room for), "
        "`cores_used`",
        "memory": "with `--memory`: addresses `listed` and `checked`, `seconds`, `mb` by process, `mb_per_10000` by "
        "process (growth, second half), `curve`; null without",
        "goals": "`what`, `goal`, `measured`, `met` (null: open), `beside`: what bears on it",
        "machine": "processor, caches, memory, versions; `noise` before and after the run",
    }
)
"""Keys of the one row of ``bench urlcheck --json``."""


@click.command(
    "urlcheck",
    cls=Command,
    epilog=example("hashmatch bench urlcheck", "hashmatch bench urlcheck --memory 100000 --results native_bench"),
)
@click.option("--hosts", type=click.IntRange(1, 1_000), default=50, show_default=True, help="Virtual hosts.")
@click.option("--pages", type=click.IntRange(1, 1_000), default=10, show_default=True, help="Pages of each host.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Runs of each way.")
@click.option(
    "--memory", "memory_urls", type=click.IntRange(0, 10_000_000), default=0, show_default=True, metavar="N",
    help="Then watch memory over so many addresses.",
)  # fmt: skip
@click.option(
    "--memory-limit", "memory_limit_s", type=click.FloatRange(1), default=600.0, show_default=True, metavar="S",
    help="Seconds after which that is interrupted.",
)  # fmt: skip
@click.option("--seed", type=int, default=1, show_default=True, help="What the pictures follow from.")
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR", help="Write HOTLINE.md, results/ and plots/ there."
)
@pass_options
def urlcheck(  # noqa: PLR0917 - click passes options by name
    options: GlobalOptions, hosts: int, pages: int, rounds: int, memory_urls: int, memory_limit_s: float, seed: int,
    results: Path | None,
) -> ExitCode:  # fmt: skip
    """Time the URL checker beside a plain crawler on a site on loopback, in turns.

    Each way is compared with what the site served before its time counts; a difference ends the command with exit
    code 5.
    """
    from hashmatch.bench import urlcheck as bench
    from hashmatch.bench import urlcheck_report as report

    output = Output(options)
    wanted = bench.Wanted(
        hosts, pages, rounds=rounds, seed=seed, memory_urls=memory_urls, memory_limit_s=memory_limit_s
    )
    with output.progress() as progress:
        record = bench.measure(wanted, progress)
    with output.results("way", "pages/s", "images/s", *(f"{part}, CPU ms per page" for part in report.PARTS)) as shown:
        if output.json:
            shown.add(record)
        else:
            for name, row in record["ways"].items():
                spent = (f"{row['cpu_ms_per_page'].get(part, 0):.2f}" for part in report.PARTS)
                shown.add({}, name, f"{row['pages_per_s']:.1f}", f"{row['images_per_s']:,.0f}", *spent)
    for goal in record["goals"]:
        output.remark(report.told(goal))
    if results is not None:
        (results / "results").mkdir(parents=True, exist_ok=True)
        report.draw(record, results / "plots")
        (results / "results" / report.RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        (results / report.PAGE).write_text(report.page(record), encoding="utf-8")
    return ExitCode.CLEAN
