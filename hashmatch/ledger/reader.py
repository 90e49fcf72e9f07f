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
from hashmatch.ledger import heads as signed_heads
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
    directory: Path, *, keys: Sequence[VerifyKey] = (), against: Sequence[Path] = (), mixed: bool = False
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
    mixed : bool
        Those files have heads of other ledgers too, which are passed over; see :func:`ledgers_in`.

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
    elsewhere = [_lines(each, MAX_HEAD_BYTES, live=False) for each in kept]
    if mixed:
        ours = ledger_id(directory)
        elsewhere = [_of_ledger(lines, ours) for lines in elsewhere]
    heads = [_lines(own, MAX_HEAD_BYTES, live=live), *elsewhere]
    return summary, verify(_lines(parts, MAX_LINE_BYTES, live=live), heads, summary, keys)


def ledger_id(directory: Path) -> str:
    """Return the id that a ledger begins with; empty where its first record cannot be read. Raises BadInput."""
    for untrusted in read_records(directory):
        return str(untrusted.body.get("ledger", "")) if isinstance(untrusted, Record) else ""
    return ""


def ledgers_in(heads: Path) -> set[str]:
    """Return the ids of the ledgers that a file has heads of. Raises BadInput."""
    lines = _lines(_parts(heads.parent, [(heads, -1)]), MAX_HEAD_BYTES, live=False)
    return {head.head.ledger for line in lines if (head := signed_heads.read(line.data)) is not None}


def _of_ledger(lines: Iterator[Line], ledger: str) -> Iterator[Line]:
    """Pass over heads of other ledgers; what is no head is everybody's."""
    for line in lines:
        head = signed_heads.read(line.data)
        if head is None or head.head.ledger == ledger:
            yield line


def last_head(directory: Path) -> bytes:
    """Return the line of a ledger's last signed head; empty where there is none. Raises BadInput."""
    path = directory / HEADS
    last = b""
    for line in _lines(_parts(directory, [(path, -1)] if path.exists() else []), MAX_HEAD_BYTES, live=True):
        last = line.data
    return last


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


def lines_of(directory: Path, named: Sequence[tuple[int, Path]]) -> Iterator[Line]:
    """Yield the lines of some segments, each with the number of its first record, in order. Raises BadInput."""
    return _lines(_parts(directory, [(path, first) for first, path in named]), MAX_LINE_BYTES, live=False)


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
