"""What protects this machine from the pictures it decodes, said plainly.

Theory of operation
-------------------
A :class:`Posture` is a list of protections, each in force or not, with the reason and the remedy. It is made from three
observations: the outcome that the first worker reported of its own lockdown, how a worker died that tried to create a
socket, and what the memory for images is like. The protections that are ``required`` make up ``confined``: without them
the pool refuses to start. The others lower the chance that an image outlives its request; they depend on the machine's
set-up and are reported, not enforced.

What this module deliberately does not do: it does no I/O except reading /proc/swaps in :func:`swap_devices`, and it
does not decide what happens with a posture that is not confined.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashmatch.errors import BadFrame
from hashmatch.sandbox.confine import NOT_ATTEMPTED, Outcome, Step

_PROC_SWAPS = Path("/proc/swaps")

_ABOUT = {
    Step.PARENT_DEATH: ("parent-death", "workers end with the process that started them", ""),
    Step.NOT_DUMPABLE: ("not-dumpable", "no core dump, no ptrace, no /proc/PID/mem", ""),
    Step.NO_NEW_PRIVS: ("no-new-privs", "no program can give privileges back", ""),
    Step.LANDLOCK: (
        "landlock",
        "no file, no TCP, no signal to other processes",
        "use Linux 5.13 or newer with landlock among the security modules (the lsm= boot option)",
    ),
    Step.LIMITS: ("limits", "no new descriptor, process, file byte or core; bounded memory", ""),
    Step.SECCOMP: (
        "seccomp",
        "no system call but those that decoding needs",
        "use a kernel with CONFIG_SECCOMP_FILTER on x86_64 or aarch64, and a container profile that allows seccomp",
    ),
}
_ABOUT_NETWORKED = {
    **_ABOUT,
    Step.LANDLOCK: (
        "landlock",
        "no file, no TCP but to its ports, no signal to other processes",
        "use Linux 6.7 or newer, with landlock among the security modules (the lsm= boot option)",
    ),
    Step.LIMITS: ("limits", "no process, file byte or core; bounded descriptors and memory", ""),
    Step.SECCOMP: (Step.SECCOMP.name.lower(), "no system call but those that fetching needs", _ABOUT[Step.SECCOMP][2]),
}
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class Protection:
    """One protection; ``remedy`` says what to do where it is not active and something can be done."""

    name: str
    active: bool
    detail: str
    required: bool = True
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Posture:
    """All protections of one pool."""

    protections: tuple[Protection, ...]

    @property
    def confined(self) -> bool:
        """Whether every required protection is in force; of a posture without any, the answer is no."""
        return any(p.required for p in self.protections) and not self.missing()

    def missing(self) -> tuple[Protection, ...]:
        """Return the required protections that are not in force."""
        return tuple(p for p in self.protections if p.required and not p.active)

    def explain_missing(self) -> str:
        """One sentence per missing protection: what, why, and what to do."""
        return "; ".join(
            f"{p.name} is not in force ({p.detail}){f': {p.remedy}' if p.remedy else ''}" for p in self.missing()
        )


def assess(outcome: Outcome, probe_signal: int | None, *, memory_locked: bool, swap: tuple[str, ...]) -> Posture:
    """Judge the observations.

    Parameters
    ----------
    outcome : Outcome
        What a worker said of its own lockdown before it saw a picture.
    probe_signal : int or None
        The signal that ended the worker which tried to create a socket; None when it survived.
    memory_locked : bool
        Whether the memory that images are put into is locked.
    swap : tuple of str
        Swap devices in use.

    """
    protections = [_of_step(outcome, step, _ABOUT) for step in Step]
    protections.append(_of_probe(probe_signal))
    protections.append(Protection("no-dump-of-images", active=True, detail="MADV_DONTDUMP", required=False))
    protections.append(
        Protection(
            "images-locked",
            memory_locked,
            "image memory is locked" if memory_locked else "RLIMIT_MEMLOCK is smaller than the workers' image memory",
            required=False,
            remedy="raise RLIMIT_MEMLOCK to decode.max_bytes per worker",
        )
    )
    protections.append(
        Protection(
            "no-swap",
            active=not swap,
            detail=f"swap on {', '.join(swap)}" if swap else "no swap device",
            required=False,
            remedy="run in a cgroup with memory.swap.max=0, or switch swap off",
        )
    )
    return Posture(tuple(protections))


def _of_probe(probe_signal: int | None) -> Protection:
    ends = {None: "survived", 0: "exited", signal.SIGSYS: "was killed by the filter"}
    end = ends.get(probe_signal, f"ended by signal {probe_signal}")
    return Protection("self-test", probe_signal == signal.SIGSYS, f"a worker that created a socket {end}")


def swap_devices() -> tuple[str, ...]:
    """Names of the swap devices in use; without /proc/swaps, its own name, since nothing is known."""
    try:
        lines = _PROC_SWAPS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return (str(_PROC_SWAPS),)
    return tuple(line.split()[0] for line in lines[1:] if line.strip())


def of_child(untrusted_hello: Mapping[str, Any]) -> Posture:
    """Judge what a confined process other than a worker said of its own lockdown (``hotline.inside``).

    Parameters
    ----------
    untrusted_hello : mapping
        ``errnos`` of each step, ``landlock_abi``, ``networked`` where it may use the network, and ``breaches``: what it
        could do although it must not.

    Raises
    ------
    BadFrame
        It is not readable.

    """
    try:
        errnos = tuple(int(number) for number in untrusted_hello["errnos"])
        outcome = Outcome(errnos, int(untrusted_hello["landlock_abi"]))
        breaches = tuple(str(name)[:_LONGEST_NAME] for name in untrusted_hello["breaches"])
        about = _ABOUT_NETWORKED if untrusted_hello["networked"] else _ABOUT
    except (KeyError, TypeError, ValueError) as error:
        raise BadFrame("a confined process did not say how its lockdown went") from error
    if len(errnos) != len(Step):
        raise BadFrame(f"a lockdown of {len(errnos)} steps, expected {len(Step)}")
    detail = f"the process could {', '.join(breaches)}" if breaches else "nothing that is forbidden could be done"
    test = Protection("self-test", not breaches and NOT_ATTEMPTED not in errnos, detail)
    return Posture((*(_of_step(outcome, step, about) for step in Step), test))


def _of_step(outcome: Outcome, step: Step, about: Mapping[Step, tuple[str, str, str]]) -> Protection:
    name, detail, remedy = about[step]
    number = outcome.errnos[step]
    if number == NOT_ATTEMPTED:
        return Protection(name, active=False, detail="left out", remedy=remedy)
    if number:
        return Protection(name, active=False, detail=os.strerror(number), remedy=remedy)
    if step is Step.LANDLOCK:
        detail = f"{detail} (ABI {outcome.landlock_abi})"
    return Protection(name, active=True, detail=detail)


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The pool at one moment.

    ``workers`` counts those alive, ``busy`` those with an image, ``queued`` the images waiting; ``images`` and
    ``restarts`` (workers lost to a fault, not to recycling) count from the start. ``posture`` is None before it.
    ``quarantined`` counts images refused now because they killed workers, ``quarantine_refusals`` how often one was.
    """

    workers: int
    busy: int
    queued: int
    images: int
    restarts: int
    posture: Posture | None
    quarantined: int = 0
    quarantine_refusals: int = 0
