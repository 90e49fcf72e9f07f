"""``hashmatch bench urlcheck``: the URL checker beside a plain crawler, in one run; ``urlcheck_run`` measures.

What this module deliberately does not do: it writes no file outside of a temporary directory.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hashmatch.bench import machine
from hashmatch.bench.urlcheck_report import goals, way_record
from hashmatch.errors import BadInput
from hashmatch.progress import SILENT, Progress

_NEEDED = ("dns", "selectolax", "tinycss2")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: the size of the site, how often, and the list on which memory is watched (0: not at all)."""

    hosts: int = 50
    pages: int = 10
    images: int = 10
    rounds: int = 3
    seed: int = 1
    memory_urls: int = 0
    memory_limit_s: float = 600.0


def measure(wanted: Wanted, progress: Progress = SILENT) -> dict[str, Any]:
    """Run everything and return the record.

    Raises
    ------
    BadInput
        The extra ``hotline`` is not installed.
    IntegrityError
        A way did something else than the site offers.

    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise BadInput(f"this needs {', '.join(missing)}: pip install 'hashmatch[hotline]'", field="urlcheck")
    from hashmatch.bench import urlcheck_memory, urlcheck_run
    from hashmatch.bench.urlcheck_pages import Web

    before = machine.noise()
    web = Web(wanted.hosts, wanted.pages, wanted.images, seed=wanted.seed)
    politeness = urlcheck_run.Politeness()
    rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in urlcheck_run.WAYS}
    with tempfile.TemporaryDirectory() as place, urlcheck_run.serving(web, Path(place), progress) as site:
        urlcheck_run.prepare(site)
        progress.start("crawling and checking", wanted.rounds * len(rounds), "runs")
        for number in range(wanted.rounds):
            for way in urlcheck_run.WAYS if number % 2 == 0 else reversed(urlcheck_run.WAYS):
                rounds[way].append(asdict(urlcheck_run.measure(site, way, politeness)))
                progress.advance(1)
        progress.finish()
    memory = None
    if wanted.memory_urls:
        with tempfile.TemporaryDirectory() as place:
            memory = urlcheck_memory.run(wanted.memory_urls, wanted.memory_limit_s, Path(place), progress)
    cores = len(os.sched_getaffinity(0))
    pages = web.hosts * web.pages
    record: dict[str, Any] = {
        "web": asdict(web),
        "rounds": wanted.rounds,
        **asdict(politeness),
        "ways": {way: way_record(taken, pages, web.images, cores) for way, taken in rounds.items()},
        "memory": memory,
        "machine": dict(machine.card()) | {"noise": {"before": _noise(before), "after": _noise(machine.noise())}},
    }
    return record | {"goals": goals(record)}


def _noise(noise: machine.Noise) -> dict[str, Any]:
    return {"quiet": noise.quiet, "spread": noise.spread, "load": noise.load}
