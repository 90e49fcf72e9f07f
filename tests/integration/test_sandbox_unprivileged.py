"""The sandbox needs no privilege: the same confinement as user 65534, without a single capability."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOBODY = 65_534

IN_A_NAMESPACE_WHERE_THE_INTERPRETER_IS_READABLE = """
set -e
kept=$(mktemp -d)
mount --bind "$1" "$kept"
mount -t tmpfs -o mode=755 none "$2"
mkdir -p "$1"
mount --bind "$kept" "$1"
shift 2
exec "$@"
"""
"""Where the interpreter lies in a home directory that is closed to others, show it to them in a mount namespace of this
command's own: $1 is the interpreter's prefix, $2 the closed directory, the rest is the command."""


def closed_directory(path: Path) -> Path | None:
    """Return the first directory on the way to ``path`` that a stranger may not pass."""
    for directory in reversed([path, *path.parents]):
        if not directory.stat().st_mode & 0o001:
            return directory
    return None


def as_nobody(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    if os.getuid() == 0:
        command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *command]
        closed = closed_directory(Path(sys.base_prefix))
        if closed is not None:
            script = ["sh", "-c", IN_A_NAMESPACE_WHERE_THE_INTERPRETER_IS_READABLE, "sh", sys.base_prefix, str(closed)]
            command = ["unshare", "--mount", "--propagation", "private", *script, *command]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, timeout=300, check=False)


def test_confinement_holds_for_an_unprivileged_user() -> None:
    if closed_directory(ROOT) is not None or as_nobody("-c", "import hashmatch.sandbox.pool").returncode != 0:
        pytest.skip("this checkout and its interpreter cannot be read by another user, and namespaces are not allowed")
    done = as_nobody("-m", "tests.support.sandbox_nobody")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("uid") != 0
    assert found == {
        "confined": True,
        "memory": "EACCES",
        "open-read": "EACCES",
        "own-memory-file": "EACCES",
        "socket": "SIGSYS",
        "fork": "SIGSYS",
        "kill-parent": "SIGSYS",
        "unshare": "SIGSYS",
        "next": None,
        "memory of an unconfined worker": "allowed",
    }


def test_the_fetchers_confinement_holds_for_an_unprivileged_user() -> None:
    if closed_directory(ROOT) is not None or as_nobody("-c", "import hashmatch.hotline.web.fetching").returncode != 0:
        pytest.skip("this checkout and its interpreter cannot be read by another user, and namespaces are not allowed")
    done = as_nobody("-m", "tests.support.hotline.nobody")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.pop("uid") != 0
    assert found == {
        "confined": True,
        "fetched": "ok",
        **dict.fromkeys(("open", "connect", "listen", "bind", "execute"), "EACCES"),
        **dict.fromkeys(("mptcp", "unix", "fork", "kill-parent"), "killed by SIGSYS"),
    }
