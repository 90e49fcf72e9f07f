"""What every test of the command line needs."""

from __future__ import annotations

import pytest

from hashmatch.config import ENV_NOT_SETTINGS


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start without hashmatch's variables."""
    for name in sorted(ENV_NOT_SETTINGS - {"HASHMATCH_EXTRA_DATA"}):
        monkeypatch.delenv(name, raising=False)
