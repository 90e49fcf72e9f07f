"""The catalog under test: every backend in turn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.catalog.store import Catalog
from tests.support.catalog import BACKENDS


@pytest.fixture(params=BACKENDS)
def catalog(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Catalog]:
    opened = BACKENDS[request.param](request, tmp_path)
    yield opened
    opened.close()
