"""What is in the distributions, by rules over the tree, and that an installed wheel is the whole service."""

from __future__ import annotations

import importlib.metadata

import pytest

from hashmatch import __version__
from tests.packaging import installed
from tests.packaging.built import Distributions
from tests.repo import tree

METADATA_OF_THE_PROJECT = {"LICENSE", "README.md", "pyproject.toml"}


def in_the_package() -> set[str]:
    """Every file of the package that git knows: code, types, SQL, templates, tables."""
    return {path.as_posix() for path in tree.files() if path.parts[0] == "hashmatch"}


def test_the_wheel_is_the_package_and_nothing_else(distributions: Distributions) -> None:
    assert distributions.wheel_names == in_the_package()


def test_the_rule_has_something_to_find() -> None:
    kinds = {path.rpartition(".")[2] for path in in_the_package()}
    assert kinds == {"py", "pyi", "typed", "sql", "json", "csv", "toml", "html", "css", "js", "txt"}


def test_the_sdist_is_the_package_and_what_builds_it(distributions: Distributions) -> None:
    assert distributions.sdist_names == in_the_package() | METADATA_OF_THE_PROJECT


def test_the_sdist_builds_the_same_wheel_byte_by_byte(distributions: Distributions) -> None:
    assert distributions.wheel.name == f"hashmatch-{__version__}-py3-none-any.whl"
    assert distributions.wheel_of_sdist.read_bytes() == distributions.wheel.read_bytes()


def test_an_installed_wheel_hashes_serves_and_detects(installation: installed.Installation) -> None:
    installed.exercise(installation)


def test_nothing_else_is_installed_than_what_the_wheel_asks_for(installation: installed.Installation) -> None:
    for name in ("psycopg", "selectolax", "matplotlib", "grpc_reflection", "pytest"):
        done = installation.run("python", "-c", f"import {name}")
        assert f"No module named '{name}'" in done.stderr


def test_the_closure_of_requirements_follows_extras_and_markers() -> None:
    reached = installed.closure(["jsonschema[format-nongpl]"])
    assert {"jsonschema", "attrs", "webcolors"} <= reached
    assert "webcolors" not in installed.closure(["jsonschema"])
    assert installed.closure(["nowhere; python_version < '3'"]) == set()
    with pytest.raises(importlib.metadata.PackageNotFoundError, match="nowhere"):
        installed.closure(["nowhere"])
