"""The collector rests while code is loaded, and never looks at what was loaded again."""

from __future__ import annotations

import gc
import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.loading import loading

MODULE = "loaded_in_a_test"


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have a module that nobody has loaded, and leave neither it nor a collector that rests."""
    (tmp_path / f"{MODULE}.py").write_text("MADE = [[number] for number in range(1_000)]\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop(MODULE, None)
    gc.enable()


def test_the_collector_rests_only_while_the_block_runs() -> None:
    assert gc.isenabled()
    with loading():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_what_was_loaded_is_never_looked_at_again() -> None:
    before = gc.get_freeze_count()
    with loading():
        made = importlib.import_module(MODULE).MADE
    assert gc.get_freeze_count() > before + len(made)
    assert not {id(item) for item in gc.get_objects()} & {id(item) for item in made}


def test_a_block_that_found_everything_loaded_keeps_nothing() -> None:
    made = importlib.import_module(MODULE).MADE
    with loading():
        importlib.import_module(MODULE)
    assert {id(item) for item in gc.get_objects()} >= {id(item) for item in made}


def test_an_import_that_fails_leaves_the_collector_on() -> None:
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), loading():
        importlib.import_module("no_such_module")
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    with loading():
        pass
    assert not gc.isenabled()
