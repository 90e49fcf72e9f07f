"""What every test of the command line needs."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Start without hashmatch's variables, and put logging, which commands configure, back as it was."""
    for name in ("HASHMATCH_CONFIG", "HASHMATCH_DATA"):
        monkeypatch.delenv(name, raising=False)
    level, handlers = logging.root.level, list(logging.root.handlers)
    yield
    logging.root.setLevel(level)
    logging.root.handlers[:] = handlers
