"""Every import comes with the base or an extra, and every extra is needed."""

from __future__ import annotations

import ast
import functools
import importlib.metadata
import sys
import tomllib
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

from packaging.requirements import Requirement
from packaging.utils import NormalizedName, canonicalize_name

from tests.packaging import installed
from tests.repo import tree

PROJECT = tomllib.loads(tree.read("pyproject.toml"))["project"]
EXTRAS: Mapping[str, list[str]] = PROJECT["optional-dependencies"]
FOR_DEVELOPERS = frozenset({"dev", "deploy", "fuzz"})
"""Extras that no code of the package asks for: they hold what tests and checks need."""


def direct(requirements: Iterable[str]) -> set[NormalizedName]:
    """Names of the distributions that are asked for, those of our own extras excepted."""
    names = {Requirement(text).name for text in requirements} - {"hashmatch"}
    return {canonicalize_name(name) for name in names}


def imported(sources: Mapping[str, str]) -> dict[str, set[str]]:
    """Return, for every module from elsewhere that is imported, where: ``path`` of each source."""
    found: dict[str, set[str]] = {}
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            else:
                continue
            for name in names:
                if name.partition(".")[0] not in {*sys.stdlib_module_names, "hashmatch"}:
                    found.setdefault(name, set()).add(path)
    return found


@functools.cache
def files_of(distribution: str) -> list[str]:
    """Every file that a distribution installed."""
    return [file.as_posix() for file in importlib.metadata.files(distribution) or ()]


def distributions_of(module: str, providers: Mapping[str, list[str]]) -> set[NormalizedName]:
    """Name the distributions that may bring a module; of a namespace, those that hold the file."""
    parts = module.split(".")
    names = providers.get(parts[0], [])
    if len(names) > 1:
        stem = "/".join(parts[:2])
        names = [name for name in names if any(file.startswith(stem) for file in files_of(name))]
    return {canonicalize_name(name) for name in names}


def sources() -> dict[str, str]:
    """Every module of the package."""
    return {path.as_posix(): tree.read(path) for path in tree.files(".py") if path.parts[0] == "hashmatch"}


def undeclared(texts: Mapping[str, str], declared: AbstractSet[str]) -> dict[str, set[str]]:
    """Return imports that no requirement stands behind."""
    providers = importlib.metadata.packages_distributions()
    return {
        module: paths for module, paths in imported(texts).items() if not distributions_of(module, providers) & declared
    }


def test_every_import_comes_with_the_base_or_an_extra() -> None:
    offered = [text for name in sorted(EXTRAS.keys() - FOR_DEVELOPERS) for text in EXTRAS[name]]
    ours = [text for text in (*PROJECT["dependencies"], *offered) if Requirement(text).name != "hashmatch"]
    brought = {canonicalize_name(name) for name in installed.closure(ours)}
    assert undeclared(sources(), {*brought}) == {"unasync": {"hashmatch/client/generate.py"}}  # `make client`


def test_an_undeclared_import_is_seen() -> None:
    texts = {"hashmatch/x.py": "import pytest\nimport numpy.linalg\nfrom . import y\nimport os.path\n"}
    assert undeclared(texts, {"numpy"}) == {"pytest": {"hashmatch/x.py"}}


def unused(extras: Mapping[str, Iterable[str]], texts: Mapping[str, str]) -> set[str]:
    """Name the extras none of whose distributions is imported anywhere."""
    providers = importlib.metadata.packages_distributions()
    used = {name for module in imported(texts) for name in distributions_of(module, providers)}
    return {extra for extra, requirements in extras.items() if not direct(requirements) & used}


def test_no_extra_is_there_that_nothing_uses() -> None:
    offered = {name: requirements for name, requirements in EXTRAS.items() if name not in FOR_DEVELOPERS}
    assert unused(offered, sources()) == set()
    assert unused({"ray": ["ray>=2"]}, sources()) == {"ray"}
