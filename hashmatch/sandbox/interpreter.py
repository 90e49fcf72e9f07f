"""Start a fresh interpreter that gets nothing of ours but what it is handed.

Theory of operation
-------------------
A confined process begins as a new program, not as a fork: whatever this process holds (hash sets, keys, other people's
requests) is not in its address space. It finds its modules where this process found them; ``-P`` keeps the working
directory from adding others. A session of its own keeps a terminal's Ctrl-C from reaching it before its owner has
finished.

What this module deliberately does not do: it confines nothing; the new process locks itself up.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PASSED_ENVIRONMENT = ("HOME", "LANG", "LD_LIBRARY_PATH", "XDG_CACHE_HOME")
"""What an interpreter needs to find its libraries; no setting of hashmatch, no secret, no proxy."""


def start(
    module: str,
    arguments: Sequence[str],
    descriptors: Sequence[int],
    *,
    keep: Sequence[str] = (),
    add: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Run ``python -m module`` with these arguments and open descriptors.

    Parameters
    ----------
    module : str
        Dotted name.
    arguments : sequence of str
        Of the command line; they can be read by everyone, so nothing secret is among them.
    descriptors : sequence of int
        Handed on; every other one is closed.
    keep : sequence of str, optional
        Environment variables that are passed on beside :data:`PASSED_ENVIRONMENT`.
    add : mapping, optional
        Environment variables that are set.

    Raises
    ------
    OSError
        The interpreter could not be executed.

    """
    environment = {name: os.environ[name] for name in (*PASSED_ENVIRONMENT, *keep) if name in os.environ}
    environment |= add or {}
    environment["PYTHONPATH"] = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd="/",
        pass_fds=tuple(descriptors),
        start_new_session=True,
    )
