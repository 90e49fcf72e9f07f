"""PATH arguments → files, and files → bytes; whatever is not an image file is a result with a reason.

Theory of operation
-------------------
:func:`walk` goes through the arguments in their order and through directories by name, hidden files included. A
symbolic link is followed where a person typed it and nowhere else, so that a walk cannot leave the tree it was given.
:func:`read` looks at the size before it reads, so that a large file costs nothing. All report what they leave out as
:class:`Skipped`; only :func:`check` raises, when not one of the arguments exists.

What this module deliberately does not do: it looks at no file's content, and a file's name decides nothing.
"""

from __future__ import annotations

import enum
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hashmatch.errors import BadInput
from hashmatch.model import Refusal

STDIN = "-"
"""The argument that means standard input."""

MAX_PATHS_NAMED = 5
"""Paths that one error message names."""


class SkipReason(enum.StrEnum):
    """Why a path was not read; a file that was read and could not be looked at has a ``model.Refusal`` instead."""

    NOT_FOUND = "not_found"
    """No such file or directory."""
    UNREADABLE = "unreadable"
    """The operating system refused; the detail says why."""
    SYMLINK = "symlink"
    """A symbolic link inside a directory; links are followed only where they are named as an argument."""
    NOT_A_FILE = "not_a_file"
    """A device, socket or pipe."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that was not read, and why."""

    path: str
    reason: SkipReason | Refusal
    detail: str


@dataclass(frozen=True, slots=True)
class Found:
    """A regular file, or standard input."""

    path: str


def check(paths: Sequence[str]) -> None:
    """Refuse a command of whose arguments none exists.

    Raises
    ------
    BadInput
        When none does; one that does is enough, the others become skipped items.

    """
    if not any(path == STDIN or os.path.lexists(path) for path in paths):
        named = ", ".join(paths[:MAX_PATHS_NAMED]) + (", ..." if len(paths) > MAX_PATHS_NAMED else "")
        raise BadInput(f"no such file or directory: {named}", field="path")


def walk(paths: Sequence[str]) -> Iterator[Found | Skipped]:
    """Every file below ``paths``: arguments in their order, the content of directories by name."""
    for path in paths:
        if path == STDIN:
            yield Found(path)
            continue
        try:
            mode = os.stat(path).st_mode  # noqa: PTH116 - paths stay the text that was typed, "./x" included
        except OSError as error:
            yield _skipped(path, error)
            continue
        yield from _below(path) if stat.S_ISDIR(mode) else [_of_mode(path, mode)]


def _below(root: str) -> Iterator[Found | Skipped]:
    """Depth first with an explicit stack: a hostile tree can be deeper than Python's."""
    waiting = [root]
    while waiting:
        path = waiting.pop()
        try:
            mode = os.lstat(path).st_mode
            if path != root and not stat.S_ISDIR(mode):
                yield _of_mode(path, mode)
                continue
            names = sorted(os.listdir(path), reverse=True)  # noqa: PTH208 - names as text, see walk
        except OSError as error:
            yield _skipped(path, error)
            continue
        waiting.extend(os.path.join(path, name) for name in names)  # noqa: PTH118 - pathlib drops a leading "./"


def _of_mode(path: str, mode: int) -> Found | Skipped:
    if stat.S_ISREG(mode):
        return Found(path)
    if stat.S_ISLNK(mode):
        return Skipped(path, SkipReason.SYMLINK, "symbolic links inside directories are not followed")
    return Skipped(path, SkipReason.NOT_A_FILE, "a device, socket or pipe is not read; use - for standard input")


def read(path: str, max_bytes: int) -> bytes | Skipped:
    """Return the file's bytes, or why they were not read; at most ``max_bytes`` are ever in memory."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - see walk
            size_bytes = os.fstat(file.fileno()).st_size
            data = file.read(max_bytes + 1) if size_bytes <= max_bytes else b""
    except OSError as error:
        return _skipped(path, error)
    if max(size_bytes, len(data)) > max_bytes:
        return _too_large(path, f"{max(size_bytes, len(data))} bytes, ", max_bytes)
    return data


def read_stdin(paths: Sequence[str], max_bytes: int) -> bytes | Skipped:
    """Return what comes from standard input if ``-`` is among ``paths``, else nothing.

    It is read before anything is started and not in a thread: a thread that waits for a terminal cannot be interrupted,
    and Ctrl-C would have to wait for it.
    """
    if STDIN not in paths:
        return b""
    try:
        data = sys.stdin.buffer.read(max_bytes + 1)
    except OSError as error:
        return _skipped(STDIN, error)
    return _too_large(STDIN, "", max_bytes) if len(data) > max_bytes else data


def _too_large(path: str, size: str, max_bytes: int) -> Skipped:
    detail = f"{size}more than decode.max_bytes allows ({max_bytes}); nothing was computed"
    return Skipped(path, Refusal.TOO_LARGE, detail)


def _skipped(path: str, error: OSError) -> Skipped:
    reason = SkipReason.NOT_FOUND if isinstance(error, FileNotFoundError) else SkipReason.UNREADABLE
    return Skipped(path, reason, error.strerror or str(error))
