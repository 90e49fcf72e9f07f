"""How much of everything, and where what was seen is written down."""

from __future__ import annotations

import datetime as dt
import fcntl
import json
import os
import platform
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.sizes import Sizes, sizes_for

RESULTS = "CHAOS_RESULTS"
"""Names the file; unset in ``make test``, which measures nothing."""

MINUTES = float(os.environ.get("CHAOS_MINUTES", "0"))
"""How long a run is to take; 0 is the short form."""

_seen: dict[str, dict[str, Any]] = {}


@pytest.fixture(scope="session")
def sizes() -> Sizes:
    """How much: by the minutes in CHAOS_MINUTES, the short form without it."""
    return sizes_for(MINUTES)


@pytest.fixture
def noted(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Write down what was seen: ``noted("kills", calls=..., wrong=0)``; the test's name goes with it."""

    def note(name: str, **figures: Any) -> None:
        _seen[name] = {"test": request.node.nodeid, "minutes": MINUTES, **figures}

    return note


@pytest.fixture(scope="session", autouse=True)
def results() -> Iterator[None]:
    """Add what was seen to the file when everything has run; several processes may share the scenarios."""
    yield
    if not (path := os.environ.get(RESULTS)):
        return
    cores = len(os.sched_getaffinity(0))
    run = {
        "when": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "machine": f"{cores} cores, Linux {platform.release()}, Python {platform.python_version()}",
    }
    with Path(path).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        before = json.loads(file.read() or '{"seen": {}}')["seen"]
        file.truncate(0)
        file.write(json.dumps({"run": run, "seen": before | _seen}, indent=1, sort_keys=True) + "\n")
