"""Write the synchronous client from the asynchronous one (``make client``), or compare the two (``--check``).

``sync.py`` is made of ``aio.py``, and each ``sync_*.py`` of its ``aio_*.py``.

unasync replaces ``async`` and ``await`` and the names below, token by token; prose in docstrings is replaced as text.
The results are committed, so that installing hashmatch needs no generator, and compared in ``make check`` so that they
cannot drift.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent

NAMES = {
    "AsyncClient": "Client",
    "AsyncCalls": "Calls",
    "AsyncHashSets": "HashSets",
    "AsyncHotline": "Hotline",
    "AsyncReports": "Reports",
    "AsyncItems": "Items",
    "AsyncServices": "Services",
    "AsyncGenerator": "Generator",
    "async_each": "each",
    "async_heard": "heard",
    "async_sleep": "sleep",
}
"""Asynchronous name to its twin in ``transport.py`` or ``collections.abc``."""

_SHARED_TEXTS = {
    "Callable[..., Awaitable[_Response]]": "Callable[..., _Response]",
    "Awaitable, Callable": "Callable",
}

FILES: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "aio.py": (
        "sync.py",
        _SHARED_TEXTS
        | {
            '"""The asynchronous client.': '"""The synchronous client: generated from aio.py by '
            "`make client`; do not edit.",
            "The synchronous client is generated from this file: what differs": "What the clients differ in",
            " is in ``transport``.": " is in ``transport``.\n\nOne client may be used by several threads. "
            "Iterables given to ``detect_stream``, ``rescan``, ``import_entries`` and ``relay_file``\n"
            "are read in a thread of gRPC's.",
            "aio_sets": "sync_sets",
            "aio_reports": "sync_reports",
            "aio_hotline": "sync_hotline",
            "async with": "with",
            "with AsyncClient": "with Client",
            "= await client": "= client",
        },
    ),
    "aio_calls.py": (
        "sync_calls.py",
        _SHARED_TEXTS
        | {
            "of the asynchronous client asks of the other: the services, and how one call is made.": "of the "
            "synchronous client asks of it: generated from aio_calls.py by `make client`; do not edit.",
            "; ``aio`` does": "; ``sync`` does",
        },
    ),
    "aio_hotline.py": (
        "sync_hotline.py",
        {
            '"""The asynchronous client\'s calls about reported URLs.': '"""The synchronous client\'s calls about '
            "reported URLs: generated from aio_hotline.py by `make client`; do not edit.",
            "aio_calls": "sync_calls",
        },
    ),
    "aio_reports.py": (
        "sync_reports.py",
        {
            '"""The asynchronous client\'s calls about reports.': '"""The synchronous client\'s calls about reports: '
            "generated from aio_reports.py by `make client`; do not edit.",
            ":class:`AsyncReports`": ":class:`Reports`",
            "aio_calls": "sync_calls",
            "(``aio``)": "(``sync``)",
        },
    ),
    "aio_sets.py": (
        "sync_sets.py",
        {
            '"""The asynchronous client\'s calls about hash sets.': '"""The synchronous client\'s calls about hash '
            "sets: generated from aio_sets.py by `make client`; do not edit.",
            ":class:`AsyncHashSets`": ":class:`HashSets`",
            "aio_calls": "sync_calls",
            "(``aio``)": "(``sync``)",
        },
    ),
}
"""Each file, what is made of it, and what tokens cannot express: prose, and types that lose their wrapper."""


def generate(name: str) -> str:
    """Return the text of the file that is made of ``name``."""
    import unasync

    with tempfile.TemporaryDirectory() as scratch:
        source, result = Path(scratch) / "aio" / "client.py", Path(scratch) / "sync" / "client.py"
        source.parent.mkdir()
        source.write_text((HERE / name).read_text(encoding="utf-8"), encoding="utf-8")
        unasync.unasync_files([str(source)], [unasync.Rule("/aio/", "/sync/", additional_replacements=NAMES)])
        text = result.read_text(encoding="utf-8")
    for before, after in FILES[name][1].items():
        if before not in text:
            message = f"generate.py replaces {before!r}, which {name} no longer contains"
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
    stale = 0
    for name, (made, _) in FILES.items():
        path, text = HERE / made, generate(name)
        if sys.argv[1:] != ["--check"]:
            path.write_text(text, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != text:
            sys.stderr.write(f"hashmatch/client/{made} differs from {name}; run `make client`\n")
            stale = 1
    return stale


if __name__ == "__main__":
    raise SystemExit(main())
