"""Files that people name for reading and writing: `-` for the standard streams, and writing that is all or nothing."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hashmatch.cli.output import ReaderGone
from hashmatch.durable import replacing
from hashmatch.errors import BadInput

STANDARD_STREAM = "-"


@contextmanager
def opened_for_reading(name: str) -> Iterator[tuple[BinaryIO, int | None]]:
    """Open a file, or standard input for ``-``; gives the stream and its size in bytes where that is known.

    Raises
    ------
    BadInput
        When it cannot be opened.

    """
    if name == STANDARD_STREAM:
        yield sys.stdin.buffer, None
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 - closed below; the handler must not cover the caller's block
    except OSError as error:
        raise BadInput(f"cannot read {name}: {error.strerror}", field="file") from error
    with stream:
        status = os.fstat(stream.fileno())
        yield stream, status.st_size if stat.S_ISREG(status.st_mode) else None


@contextmanager
def opened_for_writing(name: str) -> Iterator[BinaryIO]:
    """Open a file that appears under its name only when it is complete and on disk; ``-`` is standard output.

    The file is readable by its owner only: what is written here are hash lists. What exists and is no regular file, as
    ``/dev/null``, is written to directly instead of being replaced.

    Raises
    ------
    BadInput
        When the file cannot be written.
    ReaderGone
        When nobody reads standard output any more.

    """
    try:
        if name == STANDARD_STREAM:
            yield sys.stdout.buffer
            sys.stdout.buffer.flush()
            return
        target = Path(name)
        if target.exists() and not target.is_file():
            with target.open("wb") as stream:
                yield stream
            return
        with replacing(target) as stream:
            yield stream
    except BrokenPipeError:
        raise ReaderGone from None
    except OSError as error:
        raise BadInput(f"cannot write {name}: {error.strerror}", field="output") from error
