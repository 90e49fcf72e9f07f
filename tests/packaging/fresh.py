"""Install the wheel as anybody does, with pip and an index, into an empty environment, and use it: ``make dist-check``.

    python -m tests.packaging.fresh DIST [CONSTRAINTS]

What this module deliberately does not do: it is no test of ``make test``, which needs no network.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.packaging import installed


def main(dist: str, constraints: str = "") -> None:
    """Install the one wheel of ``dist`` and exercise it.

    Raises
    ------
    SystemExit
        There is not exactly one wheel, or pip cannot install it.

    """
    wheels = sorted(Path(dist).glob("*.whl"))
    if len(wheels) != 1:
        raise SystemExit(f"{dist} holds {len(wheels)} wheels, not one")
    with tempfile.TemporaryDirectory(prefix="hashmatch-fresh-") as scratch:
        prefix, work = Path(scratch, "prefix"), Path(scratch, "work")
        work.mkdir()
        venv.create(prefix, with_pip=True, symlinks=True)
        pip = [str(prefix / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        options = ["--constraint", constraints] if constraints else []
        if subprocess.run([*pip, *options, str(wheels[0])], check=False).returncode:
            raise SystemExit(f"pip could not install {wheels[0]}")
        subprocess.run([prefix / "bin" / "python", "-m", "hashmatch.kernels"], stdout=subprocess.DEVNULL, check=True)
        installed.exercise(installed.Installation(prefix, work))
    sys.stdout.write(f"{wheels[0].name}: installed, hashes, serves, detects\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
