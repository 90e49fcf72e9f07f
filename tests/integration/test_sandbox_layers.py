"""Each layer of the lockdown alone: what it stops, and that it is that layer which stops it."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hashmatch.sandbox import landlock

ROOT = Path(__file__).parents[2]
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


def run(layer: str, attack: str, cwd: Path, argument: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run one attack behind one layer; ``cwd`` is where a core file would land."""
    command = [sys.executable, "-m", "tests.support.sandbox_layers", layer, attack, argument]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, timeout=300, check=False)


def found(layer: str, attack: str, argument: str = "") -> str:
    """Say what the attack met: its own words, or the signal that ended it."""
    with tempfile.TemporaryDirectory() as scratch:
        done = run(layer, attack, Path(scratch), argument)
    return signal.Signals(-done.returncode).name if done.returncode < 0 else done.stdout.decode()


@pytest.mark.parametrize(
    ("layer", "attack", "expected"),
    [
        ("none", "open-read /etc/passwd", "allowed"),
        ("none", "socket", "allowed"),
        ("none", "allocate", "allowed"),
        ("landlock", "open-read /etc/passwd", "EACCES"),
        ("landlock", "listdir /", "EACCES"),
        ("landlock", "execve", "EACCES"),
        ("landlock", "memfd", "allowed"),
        ("limits", "open-read /etc/passwd", "EMFILE"),
        ("limits", "socket", "EMFILE"),
        ("limits", "allocate", "MemoryError"),
        ("limits", "mmap-exec", "allowed"),
        ("seccomp", "open-read /etc/passwd", "EACCES"),
        ("seccomp", "socket", "SIGSYS"),
        ("seccomp", "mmap-exec", "SIGSYS"),
        ("seccomp", "allocate", "allowed"),
    ],
)
def test_layer_alone(layer: str, attack: str, expected: str) -> None:
    name, _, argument = attack.partition(" ")
    assert found(layer, name, argument) == expected


@pytest.mark.skipif(landlock.abi() < 4, reason="Landlock knows networks from ABI 4 on (Linux 6.7)")
def test_landlock_alone_denies_networks() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert found("none", "connect", port) == "allowed"
        assert found("landlock", "connect", port) == "EACCES"


@pytest.mark.skipif(landlock.abi() < 6, reason="Landlock knows signals from ABI 6 on (Linux 6.12)")
def test_landlock_alone_denies_signals_to_others() -> None:
    assert found("none", "kill-parent") == "allowed"
    assert found("landlock", "kill-parent") == "EPERM"


@pytest.mark.skipif(
    CORE_PATTERN.read_text(encoding="utf-8").startswith(("|", "/")) or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
    reason="cores do not go to the working directory here",
)
@pytest.mark.parametrize(("layer", "dumps"), [("none", True), ("not-dumpable", False), ("all", False)])
def test_core_dumps(layer: str, dumps: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a column of the table
    assert run(layer, "segfault", cwd=tmp_path).returncode == -signal.SIGSEGV
    assert [path.name.startswith("core") for path in tmp_path.iterdir()] == [True] * dumps
