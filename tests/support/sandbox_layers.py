"""One layer of the lockdown, alone, against one attack: ``python -m tests.support.sandbox_layers LAYER ATTACK [ARG]``.

Prints what the attack found. Each layer has to hold by itself, because the day on which one of them is switched off is
not announced.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable

from hashmatch.config import DecodeConfig
from hashmatch.model import HashOptions
from hashmatch.sandbox import confine, landlock, libc, seccomp
from tests.support.sandbox_attacks import hash_picture

ONE_GIB = 1 << 30


def _landlock() -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    landlock.deny_everything()


def _seccomp() -> None:
    libc.prctl(libc.PR_SET_NO_NEW_PRIVS, 1)
    seccomp.install()


LAYERS: dict[str, Callable[[], object]] = {
    "none": lambda: None,
    "landlock": _landlock,
    "limits": lambda: confine.limit(ONE_GIB, 0),
    "not-dumpable": confine.hide_memory,
    "seccomp": _seccomp,
    "all": lambda: confine.lock_down(ONE_GIB, os.getppid()),
}


def main(layer: str, attack: str, argument: str = "") -> None:
    """Apply the layer, attack, print."""
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    LAYERS[layer]()
    try:
        found = hash_picture(f"{attack} {argument}".encode(), DecodeConfig(), HashOptions()).detail
    except MemoryError:
        found = "MemoryError"
    os.write(1, found.encode())
    os._exit(0)  # an orderly exit asks the kernel for more than the filter allows


if __name__ == "__main__":
    main(*sys.argv[1:])
