"""What a command and its children take, read from outside while it runs: CPU time and memory, by what they are for.

Theory of operation
-------------------
Every ``interval_s`` the process and its descendants are read from /proc, which also shows those that have locked
themselves up. A child is named by what its command line contains; what matches nothing is the command itself. CPU time
of a process that has ended counts with what it was at last, so that sums only grow.

What this module deliberately does not do: it draws no conclusion.
"""

from __future__ import annotations

import bisect
import os
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PPID, _UTIME, _STIME, _RSS = 1, 11, 12, 21
"""Fields of /proc/PID/stat behind the name, from 0; proc(5) counts the state as 3."""

Roles = Sequence[tuple[str, str]]
"""Piece of a command line to the name of a role; the first that fits."""


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment: CPU seconds and resident bytes by role. ``at`` is wall time."""

    at: float
    cpu_s: Mapping[str, float]
    resident: Mapping[str, int]


class Watching:
    """Samples of a process and its descendants, taken in a thread until it is closed."""

    def __init__(self, process: subprocess.Popen[bytes], roles: Roles, own: str, interval_s: float = 0.1) -> None:
        self.samples: list[Sample] = []
        self._root = process.pid
        self._roles = roles
        self._own = own
        self._interval_s = interval_s
        self._named: dict[int, str] = {}
        self._cpu: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watching", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop sampling."""
        self._ended.set()
        self._thread.join()

    def between(self, begin: float, end: float) -> Mapping[str, float]:
        """Return CPU seconds by role from one moment to another, interpolated between samples."""
        first, last = self._at(begin), self._at(end)
        return {role: last[role] - first.get(role, 0.0) for role in last}

    def _at(self, moment: float) -> Mapping[str, float]:
        times = [sample.at for sample in self.samples]
        place = bisect.bisect_left(times, moment)
        if place == 0 or place == len(times):
            return self.samples[min(place, len(times) - 1)].cpu_s
        before, after = self.samples[place - 1], self.samples[place]
        share = (moment - before.at) / (after.at - before.at)
        return {role: before.cpu_s.get(role, 0.0) * (1 - share) + cpu * share for role, cpu in after.cpu_s.items()}

    def _run(self) -> None:
        while True:
            self._sample()
            if self._ended.wait(self._interval_s):
                return

    def _sample(self) -> None:
        resident: dict[str, int] = defaultdict(int)
        for pid, (cpu_s, bytes_) in _descendants(self._root).items():
            if pid not in self._named:
                self._named[pid] = self._role(pid)
            self._cpu[pid] = cpu_s
            resident[self._named[pid]] += bytes_
        cpu: dict[str, float] = defaultdict(float)
        for pid, cpu_s in self._cpu.items():
            cpu[self._named[pid]] += cpu_s
        if resident:
            self.samples.append(Sample(time.time(), dict(cpu), dict(resident)))

    def _role(self, pid: int) -> str:
        try:
            words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
        except OSError:
            words = ""
        return next((role for piece, role in self._roles if piece in words), self._own)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process so far; 0 when there is none."""
    found = _stat(str(pid))
    return 0.0 if found is None else found[1]


def _descendants(root: int) -> dict[int, tuple[float, int]]:
    """CPU seconds and resident bytes of a process and everybody below it."""
    found: dict[int, tuple[int, float, int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - names are wanted, and quickly
        if name.isdecimal() and (read := _stat(name)) is not None:
            found[int(name)] = read
    taken, before = {root}, 0
    while len(taken) > before:  # numbers begin anew now and then: a child may have a smaller one than its parent
        before = len(taken)
        taken |= {pid for pid, (parent, _, _) in found.items() if parent in taken}
    return {pid: found[pid][1:] for pid in taken if pid in found}


def _stat(pid: str) -> tuple[int, float, int] | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return None
    return int(fields[_PPID]), (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS, int(fields[_RSS]) * _PAGE
