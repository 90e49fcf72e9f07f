"""Whether the URL checker's memory is flat: a long list of small pages, and what every process holds meanwhile.

Theory of operation
-------------------
Each page is an address of its own, so that whatever is kept per address grows with the list; pictures are the hosts'
own, so that a page costs one request once they are known. The command runs as people run it, to its end or until the
time is over, when it is interrupted as Ctrl-C does. The slope is the least-squares line through the second half of the
samples, by when caches are full and libraries loaded.

What this module deliberately does not do: it takes no time; ``urlcheck_run`` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.bench import urlcheck_run
from hashmatch.bench.processes import Sample
from hashmatch.bench.urlcheck_pages import Web
from hashmatch.bench.urlcheck_run import Politeness
from hashmatch.progress import SILENT, Progress

HOSTS, IMAGES = 50, 3
MB = 1e6
_POINTS = 200
_PER = 10_000


def run(urls: int, limit_s: float, where: Path, progress: Progress = SILENT) -> dict[str, Any]:
    """Check so many addresses, for so long at most, and return what each process held.

    Raises
    ------
    IntegrityError
        The command ended in another way.

    """
    web = Web(hosts=HOSTS, pages=-(-urls // HOSTS), images=IMAGES, shared=True)
    with urlcheck_run.serving(web, where, progress) as site:
        urlcheck_run.prepare(site)
        site.count()
        watching = urlcheck_run.watched(site, "urlcheck", Politeness(), limit_s)
        count = site.count()
    samples = [one for one in watching.samples if count["first"] <= one.at <= count["last"]]
    return judged(samples, web.hosts * web.pages, count["distinct"] - web.pictures)


def judged(samples: Sequence[Sample], listed: int, checked: int) -> dict[str, Any]:
    """Return the record of a run: memory by process in MB, and by how much it grows.

    Parameters
    ----------
    samples
        While addresses were being fetched.
    listed, checked
        Addresses of the list, and those that were fetched.

    """
    times = np.array([sample.at - samples[0].at for sample in samples])
    per_s = checked / times[-1]
    half = len(samples) // 2
    roles = sorted({role for sample in samples for role in sample.resident})
    held = {role: np.array([sample.resident.get(role, 0) for sample in samples]) / MB for role in roles}
    grown = {role: _slope(times[half:], row[half:]) / per_s * _PER for role, row in held.items()}
    return {
        "listed": listed,
        "checked": checked,
        "seconds": float(times[-1]),
        "mb": {role: {"first": row[0], "middle": row[half], "last": row[-1]} for role, row in held.items()},
        "mb_per_10000": grown,
        "most_mb_per_10000": max(grown.values()),
        "curve": {
            "checked": (times[:: max(1, len(times) // _POINTS)] * per_s).round().tolist(),
            **{role: row[:: max(1, len(times) // _POINTS)].round(1).tolist() for role, row in held.items()},
        },
    }


def _slope(times: np.ndarray[Any, Any], row: np.ndarray[Any, Any]) -> float:
    return float(np.polyfit(times, row, 1)[0])
