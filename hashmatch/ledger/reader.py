"""Reading a ledger from its directory: its records, and what is wrong with it.

Theory of operation
-------------------
Files are read as they are when reading begins, heads before records, because a writer appends a head after the records
that it covers. So a ledger may be verified while it is written: what comes later is not looked at, and a line that is
just being appended is not taken for a torn one. Nothing is locked and memory does not grow; a line that is too long is
passed over without being held.

What this module deliberately does not do: it changes nothing, not even a torn tail.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from hashmatch.errors import BadInput
from hashmatch.ledger.chain import Finding, Line, Summary, Wrong, verify
from hashmatch.ledger.files import HEADS, LOCK, segments
from hashmatch.ledger.heads import MAX_HEAD_BYTES
from hashmatch.ledger.records import MAX_LINE_BYTES, Flaw, Record, decode
from hashmatch.signatures import VerifyKey


@dataclass(frozen=True, slots=True)
class _Part:
    """A file up to the size that it had."""

    path: Path
    size: int
    opens: int = -1


def verified(
    directory: Path, *, keys: Sequence[VerifyKey] = (), against: Sequence[Path] = ()
) -> tuple[Summary, Iterator[Finding]]:
    """Verify a ledger; the summary is complete when the findings have been taken.

    Parameters
    ----------
    directory : Path
        Of the ledger. It may be written meanwhile.
    keys : sequence of VerifyKey
        Whose heads are believed; without any, those that the ledger names, which whoever could write it could choose.
    against : sequence of Path
        Files of heads that were kept elsewhere.

    Raises
    ------
    BadInput
        A file cannot be read, here or while the findings are taken.

    """
    summary = Summary()
    live = _is_written(directory)
    own = _parts(directory, [(directory / HEADS, -1)] if (directory / HEADS).exists() else [])
    kept = [_parts(path.parent, [(path, -1)]) for path in against]
    parts = _parts(directory, _segments(directory))
    heads = [_lines(each, MAX_HEAD_BYTES, live=live and each is own) for each in (own, *kept)]
    return summary, verify(_lines(parts, MAX_LINE_BYTES, live=live), heads, summary, keys)


def read_records(directory: Path) -> Iterator[Record | Finding]:
    """Yield every record in order, not verified; in the place of one that cannot be read, a finding.

    Raises
    ------
    BadInput
        A file cannot be read.

    """
    live = _is_written(directory)
    for line in _lines(_parts(directory, _segments(directory)), MAX_LINE_BYTES, live=live):
        untrusted = decode(line.data)
        if isinstance(untrusted, Flaw):
            yield Finding(Wrong.MALFORMED, line.where, line.number, -1, f"the line is no record: {untrusted}")
        else:
            yield untrusted


def _segments(directory: Path) -> list[tuple[Path, int]]:
    try:
        return [(path, first) for first, path in segments(directory)]
    except OSError as error:
        raise BadInput(f"cannot read the ledger {directory}: {error.strerror}", field="directory") from error


def _parts(directory: Path, files: Sequence[tuple[Path, int]]) -> list[_Part]:
    try:
        return [_Part(path, path.stat().st_size, opens) for path, opens in files]
    except OSError as error:
        raise BadInput(f"cannot read {error.filename or directory}: {error.strerror}", field="directory") from error


def _is_written(directory: Path) -> bool:
    """Whether a writer holds the ledger now."""
    try:
        with (directory / LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # no lock, or none that may be read: nobody can be seen to write
        return False
    return False


def _lines(parts: Sequence[_Part], limit: int, *, live: bool) -> Iterator[Line]:
    """Yield the lines of some files; of a live one not the last where it does not end."""
    for number, part in enumerate(parts):
        in_flight = live and number == len(parts) - 1
        try:
            with part.path.open("rb") as stream:
                for line in _lines_of(part, stream, limit):
                    if not (line.torn and in_flight):
                        yield line
        except OSError as error:
            raise BadInput(f"cannot read {part.path}: {error.strerror}", field="directory") from error


def _lines_of(part: _Part, stream: BinaryIO, limit: int) -> Iterator[Line]:
    left, number = part.size, 0
    while left > 0 and (raw := stream.readline(min(left, limit + 2))):
        left, number = left - len(raw), number + 1
        line = Line(part.path.name, number, raw.removesuffix(b"\n"), torn=not raw.endswith(b"\n"))
        if line.torn and left > 0:
            left -= _skipped(stream, left, limit)
            line = replace(line, torn=False)
        yield replace(line, opens=part.opens) if number == 1 else line


def _skipped(stream: BinaryIO, left: int, limit: int) -> int:
    """Pass over the rest of a line that is too long, and return its bytes."""
    skipped = 0
    while skipped < left and (raw := stream.readline(min(left - skipped, limit))):
        skipped += len(raw)
        if raw.endswith(b"\n"):
            break
    return skipped
