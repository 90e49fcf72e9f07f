"""Write ``sync.py`` from ``aio.py`` (``make client``), or compare the two (``--check``).

unasync replaces ``async`` and ``await`` and the names below, token by token; prose in docstrings is replaced as text.
The result is committed, so that installing hashmatch needs no generator, and compared in ``make check`` so that it
cannot drift.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent

NAMES = {
    "AsyncClient": "Client",
    "AsyncItems": "Items",
    "AsyncServices": "Services",
    "AsyncGenerator": "Generator",
    "async_each": "each",
    "async_sleep": "sleep",
}
"""Asynchronous name to its twin in ``transport.py`` or ``collections.abc``."""

TEXTS = {
    '"""The asynchronous client.': '"""The synchronous client: generated from aio.py by `make client`; do not edit.',
    "The synchronous client is generated from this file: what differs": "What the clients differ in",
    " is in ``transport``.": " is in ``transport``.\n\nOne client may be used by several threads. "
    "Iterables given to ``detect_stream``, ``rescan`` and ``import_entries``\nare read in a thread of gRPC's.",
    "Callable[..., Awaitable[_Response]]": "Callable[..., _Response]",
    "Awaitable, Callable": "Callable",
    "async with": "with",
    "with AsyncClient": "with Client",
    "= await client": "= client",
}
"""What tokens cannot express: prose, and types that lose their wrapper."""


def generate() -> str:
    """Return the text of ``sync.py``."""
    import unasync

    with tempfile.TemporaryDirectory() as scratch:
        source, result = Path(scratch) / "aio" / "client.py", Path(scratch) / "sync" / "client.py"
        source.parent.mkdir()
        source.write_text((HERE / "aio.py").read_text(encoding="utf-8"), encoding="utf-8")
        unasync.unasync_files([str(source)], [unasync.Rule("/aio/", "/sync/", additional_replacements=NAMES)])
        text = result.read_text(encoding="utf-8")
    for before, after in TEXTS.items():
        if before not in text:
            message = f"generate.py replaces {before!r}, which aio.py no longer contains"
            raise SystemExit(message)
        text = text.replace(before, after)
    return _formatted(text)


def _formatted(text: str) -> str:
    """Sort imports and wrap lines as in every other file; `ruff check .` itself passes over generated files."""
    for command in (["check", "--quiet", "--fix-only", "--select=I"], ["format", "--quiet"]):
        ruff = [str(Path(sys.executable).with_name("ruff")), *command, "--isolated", "--line-length=120", "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, check=True, encoding="utf-8").stdout
    return text


def main() -> int:
    """Generate, or with ``--check`` compare."""
    path = HERE / "sync.py"
    text = generate()
    if sys.argv[1:] != ["--check"]:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("hashmatch/client/sync.py differs from aio.py; run `make client`\n")
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
