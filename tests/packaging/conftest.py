"""One build and one installation for all tests of the distributions."""

from __future__ import annotations

import pytest

from tests.packaging import built, installed


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory) -> built.Distributions:
    """Return the wheel and the sdist of this checkout."""
    return built.build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def installation(
    distributions: built.Distributions, tmp_path_factory: pytest.TempPathFactory
) -> installed.Installation:
    """Return an environment with the wheel and what it requires, and no extra."""
    root = tmp_path_factory.mktemp("installation")
    return installed.borrowing(distributions.wheel, root / "prefix", root / "work")
