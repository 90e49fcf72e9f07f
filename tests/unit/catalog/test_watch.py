"""A watch calls at each commit, of this process and of others, and not when somebody reads."""

from __future__ import annotations

import queue
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import HarmDomain

PATIENCE_S = 300

CREATE = """
import sys
from pathlib import Path
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.model import HarmDomain

with SqliteCatalog.open(Path(sys.argv[1])) as catalog:
    catalog.create_set("theirs", HarmDomain.OTHER)
"""


def test_commits_are_announced_whoever_makes_them(tmp_path: Path) -> None:
    path = tmp_path / "c"
    calls: queue.SimpleQueue[None] = queue.SimpleQueue()
    with SqliteCatalog.open(path) as catalog:
        watch = catalog.watch(lambda: calls.put(None))
        calls.get(timeout=PATIENCE_S)
        assert watch.announced
        assert repr(watch) == "<CommitWatch: looking>"
        catalog.create_set("ours", HarmDomain.OTHER)
        calls.get(timeout=PATIENCE_S)
        subprocess.run([sys.executable, "-c", CREATE, str(path)], check=True)
        calls.get(timeout=PATIENCE_S)
        assert {item.name for item in catalog.sets()} == {"ours", "theirs"}
        watch.close()
        watch.close()
        assert not watch.announced
        while not calls.empty():
            calls.get()
        catalog.create_set("late", HarmDomain.OTHER)
        with pytest.raises(queue.Empty):
            calls.get(block=False)
