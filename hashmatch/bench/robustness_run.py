"""One robustness run from options to files: the trial, the hard negatives, the strangers, the cost, the goals.

What this module deliberately does not do: it measures nothing itself, and prints nothing.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hashmatch.bench import (
    machine,
    pictures,
    robustness_goals,
    robustness_negatives,
    robustness_report,
    robustness_strangers,
)
from hashmatch.bench.alterations import Alteration, chosen
from hashmatch.bench.robustness import Trial, look, photos_below
from hashmatch.bench.robustness import run as run_trial
from hashmatch.bench.robustness_upload import LEVELS
from hashmatch.bench.systems import Skipped
from hashmatch.errors import BadInput
from hashmatch.progress import SILENT, Progress

AUGLY = "augly"
QUICK_LEVELS = ("plain", "full")
TYPICAL = ("jpeg_50", "crop_5%", "noise_30", "phone_any")
"""Alterations that take about as long as the mean of all."""
PRODUCTS = "grocery_same_product"
COST_PHOTOS = 5


@dataclass(frozen=True, slots=True)
class Request:
    """What to run, as asked for on the command line; None for the default."""

    photos: tuple[Path, ...]
    limit: int = 16
    levels: str | None = None
    transforms: str = "quick"
    negatives: Path | None = None
    side_px: int = 640
    entries: int = 1_000_000
    jobs: int | None = None
    seed: int = 1
    strangers: int = 0
    strangers_file: Path | None = None


def forecast(trial: Trial, strangers: int) -> str:
    """Say how much there is to do and about how long it will take, from doing a little of it.

    Raises
    ------
    BadInput
        The first photo cannot be listed, and strangers are wanted.

    """
    sample = replace(trial, photos=trial.photos[:1], alterations=TYPICAL)
    for _ in range(2):  # the first time, things are loaded
        begin = time.perf_counter()
        look(0, sample)
        look_s = time.perf_counter() - begin
    files = len(trial.photos) * len(trial.alterations)
    all_s = files * look_s / len(TYPICAL)
    said = f"{len(trial.photos)} photos, {len(trial.alterations)} alterations, levels {', '.join(trial.levels)}"
    if strangers:
        few = robustness_strangers.known(trial.photos[:3], trial.side_px)
        all_s += strangers * robustness_strangers.seconds_each(few, trial.seed)
        said += f"; {strangers:,} strangers"
    return f"{said}: about {math.ceil(all_s / trial.jobs / 60)} min in {trial.jobs} processes, and some for the rest"


def run(request: Request, progress: Progress = SILENT, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run everything and return what ``bench robustness --json`` prints; ``say`` is first told how long it will take.

    Raises
    ------
    BadInput
        An option names nothing that exists.

    """
    noise = machine.noise()
    levels = _levels(request.levels)
    alterations, left_out = _alterations(request.transforms)
    trial = Trial(
        photos=photos_below(request.photos, request.limit),
        alterations=[row.name for row in alterations],
        levels=levels,
        seed=request.seed,
        side_px=request.side_px,
        entries=request.entries,
        jobs=request.jobs or len(os.sched_getaffinity(0)),
    )
    say(forecast(trial, request.strangers))
    outcome = run_trial(trial, progress)
    record = outcome.as_json()
    record["skipped"] |= left_out
    families = list(robustness_negatives.layouts(request.seed))
    where = request.negatives or _products()
    if where is None:
        record["skipped"][robustness_goals.PRODUCT] = f"no --negatives, and no {PRODUCTS} in {pictures.VARIABLE}"
    else:
        families += robustness_negatives.products(where, request.side_px)
    asked = [level for level in levels if level != robustness_goals.ENROLLED]  # which asks the same of another list
    record["hard_negatives"] = robustness_negatives.judge(families, asked, request.entries, progress)
    if request.strangers:
        record["strangers"] = _strangers(request, trial, progress)
    some = [path for name, path in trial.photos if name not in outcome.skipped][:COST_PHOTOS]
    record["cost"] = robustness_negatives.cost(some, asked, request.entries, request.seed)
    record["goals"] = [
        {"what": row.goal.what, "goal": row.goal.text(), "measured": row.measured, "met": row.met}
        for row in robustness_goals.check(record)
    ]
    record["machine"] = {
        **machine.card(),
        "noise": {"load": noise.load, "spread": noise.spread, "quiet": noise.quiet},
    }
    return record


def write(record: Mapping[str, Any], *, plot: Path | None, page: Path | None) -> None:
    """Write the plots into ``plot``, the page to ``page`` and the record beside the page; each unless None.

    Raises
    ------
    BadInput
        matplotlib is not installed, or a file cannot be written.

    """
    if plot is not None:
        from hashmatch.bench import robustness_plots

        robustness_plots.draw(record, plot)
    if page is not None:
        try:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            page.write_text(robustness_report.page(record), encoding="utf-8")
        except OSError as error:
            raise BadInput(f"cannot write {page}: {error.strerror}", field="results") from error


def _alterations(named: str) -> tuple[tuple[Alteration, ...], dict[str, str]]:
    """Alterations that were asked for; AugLy's are left out, with the reason, where it is not installed."""
    try:
        return chosen(named), {}
    except Skipped as reason:
        ours = [name for name in named.split(",") if not name.strip().startswith(AUGLY)]
        if not ours:
            raise BadInput(str(reason), field="transforms") from None
        return chosen(",".join(ours)), {AUGLY: str(reason)}


def _strangers(request: Request, trial: Trial, progress: Progress) -> dict[str, Any]:
    """Strangers are made of all photos, not just of the first few."""
    photographs = robustness_strangers.known(photos_below(request.photos), trial.side_px, progress)
    plan = robustness_strangers.Plan(request.strangers, trial.entries, trial.seed)
    file = request.strangers_file
    return robustness_strangers.run(photographs, plan, jobs=trial.jobs, file=file, progress=progress)


def _levels(named: str | None) -> tuple[str, ...]:
    if named is None:
        return QUICK_LEVELS
    if named == "all":
        return tuple(LEVELS)
    wanted = tuple(name.strip() for name in named.split(","))
    for name in wanted:
        if name not in LEVELS:
            raise BadInput(f"there is no level {name!r}; there are {', '.join(LEVELS)}", field="levels")
    return wanted


def _products() -> Path | None:
    where = pictures.directory()
    return where / PRODUCTS if where is not None and (where / PRODUCTS).is_dir() else None
