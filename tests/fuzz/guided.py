"""Fuzz the parsers of the table, guided by coverage, each for some time in a process of its own: ``make fuzz``.

A finding ends that process with the input in ``crash-*`` and its traceback; the others go on, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

from hashmatch import kernels


def main() -> int:
    """Fuzz one parser here, or each in turn in processes; return the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=int, default=60, help="for each parser")
    arguments.add_argument("--parser", default="", help="one of the table; all by default")
    arguments.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.here:
        fuzz(given.parser, given.seconds)
    from tests.fuzz.parsers import PARSERS

    failed = []
    for name in [given.parser] if given.parser else PARSERS:
        own = [sys.executable, "-m", "tests.fuzz.guided", "--here", "--parser", name, "--seconds", str(given.seconds)]
        ended = subprocess.run(own, capture_output=True, text=True, check=False)
        done = [line for line in ended.stderr.splitlines() if line.startswith(("Done", "#"))]
        print(f"{name}: {'FOUND SOMETHING' if ended.returncode else 'held'}: {done[-1] if done else ''}", flush=True)  # noqa: T201
        if ended.returncode:
            failed.append(name)
            print(ended.stdout[-4_000:] + ended.stderr[-4_000:], flush=True)  # noqa: T201
    return 1 if failed else 0


def fuzz(name: str, seconds: int) -> None:
    """Fuzz one parser; ends the process."""
    import atheris

    for kernel in pkgutil.iter_modules(kernels.__path__, "hashmatch.kernels."):
        importlib.import_module(kernel.name)  # not instrumented: numba compiles them
    with atheris.instrument_imports(include=["hashmatch"]):
        from tests.fuzz.parsers import MAX_BYTES, PARSERS

    parser = PARSERS[name]

    def once(data: bytes) -> None:
        with contextlib.suppress(*parser.refusals):
            parser.run(data)

    with tempfile.TemporaryDirectory() as corpus:
        for number, data in enumerate(parser.corpus):
            (Path(corpus) / str(number)).write_bytes(data)
        atheris.Setup([sys.argv[0], f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", corpus], once)
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
