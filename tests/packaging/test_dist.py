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


@pytest.mark.parametrize(
    ("command", "variables", "message"),
    [
        (
            "hashset list",
            {"HASHMATCH_CATALOG_URL": "postgresql://hashmatch@127.0.0.1:1/hashmatch"},
            (
                "error: catalog.url names a PostgreSQL, which needs: pip install 'hashmatch[postgres]' "
                "(No module named 'psycopg')"
            ),
        ),
        (
            "serve --listen 127.0.0.1:0",
            {"HASHMATCH_SERVER_REFLECTION": "true"},
            (
                "error: server.reflection: grpcio-reflection is not installed; "
                "install hashmatch[reflection] or switch it off"
            ),
        ),
        (
            "urlcheck urls.txt",
            {},
            "error: checking URLs needs libraries that are not installed: pip install 'hashmatch[hotline]'",
        ),
        ("report stats --plot plots", {}, "error: plots need matplotlib: pip install 'hashmatch[plots]'"),
        (
            "bench search --entries 1000 --queries 10 --rounds 3 --systems ours --plot plots",
            {},
            "error: plots need matplotlib: pip install 'hashmatch[bench]'",
        ),
        ("bench detect", {}, "error: hpack is not installed: pip install 'hashmatch[bench]'"),
    ],
)
def test_what_is_missing_is_named_with_its_extra(
    installation: installed.Installation, command: str, variables: dict[str, str], message: str
) -> None:
    (installation.work / "urls.txt").write_text("https://example.org/\n", encoding="utf-8")
    made = installation.run("hashmatch", "hashset", "create", "empty", "--domain", "other")
    assert made.returncode == 0 or "empty" in made.stderr
    done = installation.run("hashmatch", *command.split(), **variables)
    assert done.stderr.splitlines()[-1] == message
    assert done.returncode == 2


def test_the_closure_of_requirements_follows_extras_and_markers() -> None:
    reached = installed.closure(["jsonschema[format-nongpl]"])
    assert {"jsonschema", "attrs", "webcolors"} <= reached
    assert "webcolors" not in installed.closure(["jsonschema"])
    assert installed.closure(["nowhere; python_version < '3'"]) == set()
    with pytest.raises(importlib.metadata.PackageNotFoundError, match="nowhere"):
        installed.closure(["nowhere"])
