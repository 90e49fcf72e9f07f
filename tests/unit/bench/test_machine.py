"""The machine card tells what matters, and nothing about whose machine it is."""

from __future__ import annotations

import getpass
import json
import platform

import numpy as np
import pytest

from hashmatch.bench import machine
from hashmatch.bench.machine import QUIET_SPREAD, Noise


def test_the_card_is_json_and_names_processor_cores_memory_and_versions() -> None:
    card = json.loads(json.dumps(machine.card()))
    assert card["cpu"]
    assert card["cores"] >= 1
    assert card["memory_bytes"] > 1 << 28
    assert card["libraries"]["numpy"] == np.__version__
    assert card["python"] == platform.python_version()


def test_the_card_names_neither_host_nor_user() -> None:
    said = json.dumps(machine.card())
    for name in (platform.node(), getpass.getuser()):
        assert f'"{name}"' not in said


def test_noise_is_a_spread_and_a_load() -> None:
    said = machine.noise()
    assert said.spread >= 0
    assert said.load >= 0


@pytest.mark.parametrize(("spread", "quiet"), [(0.0, True), (QUIET_SPREAD, False), (1.0, False)])
def test_only_a_small_spread_is_quiet(spread: float, quiet: bool) -> None:  # noqa: FBT001 - a column of the table
    assert Noise(0.0, spread).quiet is quiet


def test_what_cannot_be_read_is_none_and_memory_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_text", lambda _path: None)
    assert machine.card()["huge_pages"] is None
    assert machine.card()["caches"] == [] or isinstance(machine.card()["caches"], list)
    assert machine.available_bytes() > 0
    assert machine.resident_bytes() == 0


def test_growth_is_only_told_of_lists_that_stand_out() -> None:
    assert machine.grown_bytes(0, 1_000) is None
    assert machine.grown_bytes(machine.resident_bytes() + (1 << 40), 5_000_000) == 5_000_000
