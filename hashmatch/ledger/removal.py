"""Taking the oldest segments out of a ledger so that it still verifies: what may go, and the record that says so.

Theory of operation
-------------------
Records are kept for a time and not for ever, and a segment that is just deleted looks like one that somebody took away.
So a removal is recorded first: a record of the kind ``ledger.removed`` names the last record that goes, its digest, how
many go, what the time limit was and by which rule. A head is signed over it; only then are the files deleted, the
oldest first. ``chain`` takes a ledger for whole that begins later where such a record, vouched for by a head, covers
everything before. Whoever deletes more than was recorded, or has no key, is found as before. What a removal is
interrupted in leaves files that the record covers; the next one deletes them.

A segment is as old as the latest time in it: where a clock was wrong it goes too late rather than too early, because a
header is never earlier than what stands before it. Only whole segments go, and never the last.

What is damaged is not removed: the segments that would go are verified first, and a ledger that already begins later
must have a record that says why. Otherwise a removal would tidy up after whoever changed them.

What this module deliberately does not do: it decides no limit, and it deletes nothing; ``files`` does, for the writer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashmatch.errors import BadInput, LedgerCorrupt
from hashmatch.ledger.chain import REMOVED, SEGMENT, Summary, removed_upto, verify
from hashmatch.ledger.files import segments
from hashmatch.ledger.reader import lines_of
from hashmatch.ledger.records import MAX_LINE_BYTES, Flaw, Record, decode

_TIME: Final = re.compile(rb'\{"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"')
_SAYS_REMOVED: Final = f'"kind":"{REMOVED}"'.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What may go: the records from ``begin`` to ``last``, which has that digest; ``until`` is their latest time."""

    begin: int
    last: int
    digest: str
    until: str
    paths: tuple[Path, ...]

    def words(self, rule: str) -> Mapping[str, object]:
        """Return the body of the record that says so."""
        return {
            "from": self.begin,
            "to": self.last,
            "records": self.last - self.begin + 1,
            "segments": len(self.paths),
            "digest": self.digest,
            "until": self.until,
            "rule": rule,
        }


def due(directory: Path, before: str) -> Due | None:
    """Return what a ledger has that was written before a time, as records have it; None where no segment may go.

    Raises
    ------
    BadInput
        A file cannot be read.
    LedgerCorrupt
        What would go does not verify, or is not all that there was; nothing may go until somebody has looked.

    """
    named = _segments(directory)
    until, going = "", []
    for segment in named[:-1]:
        if (newest := _latest(directory, segment)) >= before:
            break
        until = max(until, newest)
        going.append(segment)
    if not going:
        return None
    begin, header = going[0][0], _header(named[len(going)][1])
    if begin > 0 and _removed_to(named) < begin - 1:
        raise LedgerCorrupt(f"{directory}: the ledger begins with record {begin}, and no record says why")
    summary = Summary()
    for finding in verify(lines_of(directory, going), (), summary, removed_to=begin - 1):
        raise LedgerCorrupt(f"{directory}: {finding.where}, line {finding.line}: {finding.detail}")
    if (summary.seq, summary.digest) != (header.seq - 1, header.previous):
        raise LedgerCorrupt(f"{directory}: record {header.seq} does not follow from record {summary.seq}")
    return Due(
        begin=begin, last=summary.seq, digest=summary.digest, until=until, paths=tuple(path for _, path in going)
    )


def latest(directory: Path) -> str:
    """Return the latest time in the last segment of a ledger; empty where there is none. Raises BadInput."""
    named = _segments(directory)
    return _latest(directory, named[-1]) if named else ""


def _latest(directory: Path, segment: tuple[int, Path]) -> str:
    times = (match[1] for line in lines_of(directory, [segment]) if (match := _TIME.match(line.data)))
    return max(times, default=b"").decode()


def _segments(directory: Path) -> list[tuple[int, Path]]:
    try:
        return segments(directory)
    except OSError as error:
        raise BadInput(f"cannot read the ledger {directory}: {error.strerror}", field="directory") from error


def _header(path: Path) -> Record:
    try:
        with path.open("rb") as stream:
            untrusted = decode(stream.readline(MAX_LINE_BYTES + 1).removesuffix(b"\n"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", field="directory") from error
    if isinstance(untrusted, Flaw) or untrusted.kind != SEGMENT:
        raise LedgerCorrupt(f"{path}: the segment does not begin as it should")
    return untrusted


def _removed_to(named: list[tuple[int, Path]]) -> int:
    """Return up to where records are said to have been removed, by the last record that says so; -1 for none."""
    for first, path in reversed(named):
        found = -1
        for line in lines_of(path.parent, [(first, path)]):
            if _SAYS_REMOVED in line.data and isinstance(record := decode(line.data), Record):
                found = removed_upto(record) if record.kind == REMOVED else found
        if found >= 0:
            return found
    return -1
