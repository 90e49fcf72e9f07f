"""Hashes of real, benign pictures, for the distribution ``photos``.

Theory of operation
-------------------
The pictures lie in ``photos/`` of the directory that ``HASHMATCH_EXTRA_DATA`` names. Strangers' bytes or not, they are
decoded where hashmatch decodes everything: in the sandbox. Each gives its eight orientations.

What this module deliberately does not do: it keeps nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hashmatch.config import DecodeConfig, SandboxConfig
from hashmatch.index.columns import Bytes
from hashmatch.model import HashOptions
from hashmatch.progress import SILENT, Progress
from hashmatch.sandbox.pool import WorkerPool

VARIABLE = "HASHMATCH_EXTRA_DATA"
SUFFIXES = frozenset({".jpg", ".jpeg", ".png"})
LEAST_QUALITY = 50
"""PDQ's own advice for what is worth matching."""


def directory() -> Path | None:
    """Where the pictures are, if there are any."""
    named = os.environ.get(VARIABLE)
    where = Path(named) / "photos" if named else None
    return where if where is not None and where.is_dir() else None


def hashes(where: Path, progress: Progress = SILENT) -> Bytes:
    """Hash every picture below ``where``; uint8, shape (m, 32), without repetitions.

    Raises
    ------
    SandboxUnavailable
        No confined worker could be started.

    """
    return asyncio.run(_hashes(sorted(_pictures(where)), progress))


def _pictures(where: Path) -> Iterator[Path]:
    return (path for path in where.rglob("*") if path.suffix.lower() in SUFFIXES)


async def _hashes(paths: list[Path], progress: Progress) -> Bytes:
    options = HashOptions(frozenset({"pdq"}))
    rows: list[bytes] = []
    progress.start("hashing photos", len(paths), "photos")
    async with WorkerPool(DecodeConfig(), SandboxConfig()) as pool:
        for path in paths:
            picture = await pool.hash(path.read_bytes(), options)
            rows += [row.value for row in picture.hashes if (row.quality or 0) >= LEAST_QUALITY]
            progress.advance(1)
    progress.finish()
    return np.unique(np.frombuffer(b"".join(rows), dtype=np.uint8).reshape(len(rows), -1), axis=0)
