"""The wheel and the sdist, built from the files that git knows and nothing else that lies about.

What this module deliberately does not do: it fetches no build backend; the one of the development environment builds.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from tests.repo import tree

EPOCH = "1577836800"
"""A time that a zip member can have, so that equal sources make equal wheels."""


@dataclass(frozen=True)
class Distributions:
    """What a build left in its directory."""

    sdist: Path
    wheel: Path
    """Built from the checkout."""
    wheel_of_sdist: Path

    @property
    def wheel_names(self) -> set[str]:
        """Paths in the wheel, those of its metadata excepted."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name for name in archive.namelist() if ".dist-info/" not in name}

    @property
    def sdist_names(self) -> set[str]:
        """Paths of files in the sdist, below its one directory, setuptools' own notes excepted."""
        with tarfile.open(self.sdist) as archive:
            names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        return {name for name in names if ".egg-info/" not in name} - {"PKG-INFO", "setup.cfg"}


def build(scratch: Path) -> Distributions:
    """Build everything in ``scratch``, which must be there and empty."""
    source = scratch / "source"
    for path in tree.files():
        target = source / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(tree.ROOT / path, target)
    _run(source, "--sdist", "--wheel", "--outdir", str(scratch / "direct"))
    (sdist,) = (scratch / "direct").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(scratch / "unpacked", filter="data")
    (unpacked,) = (scratch / "unpacked").iterdir()
    _run(unpacked, "--wheel", "--outdir", str(scratch / "indirect"))
    (wheel,) = (scratch / "direct").glob("*.whl")
    return Distributions(sdist, wheel, scratch / "indirect" / wheel.name)


def _run(source: Path, *arguments: str) -> None:
    environ = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    command = [sys.executable, "-m", "build", "--no-isolation", *arguments, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
