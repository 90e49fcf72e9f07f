"""``hashmatch serve`` as a process, with its zygote and workers, seen from outside through /proc."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

START_S = 300.0
"""Ends a hang; the first start on a machine compiles kernels."""

CONFIG = """
[server]
listen = "127.0.0.1:0"
health_poll_ms = 20
{server}
[sandbox]
workers = 2
deadline_ms = 300000
queue = 1000
queue_ms = 300000
start_timeout_ms = 300000
{sandbox}
[index]
{index}
[flood]
enabled = false
{more}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How to serve: lines of the configuration, of the environment, and the module to run as ``python -m``."""

    server: str = ""
    sandbox: str = ""
    index: str = ""
    more: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    module: str = "hashmatch"


@dataclass(frozen=True, slots=True)
class Served:
    """A service that runs, and what is known of it."""

    process: subprocess.Popen[bytes]
    target: str
    data_dir: Path
    log: Path

    @property
    def pid(self) -> int:
        """Process id of the service."""
        return self.process.pid

    def zygote(self) -> int:
        """Process id of the zygote."""
        (found,) = [pid for pid in children(self.pid) if b"hashmatch.sandbox.zygote" in _read(pid, "cmdline")]
        return found

    def workers(self) -> list[int]:
        """Process ids of the workers."""
        return children(self.zygote())

    def family(self) -> list[int]:
        """Service, zygote, workers."""
        return [self.pid, self.zygote(), *self.workers()]

    def logged(self) -> str:
        """Everything that it wrote to stderr."""
        return self.log.read_text(encoding="utf-8", errors="replace")


@contextlib.contextmanager
def served(folder: Path, setup: Setup = Setup(), data_dir: Path | None = None) -> Iterator[Served]:
    """Serve until the block ends; SIGTERM then has to end it with code 0, unless the block did."""
    folder.mkdir(exist_ok=True)
    config, log = folder / "hashmatch.toml", folder / "stderr"
    parts = {name: getattr(setup, name) for name in ("server", "sandbox", "index", "more")}
    config.write_text(CONFIG.format(**parts), encoding="utf-8")
    data_dir = data_dir or folder / "data"
    command = [sys.executable, "-m", setup.module, "--json", "serve", "--config", str(config), "--data", str(data_dir)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **setup.environment}
    with log.open("ab") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=environment)
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, log.read_text(encoding="utf-8")
        yield Served(process, json.loads(line)["address"], data_dir, log)
        if process.poll() is None:
            process.terminate()
            assert process.wait(START_S) == 0, log.read_text(encoding="utf-8")
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()


def children(pid: int) -> list[int]:
    """Living children of a process."""
    found = []
    for thread in _listed(Path(f"/proc/{pid}/task")):
        with contextlib.suppress(OSError):
            found += [int(word) for word in (thread / "children").read_text(encoding="ascii").split()]
    return [child for child in found if _read(child, "cmdline")]


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def status_kib(pid: int, name: str) -> int:
    """Return a field of /proc/PID/status that is in kB: VmRSS, VmHWM, VmSwap."""
    text = _read(pid, "status").decode("ascii", "replace")
    return int(text.partition(f"{name}:")[2].split()[0])


def written_bytes(pid: int) -> int:
    """Return what a process has had written to disks."""
    fields = dict(line.split(": ") for line in _read(pid, "io").decode("ascii").splitlines())
    return int(fields["write_bytes"])


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Send a signal; return whether the process was there."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def until(condition: Callable[[], object], within_s: float = 300.0) -> None:
    """Return once ``condition`` holds; the limit only ends a hang."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
