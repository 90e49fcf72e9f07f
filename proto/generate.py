"""Write ``hashmatch/v1`` from ``proto/hashmatch/v1`` (``make proto``), or compare the two (``--check``).

The generated code is committed so that installing hashmatch needs no compiler, and compared in ``make check`` so that
it cannot drift from the .proto files.
"""

from __future__ import annotations

import filecmp
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import google.rpc.status_pb2

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"
PACKAGE = Path("hashmatch") / "v1"


def generate(out: Path) -> None:
    """Run protoc for every .proto file; the modules land under ``out/hashmatch/v1``."""
    google_root = Path(google.rpc.status_pb2.__file__).parents[2]
    sources = sorted(str(path) for path in (PROTO / PACKAGE).glob("*.proto"))
    flags = [f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", f"-I{google_root}", *flags, *sources]
    beside_python = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    subprocess.run(command, check=True, env={**os.environ, "PATH": beside_python}, stderr=subprocess.DEVNULL)
    (out / PACKAGE / "__init__.py").write_text(
        '"""Generated from proto/hashmatch/v1 by `make proto`; do not edit."""\n', encoding="utf-8"
    )


def differences() -> list[str]:
    """Names of generated files that are missing, stale or left over in the committed package."""
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        fresh, committed = Path(scratch) / PACKAGE, ROOT / PACKAGE
        names = {p.name for p in (*fresh.glob("*.py*"), *committed.glob("*.py*")) if p.is_file()}
        same, _, _ = filecmp.cmpfiles(fresh, committed, sorted(names), shallow=False)
        return sorted(names - set(same))


def main() -> int:
    """Generate, or with ``--check`` compare and list what differs."""
    if sys.argv[1:] == ["--check"]:
        stale = differences()
        for name in stale:
            sys.stderr.write(f"{PACKAGE / name} differs from proto/; run `make proto`\n")
        return 1 if stale else 0
    generate(ROOT)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
