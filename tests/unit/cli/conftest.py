"""What every test of the command line needs."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without hashmatch's variables."""
    for name in ("HASHMATCH_CONFIG", "HASHMATCH_DATA"):
        monkeypatch.delenv(name, raising=False)
