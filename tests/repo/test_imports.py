"""Who may know whom: the layers of pyproject.toml, and what they cannot say.

Theory of operation
-------------------
The import graph is built once. A contract here is a function from a graph to the sentences that it breaks, so that each
can be shown a graph with one import too many. The layers themselves are import-linter's: its command runs on this
repository and on a toy package with the same layers and one import that points up.

What this module deliberately does not do: it does not follow imports that a string makes (``importlib``), but for the
zygote's, which is added by hand.
"""

from __future__ import annotations

import copy
import itertools
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grimp
import pytest

from hashmatch.sandbox.zygote import DEFAULT_COMPUTE
from tests.repo import tree

Contract = Callable[[grimp.ImportGraph], Iterator[str]]

FILES = {"os", "io", "pathlib", "tempfile", "shutil", "mmap", "sqlite3", "logging"}
NETWORK = {"socket", "urllib", "http", "grpc"}
PROCESSES = {"subprocess", "multiprocessing", "threading", "asyncio", "ctypes"}
IMPURE = FILES | NETWORK | PROCESSES | {"time", "random", "PIL", "faiss", "numba"}
HASHING_OUTSIDE = frozenset(
    f"hashmatch.hashing.{name}" for name in ("algorithms", "digests", "conformance", "patterns")
)
"""What of ``hashmatch.hashing`` parses nothing: a table of names, hashlib, and pictures made of whole numbers."""
MAY_DECODE = frozenset({"hashmatch.sandbox.worker", "hashmatch.sandbox.zygote"})
MAY_PARSE = frozenset(f"hashmatch.hotline.pages.{name}" for name in ("css", "elements", "page", "page_worker")) | {
    "hashmatch.bench.urlcheck_crawl"
}
"""The inside of the process that reads strangers' pages; ``reading``, outside, is not among them. And the crawler that
the checker is measured against, a process of its own that reads the benchmark's pages only.
"""
MEASURES = (
    "hashmatch.bench",
    *(f"hashmatch.cli.bench{part}" for part in ("", "_detect", "_distances", "_hash", "_urlcheck")),
)
"""Makes its pictures itself or takes those of a folder that its user names, and sees no list but what it made up."""


def top(module: str) -> str:
    """First part of a module's name: the package that it was installed with."""
    return module.partition(".")[0]


def inside(module: str, package: str) -> bool:
    """Tell whether ``module`` is ``package`` or lies in it."""
    return module == package or module.startswith(f"{package}.")


def modules(graph: grimp.ImportGraph, package: str) -> list[str]:
    """Modules of ``package``, itself included.

    Raises
    ------
    LookupError
        There are none: a contract about a package that is gone would hold for ever.

    """
    found = sorted(module for module in graph.modules if inside(module, package))
    if not found:
        raise LookupError(f"{package} is not in the import graph; the contract about it needs its new name")
    return found


def kernels_know_only_arrays(graph: grimp.ImportGraph) -> Iterator[str]:
    """Kernels import numpy, numba with its compiler, each other, the standard library and the errors they raise."""
    allowed = {"numpy", "numba", "llvmlite", *sys.stdlib_module_names}
    for module in modules(graph, "hashmatch.kernels"):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            ours = inside(imported, "hashmatch.kernels") or imported in {"hashmatch.errors", "hashmatch"}
            if not ours and top(imported) not in allowed:
                yield f"{module} imports {imported}"


def client_is_light(graph: grimp.ImportGraph) -> Iterator[str]:
    """Let the SDK load no compiler, no index, no decoder and no database, however far one follows."""
    heavy = {"numba", "faiss", "PIL", "imagehash", "scipy", "sqlite3", "numpy"}
    for module in modules(graph, "hashmatch.client"):
        for imported in sorted(graph.find_upstream_modules(module)):
            if top(imported) in heavy:
                yield f"{module} reaches {imported}"


def only_the_sandbox_decodes(graph: grimp.ImportGraph) -> Iterator[str]:
    """Nothing reaches what parses a stranger's bytes but the processes that are confined."""
    outside = {"hashmatch.hashing", *HASHING_OUTSIDE}
    parsers = {module for module in modules(graph, "hashmatch.hashing") if module not in outside} | {"PIL"}
    for module in modules(graph, "hashmatch"):
        measures = any(inside(module, package) for package in MEASURES)
        if module not in parsers and module not in MAY_DECODE and not measures:
            for reached in sorted(graph.find_upstream_modules(module) & parsers):
                yield f"{module} reaches {reached}"


def only_the_page_worker_parses(graph: grimp.ImportGraph) -> Iterator[str]:
    """Nothing reaches the parsers of strangers' pages but the inside of the process that is confined."""
    for module in modules(graph, "hashmatch"):
        if module not in MAY_PARSE:
            for reached in sorted(graph.find_upstream_modules(module)):
                if top(reached) in {"selectolax", "tinycss2"}:
                    yield f"{module} reaches {reached}"


def policy_does_no_input_or_output(graph: grimp.ImportGraph) -> Iterator[str]:
    """Keep the policy a function of its arguments: nothing it loads, directly or not, can look elsewhere."""
    for module in modules(graph, "hashmatch.matching.policy"):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if top(imported) in IMPURE:
                yield f"{module} imports {imported}"
        for reached in sorted(graph.find_upstream_modules(module)):
            if top(reached) in {"grpc", "PIL", "faiss", "numba", "sqlite3", "socket", "subprocess"}:
                yield f"{module} reaches {reached}"


def engine_names_no_backend(graph: grimp.ImportGraph) -> Iterator[str]:
    """Let the engine take what it needs as arguments and name no implementation."""
    backends = ("hashmatch.sandbox", "hashmatch.index", "hashmatch.catalog", "hashmatch.exchange")
    for module in modules(graph, "hashmatch.matching"):
        for imported in sorted(graph.find_modules_directly_imported_by(module)):
            if any(inside(imported, backend) for backend in backends):
                yield f"{module} imports {imported}"


def decoding_processes_hold_no_secrets(graph: grimp.ImportGraph) -> Iterator[str]:
    """Keep sets, the catalog and the network away from what runs beside a stranger's picture."""
    forbidden = ("hashmatch.index", "hashmatch.catalog", "hashmatch.service", "hashmatch.client", "grpc", "sqlite3")
    for module in ("hashmatch.sandbox.worker", "hashmatch.sandbox.zygote", "hashmatch.hotline.pages.page_worker"):
        for name in modules(graph, module):
            for reached in sorted(graph.find_upstream_modules(name)):
                if any(inside(reached, package) for package in forbidden):
                    yield f"{name} reaches {reached}"


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    built = grimp.build_graph("hashmatch", include_external_packages=True, exclude_type_checking_imports=True)
    assert DEFAULT_COMPUTE in built.modules
    built.add_import(importer="hashmatch.sandbox.zygote", imported=DEFAULT_COMPUTE)
    return built


CONTRACTS: list[tuple[Contract, str, str, str]] = [
    (
        kernels_know_only_arrays,
        "hashmatch.kernels.pdq",
        "hashmatch.config",
        "hashmatch.kernels.pdq imports hashmatch.config",
    ),
    (kernels_know_only_arrays, "hashmatch.kernels.pdq", "PIL", "hashmatch.kernels.pdq imports PIL"),
    (client_is_light, "hashmatch.model", "numba", "hashmatch.client.aio reaches numba"),
    (client_is_light, "hashmatch.client.aio", "sqlite3", "hashmatch.client.aio reaches sqlite3"),
    (
        only_the_sandbox_decodes,
        "hashmatch.service.runtime",
        "hashmatch.hashing.compute",
        "hashmatch.service.runtime reaches hashmatch.hashing.compute",
    ),
    (
        only_the_sandbox_decodes,
        "hashmatch.sandbox.pool",
        "hashmatch.sandbox.zygote",
        "hashmatch.sandbox.pool reaches hashmatch.hashing.image",
    ),
    (only_the_sandbox_decodes, "hashmatch.cli.detect", "PIL", "hashmatch.cli.detect reaches PIL"),
    (
        only_the_page_worker_parses,
        "hashmatch.hotline.pages.reading",
        "hashmatch.hotline.pages.page_worker",
        "hashmatch.hotline.pages.reading reaches selectolax",
    ),
    (
        only_the_page_worker_parses,
        "hashmatch.hotline.pages.sniff",
        "tinycss2",
        "hashmatch.hotline.pages.sniff reaches tinycss2",
    ),
    (
        decoding_processes_hold_no_secrets,
        "hashmatch.hotline.pages.page",
        "hashmatch.catalog",
        "hashmatch.hotline.pages.page_worker reaches hashmatch.catalog",
    ),
    (policy_does_no_input_or_output, "hashmatch.matching.policy", "os", "hashmatch.matching.policy imports os"),
    (policy_does_no_input_or_output, "hashmatch.model", "sqlite3", "hashmatch.matching.policy reaches sqlite3"),
    (
        engine_names_no_backend,
        "hashmatch.matching.engine",
        "hashmatch.index.live",
        "hashmatch.matching.engine imports hashmatch.index.live",
    ),
    (
        decoding_processes_hold_no_secrets,
        "hashmatch.hashing.image",
        "hashmatch.catalog",
        "hashmatch.sandbox.zygote reaches hashmatch.catalog",
    ),
]


@pytest.mark.parametrize("contract", list(dict.fromkeys(row[0] for row in CONTRACTS)))
def test_the_contract_is_kept(contract: Contract, graph: grimp.ImportGraph) -> None:
    assert list(contract(graph)) == []


@pytest.mark.parametrize(("contract", "importer", "imported", "sentence"), CONTRACTS)
def test_one_import_too_many_is_seen(
    contract: Contract, importer: str, imported: str, sentence: str, graph: grimp.ImportGraph
) -> None:
    doctored = copy.deepcopy(graph)
    assert importer in doctored.modules
    if imported not in doctored.modules:
        doctored.add_module(imported)
    doctored.add_import(importer=importer, imported=imported)
    assert sentence in list(contract(doctored))


def test_a_contract_about_a_package_that_is_gone_is_refused() -> None:
    with pytest.raises(LookupError, match=r"hashmatch\.kernels is not in the import graph"):
        list(kernels_know_only_arrays(grimp.ImportGraph()))


def lint_imports(directory: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter's command on the package in ``directory``."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--config", "pyproject.toml"]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
    )


def test_imports_point_down() -> None:
    result = lint_imports(tree.ROOT)
    assert result.returncode == 0, result.stdout


def layered(contract: dict[str, Any]) -> Iterator[str]:
    """Every package that a contract about layers names."""
    (container,) = contract.get("containers", [""])
    for layer in contract["layers"]:
        yield from (f"{container}.{name.strip()}".removeprefix(".") for name in layer.split("|"))


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("hashmatch.model", "hashmatch.config"),
        ("hashmatch.sandbox", "hashmatch.catalog"),
        ("hashmatch.hotline.jobs", "hashmatch.hotline.checking"),
        ("hashmatch.hotline.outputs", "hashmatch.hotline.followup"),
    ],
    ids=["up", "sibling", "up in hotline", "sibling in hotline"],
)
def test_an_import_that_points_up_or_sideways_is_seen(importer: str, imported: str, tmp_path: Path) -> None:
    text = tree.read("pyproject.toml")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")
    for package in ("hashmatch", *itertools.chain.from_iterable(map(layered, contracts))):
        folder = tmp_path.joinpath(*package.split("."))
        folder.mkdir()
        (folder / "__init__.py").write_text(f"import {imported}\n" if package == importer else "")
    result = lint_imports(tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"{importer} is not allowed to import {imported}" in result.stdout
