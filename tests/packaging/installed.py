"""An installation of the wheel, and what everyone who installs it may expect of it.

Theory of operation
-------------------
:func:`borrowing` makes an environment that holds the wheel and the distributions that the wheel says it needs, and
theirs, without any extra: links to those of the environment that the tests run in. So nothing comes from a network, and
nothing that the wheel does not ask for is there to be imported by accident. Kernels that were compiled here for the
same bytes are taken along, because compiling them is not what is looked at. :mod:`tests.packaging.fresh` does it with
pip and an index instead; :func:`exercise` is the same for both.

What this module deliberately does not do: it builds nothing.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from tests.repo import tree
from tests.support import images

PATIENCE_S = 300
"""Ends a hang, and judges no speed."""


@dataclass(frozen=True)
class Installation:
    """An environment with hashmatch in it, and a directory to work in."""

    prefix: Path
    work: Path

    @property
    def environ(self) -> dict[str, str]:
        """Variables of a shell that knows of no checkout and no other data."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("HASHMATCH_", "PYTHON")) and name != "VIRTUAL_ENV"
        }
        data = {"HASHMATCH_DATA": str(self.work / "data"), "HASHMATCH_SANDBOX_WORKERS": "1"}
        patience = {"HASHMATCH_SANDBOX_DEADLINE_MS": "120000", "HASHMATCH_SANDBOX_QUEUE_MS": "600000"}
        return {**kept, **data, **patience}

    def run(self, program: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        return subprocess.run(
            [self.prefix / "bin" / program, *arguments], capture_output=True, text=True, cwd=self.work,
            env={**self.environ, **variables}, timeout=PATIENCE_S, check=False,
        )  # fmt: skip

    def rows(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Return what hashmatch prints as JSON; another exit code is a failure."""
        done = self.run("hashmatch", *arguments, "--json")
        assert done.returncode == code, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]


def exercise(installation: Installation) -> None:
    """Hash, import, serve and detect with nothing but what was installed."""
    where = installation.run("python", "-c", "import hashmatch; print(hashmatch.__file__)").stdout.strip()
    assert Path(where).is_relative_to(installation.prefix), where
    version = installation.run("hashmatch", "--version")
    assert (version.returncode, version.stdout.split()[-1]) == (0, importlib.metadata.version("hashmatch"))

    for seed, name in ((1, "known.png"), (2, "other.png")):
        (installation.work / name).write_bytes(images.encoded(images.photo(seed), "PNG"))
    hashed = installation.rows("hash", "known.png")
    assert {row["algorithm"] for row in hashed} >= {"pdq", "sha256"}
    lines = "".join(json.dumps(row) + "\n" for row in hashed)
    (installation.work / "list.jsonl").write_text(lines, encoding="utf-8")
    installation.rows("hashset", "import", "known", "list.jsonl", "--domain", "other", "--create")

    command = [str(installation.prefix / "bin" / "hashmatch"), "serve", "--listen", "127.0.0.1:0", "--json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=installation.work,
        env=installation.environ,
    ) as service:  # fmt: skip
        try:
            assert service.stdout is not None
            said = service.stdout.readline()
            if not said:
                service.wait(PATIENCE_S)
                assert service.stderr is not None
                raise AssertionError(service.stderr.read())
            server = ("--server", json.loads(said)["address"])
            found = installation.rows("detect", "known.png", "other.png", *server, code=1)
        finally:
            service.terminate()
        assert service.wait(PATIENCE_S) == 0
    assert [(Path(row["path"]).name, row["verdict"]) for row in found] == [
        ("known.png", "match"),
        ("other.png", "no_match"),
    ]


def install(wheel: Path, prefix: Path) -> None:
    """Make an environment that holds the wheel and nothing else."""
    venv.create(prefix, with_pip=False, symlinks=True)
    options = ("--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-compile")
    python = ("--python", str(prefix / "bin" / "python"))
    subprocess.run([sys.executable, "-m", "pip", *python, "install", *options, str(wheel)], check=True)


def borrowing(wheel: Path, prefix: Path, work: Path) -> Installation:
    """Install the wheel beside links to what it requires."""
    install(wheel, prefix)
    packages = site_packages(prefix)
    required = next(packages.glob("hashmatch-*.dist-info")) / "METADATA"
    metadata = importlib.metadata.Distribution.at(required.parent)
    for distribution in sorted(closure(metadata.requires or ())):
        for source in top_level(distribution):
            target = packages / source.name
            if not target.is_symlink():
                target.symlink_to(source)
    _take_kernels(packages)
    work.mkdir()
    return Installation(prefix, work)


def site_packages(prefix: Path) -> Path:
    """Return where the environment's packages lie."""
    (packages,) = prefix.glob("lib/python*/site-packages")
    return packages


def closure(requirements: Iterable[str]) -> set[str]:
    """Names of the distributions that stand behind ``requirements``, as far as no extra is asked for.

    Raises
    ------
    importlib.metadata.PackageNotFoundError
        One of them is not installed here.

    """
    seen: set[tuple[str, str]] = set()
    waiting = set(_asked_for(requirements, ""))
    while waiting:
        name, extra = one = waiting.pop()
        seen.add(one)
        waiting |= set(_asked_for(importlib.metadata.requires(name) or (), extra)) - seen
    return {name for name, _ in seen}


def _asked_for(requirements: Iterable[str], extra: str) -> Iterator[tuple[str, str]]:
    """Distributions that are wanted here under ``extra``, each once for itself and once per extra of its own."""
    for requirement in map(Requirement, requirements):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield from ((requirement.name, each) for each in ("", *sorted(requirement.extras)))


def top_level(distribution: str) -> Iterator[Path]:
    """Files and directories that a distribution put into the environment, outermost ones only."""
    found = importlib.metadata.distribution(distribution)
    names = {file.parts[0] for file in found.files or () if file.parts[0] not in {"..", "__pycache__"}}
    for name in sorted(names):
        yield Path(str(found.locate_file(name)))


def _take_kernels(packages: Path) -> None:
    """Give the installed sources the times of equal ones here, and the kernels that were compiled from those."""
    for source in sorted((tree.ROOT / "hashmatch").rglob("*.py")):
        copy = packages / source.relative_to(tree.ROOT)
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            continue
        kernels = sorted((source.parent / "__pycache__").glob(f"{source.stem}.*.nb[ic]"))
        if kernels:
            times = source.stat()
            os.utime(copy, ns=(times.st_atime_ns, times.st_mtime_ns))
            (copy.parent / "__pycache__").mkdir(exist_ok=True)
        for kernel in kernels:
            shutil.copy2(kernel, copy.parent / "__pycache__" / kernel.name)
