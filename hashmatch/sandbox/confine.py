"""Lock this process up, step by step, and say of each step whether it holds.

Theory of operation
-------------------
:class:`Step` lists the lockdown in the one order that works: the later steps forbid what the earlier ones need. Each
step acts and then looks whether the action took: the kernel is asked back, or something forbidden is tried and has to
fail. The outcome of a step is a small integer that fits a fixed-size message: 0, or the errno that says why it does
not hold.

Nothing is decided here. A step that fails is recorded and the next one is tried all the same; ``pool`` reads the
outcome and, unless told to accept less, ends the worker before it has seen a byte of an image.

What this module deliberately does not do: it uses no namespaces (containers usually forbid making them) and drops no
user id; it works the same for root and for an unprivileged user.

Source
------
Reference security §2 (order, limits) and §2.1 (what each layer stops alone).
"""

from __future__ import annotations

import enum
import errno
import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass

from hashmatch.sandbox import landlock, libc, seccomp

NOT_ATTEMPTED = -1
"""The outcome of a step that was left out."""


class Step(enum.IntEnum):
    """The steps of the lockdown; the value is the position in :class:`Outcome` and on the wire."""

    PARENT_DEATH = 0
    """Killed when the zygote dies."""
    NOT_DUMPABLE = 1
    """No core dump, no ptrace and no /proc/PID/mem for processes of the same user."""
    NO_NEW_PRIVS = 2
    """No set-user-id program can give back what was given up."""
    LANDLOCK = 3
    """No file, no TCP, no signal to a process outside."""
    LIMITS = 4
    """No new descriptor, file byte, process or core; a ceiling on the address space."""
    SECCOMP = 5
    """No system call but those that decoding needs."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the lockdown: one errno per :class:`Step`, and the Landlock ABI in use (0 for none)."""

    errnos: tuple[int, ...] = (NOT_ATTEMPTED,) * len(Step)
    landlock_abi: int = 0

    def holds(self, step: Step) -> bool:
        """Whether one step is in force."""
        return self.errnos[step] == 0


def lock_down(memory_bytes: int, parent_pid: int) -> Outcome:
    """Give up every right that hashing a picture does not need; none of it can be undone.

    Parameters
    ----------
    memory_bytes : int
        Ceiling of the address space.
    parent_pid : int
        The process whose death must end this one.

    Returns
    -------
    Outcome
        Failures are in it; nothing is raised.

    """
    abi = 0

    def deny_files_and_networks() -> None:
        nonlocal abi
        abi = landlock.deny_everything()
        must_fail_to_open(errno.EACCES)

    errnos = taken(
        parent_pid,
        landlock_step=deny_files_and_networks,
        limits_step=lambda: limit(memory_bytes, 0),
        seccomp_step=_filter_calls,
    )
    return Outcome(errnos, abi)


def taken(
    parent_pid: int,
    *,
    landlock_step: Callable[[], None],
    limits_step: Callable[[], None],
    seccomp_step: Callable[[], None],
) -> tuple[int, ...]:
    """Take every step in the one order that works, and return their errnos; processes differ in three of them."""
    steps: dict[Step, Callable[[], None]] = {
        Step.PARENT_DEATH: lambda: die_with(parent_pid),
        Step.NOT_DUMPABLE: hide_memory,
        Step.NO_NEW_PRIVS: renounce_privileges,
        Step.LANDLOCK: landlock_step,
        Step.LIMITS: limits_step,
        Step.SECCOMP: seccomp_step,
    }
    return tuple(_attempt(steps[step]) for step in Step)


def _attempt(step: Callable[[], None]) -> int:
    """Do one step; return its errno, 0 when it holds."""
    try:
        step()
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def expect(wanted: object, found: object) -> None:
    """Raise EPROTO when the kernel does not confirm what it was just told."""
    if wanted != found:
        raise OSError(errno.EPROTO, f"expected {wanted!r}, found {found!r}")


def must_fail_to_open(wanted: int) -> None:
    """Open something that always exists, and insist on being refused with the errno of the layer under test."""
    try:
        descriptor = os.open("/", os.O_RDONLY)
    except OSError as error:
        expect(wanted, error.errno)
        return
    os.close(descriptor)
    raise OSError(errno.EPROTO, "a file could be opened")


def die_with(parent_pid: int) -> None:
    """Be killed when the parent dies."""
    libc.prctl(libc.PR_SET_PDEATHSIG, signal.SIGKILL)
    expect(int(signal.SIGKILL), libc.parent_death_signal())
    # The parent may have died between the fork and the call above; then nobody would ever send the signal.
    expect(parent_pid, os.getppid())


def hide_memory() -> None:
    """Leave no core, and let no process of the same user look inside."""
    libc.prctl(libc.PR_SET_DUMPABLE, 0)
    expect(0, libc.prctl(libc.PR_GET_DUMPABLE))


def renounce_privileges() -> None:
    """Let no program give privileges back."""
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    expect(1, libc.prctl(libc.PR_GET_NO_NEW_PRIVS))


def limit(memory_bytes: int, descriptors: int) -> None:
    """Lower every limit for good, none above what it is; descriptors are numbered up to ``descriptors``."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_NOFILE: descriptors,
    }
    for name, wanted in limits.items():
        _, ceiling = resource.getrlimit(name)
        value = wanted if ceiling == resource.RLIM_INFINITY else min(wanted, ceiling)
        resource.setrlimit(name, (value, value))
        expect((value, value), resource.getrlimit(name))


def _filter_calls() -> None:
    seccomp.install()
    # Without the filter the answer would be EMFILE, from the limit on descriptors: EACCES proves the filter itself.
    # Landlock answers EACCES too, but the kernel takes a descriptor before it walks a path.
    must_fail_to_open(errno.EACCES)
