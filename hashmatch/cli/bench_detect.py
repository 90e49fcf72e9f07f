"""``hashmatch bench detect``: the service under load, beside its own pipeline and beside gRPC doing nothing.

What this module deliberately does not do: it measures nothing itself; ``hashmatch.bench.serving_run`` does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadConfig, ExitCode

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "entries": "values in the list",
        "processes": "that are asked for hashes; `seconds` and `rounds` of each measurement",
        "image_bytes": "mean size of the pictures",
        "start": "seconds from start to serving: `first_s`, `again_s`, and `processes_s` with all of `processes`; "
        "`importing_s` before that",
        "images": "closed loop: `service_per_s`, `pipeline_per_s` in process, `caller_cores`, and "
        "`percent_of_pipeline` on the cores that the caller left",
        "images_plain": "closed loop of a service that does what the peers do: one hash, the match distance",
        "echo": "closed loop of the same messages to a server that does nothing; `echo_small`: of empty ones",
        "unary": "closed loop of lookups of one hash; `batched`: of a thousand, with `hashes_per_s`; with the review "
        "band, and as `unary_plain` and `batched_plain` without it",
        "steady": "open loop at 70 % load: `rate_per_s`, `outcomes` → `calls`, `p50`, `p99`, `p99.9` in ms, "
        "`sender_late_p99_ms`, `stages_us`; `overload`: at twice the load, `refused_with_hint`",
        "goals": "`what`, `goal`, `measured`, `met` (null: open), `beside`",
        "machine": "processor, caches, memory, versions; `noise` before the run, `load_after` it",
    }
)
"""Keys of the one row of ``bench detect --json``."""


@click.command(
    "detect",
    cls=Command,
    epilog=example("hashmatch bench detect", "hashmatch bench detect --entries 100000 --processes 2 --json"),
)
@click.option(
    "--entries", type=click.IntRange(1, 10**8), default=1_000_000, show_default=True, help="Length of the list."
)
@click.option(
    "--processes", type=click.IntRange(0, 256), default=0, help="That are asked for hashes (default: one per core)."
)
@click.option("--seconds", type=click.FloatRange(0.2, 600), default=5.0, show_default=True, help="Of a measurement.")
@click.option("--rounds", type=click.IntRange(1, 100), default=3, show_default=True, help="Samples of each rate.")
@click.option("--seed", type=int, default=1, show_default=True, help="What list, pictures and arrivals follow from.")
@click.option(
    "--results", type=click.Path(path_type=Path), metavar="DIR", help="Write SERVING.md and results/serving.json there."
)
@pass_options
def detect(options: GlobalOptions, /, results: Path | None, **asked: Any) -> ExitCode:
    """Load a service with images and hashes, and time it from the moment at which each call was due.

    A list is made and imported first. The service's reports are compared with those of the same pipeline in process; a
    difference ends the command with exit code 5. Takes about three minutes.
    """
    try:
        from hashmatch.bench import serving_report, serving_run
    except ImportError as error:
        raise BadConfig(f"{error.name} is not installed: pip install 'hashmatch[bench]'") from error

    output = Output(options)
    with output.progress() as progress:
        record = serving_run.run(serving_run.Asked(**asked), progress)
    if results is not None:
        (results / "results").mkdir(parents=True, exist_ok=True)
        (results / "SERVING.md").write_text(serving_report.page(record), encoding="utf-8")
        text = json.dumps(record, indent=1) + "\n"
        (results / "results" / "serving.json").write_text(text, encoding="utf-8")
    with output.results("load", "outcome", "calls", "p50 ms", "p99 ms", "p99.9 ms") as shown:
        if output.json:
            shown.add(record)
        for name in () if output.json else serving_report.NAMES:
            for outcome, found in record[name]["outcomes"].items():
                cells = (f"{found[key]:,.1f}" for key in ("p50", "p99", "p99.9"))
                shown.add({}, serving_report.NAMES[name], outcome, found["calls"], *cells)
    for goal in record["goals"]:
        state = {True: "met", False: "MISSED", None: "open"}[goal["met"]]
        measured = "not measured" if goal["measured"] is None else f"{goal['measured']:,.1f}"
        beside = "".join(f", {name} {value:,.1f}" for name, value in goal["beside"].items())
        output.remark(f"{state:6} {goal['what']}: {measured} ({goal['goal']}{beside})")
    return ExitCode.CLEAN
