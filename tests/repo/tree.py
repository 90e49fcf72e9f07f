"""The files of the repository, as the checks in this directory see them.

What this module deliberately does not do: it judges nothing.
"""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

GENERATED = ("hashmatch/v1/", "hashmatch/client/sync.py", "hashmatch/client/sync_sets.py")
"""Written by a program (``make proto``, ``make client``) and compared with its output by a test."""


@functools.cache
def files(*suffixes: str) -> tuple[Path, ...]:
    """Paths, relative to the root, of every file that git knows or would add; all of them without ``suffixes``."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - whichever git there is
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\0")
    paths = (Path(name) for name in sorted(set(listed)) if name)
    return tuple(path for path in paths if (ROOT / path).is_file() and (not suffixes or path.suffix in suffixes))


def read(path: Path | str) -> str:
    """Return the text of a file of the repository."""
    return (ROOT / path).read_text(encoding="utf-8")


def written_by_hand(path: Path) -> bool:
    """Tell whether a person wrote the file."""
    return not path.as_posix().startswith(GENERATED)
