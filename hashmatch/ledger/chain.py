"""Verifying a ledger: lines and heads in, findings out.

Theory of operation
-------------------
:func:`verify` goes once through the lines of all segments, in order, with the heads beside them, and yields what is
wrong as values. It keeps one digest and one number, so its memory does not grow. After a finding it goes on from the
line that it found, so that one changed byte is one or two findings rather than the rest of the file: the line that was
changed, if that can be seen in it, and the next one, whose ``previous`` no longer fits.

What each record must be is a table of five rules, :data:`_RULES`; what may be wrong with a ledger is the enumeration
:class:`Wrong`. Heads are joined by number: a head beyond the last record says that the ledger was cut, one whose digest
differs says that it was written anew. Heads vouch for everything up to the last of them; what follows is counted in
:attr:`Summary.unvouched` and is held together by the chain alone.

A ledger may begin later than with record 0, where a record of the kind ``ledger.removed`` that a head vouches for says
that everything before was removed by rule; that is known at the end only, and until then the beginning is owed. The
chain from the first record to that one, and the head over it, prove both the beginning and the reason.

What this module deliberately does not do: it reads no file and trusts no key. It is told which keys are believed; told
none, it believes those that the ledger itself names, and the summary says so.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hashmatch.ledger import heads as signed_heads
from hashmatch.ledger.heads import SignedHead
from hashmatch.ledger.records import GENESIS, Flaw, Record, decode, digest
from hashmatch.signatures import VerifyKey

SEGMENT: Final = "ledger.segment"
OPENED: Final = "ledger.opened"
REPAIRED: Final = "ledger.repaired"
CLOCK: Final = "ledger.clock"
LOST: Final = "ledger.lost"
REMOVED: Final = "ledger.removed"


class Wrong(enum.StrEnum):
    """What may be wrong with a ledger. The text is stable; docs/guide/audit.md explains each."""

    MALFORMED = "malformed"
    NOT_CANONICAL = "not_canonical"
    TOO_LONG = "too_long"
    TORN_TAIL = "torn_tail"
    MISSING = "missing"
    DUPLICATE = "duplicate"
    REORDERED = "reordered"
    BROKEN_CHAIN = "broken_chain"
    CLOCK_BACK = "clock_back"
    BAD_SEGMENT = "bad_segment"
    FOREIGN_SEGMENT = "foreign_segment"
    MALFORMED_HEAD = "malformed_head"
    FOREIGN_HEAD = "foreign_head"
    UNKNOWN_KEY = "unknown_key"
    BAD_SIGNATURE = "bad_signature"
    HEAD_ORDER = "head_order"
    HEAD_DIFFERS = "head_differs"
    TRUNCATED = "truncated"
    REMOVAL_DIFFERS = "removal_differs"
    EMPTY = "empty"


_OF_FLAW: Final[Mapping[Flaw, Wrong]] = {
    Flaw.MALFORMED: Wrong.MALFORMED,
    Flaw.NOT_CANONICAL: Wrong.NOT_CANONICAL,
    Flaw.TOO_LONG: Wrong.TOO_LONG,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``line`` counts from 1 in the file ``where``; ``seq`` is -1 where none can be read."""

    wrong: Wrong
    where: str
    line: int
    seq: int
    detail: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a segment or of a file of heads, without its line feed, which a torn one lacks."""

    where: str
    number: int
    data: bytes
    torn: bool = False
    opens: int = -1
    """For the first line of a segment: the number that the file is named by."""


@dataclass(slots=True)
class Summary:
    """What was looked at; filled while :func:`verify` runs."""

    ledger: str = ""
    records: int = 0
    segments: int = 0
    seq: int = -1
    digest: str = GENESIS
    at: str = ""
    heads: int = 0
    vouched: int = -1
    """The last record that a good head vouches for."""
    removed: int = 0
    """Records before the first one that is there; a record that a head vouches for says that they were removed."""
    rule: str = ""
    """By which rule, as that record says."""
    findings: int = 0
    own_keys_only: bool = True
    """No key was given: heads were held against the keys that the ledger itself names."""

    @property
    def unvouched(self) -> int:
        """Records after the last good head."""
        return self.seq - self.vouched


@dataclass(slots=True)
class _State:
    summary: Summary
    keys: dict[str, VerifyKey]
    learn: bool
    last: Line | None = None
    first: tuple[Line, Record] | None = None
    """The first record, where it opens a segment and is not record 0."""
    removal: Record | None = None
    """The first record that says that everything before that was removed."""
    resynced: bool = True
    """The line before was no record, so that this one's ``previous`` says nothing."""
    witnesses: list[_Witness] = field(default_factory=list)


def verify(
    lines: Iterable[Line],
    heads: Sequence[Iterable[Line]],
    summary: Summary,
    keys: Sequence[VerifyKey] = (),
    *,
    removed_to: int = -1,
) -> Iterator[Finding]:
    """Yield what is wrong with a ledger.

    Parameters
    ----------
    lines : iterable of Line
        All segments, in the order of their names.
    heads : sequence of iterables of Line
        The ledger's own file of heads and those that somebody kept.
    summary : Summary
        An empty one; filled meanwhile.
    keys : sequence of VerifyKey
        Whose heads are believed; without any, the ledger's own keys are.
    removed_to : int
        Records up to this one are known to have been removed.

    """
    summary.own_keys_only = not keys
    state = _State(summary, {key.key_id: key for key in keys}, learn=not keys)
    state.witnesses = [_Witness(iter(each)) for each in heads]
    for finding in _verify(lines, state, removed_to):
        summary.findings += 1
        yield finding


def _verify(lines: Iterable[Line], state: _State, removed_to: int) -> Iterator[Finding]:
    summary = state.summary
    for line in lines:
        summary.segments += line.opens >= 0
        untrusted = Flaw.MALFORMED if line.torn else decode(line.data)
        if isinstance(untrusted, Flaw):
            wrong = Wrong.TORN_TAIL if line.torn else _OF_FLAW[untrusted]
            yield Finding(wrong, line.where, line.number, -1, _DETAIL[wrong])
            state.resynced = False
            continue
        for rule in _RULES:
            if (found := rule(untrusted, line, state)) is not None:
                yield Finding(found[0], line.where, line.number, untrusted.seq, found[1])
        _advance(untrusted, line, state)
        for witness in state.witnesses:
            yield from witness.meet(state)
    if summary.records == 0:
        yield Finding(Wrong.EMPTY, "", 0, -1, _DETAIL[Wrong.EMPTY])
    for witness in state.witnesses:
        yield from witness.rest(state)
    if state.first is not None and state.first[1].seq - 1 > removed_to:
        yield from _beginning(*state.first, state)


def _beginning(line: Line, first: Record, state: _State) -> Iterator[Finding]:
    """Find out why a ledger begins later than with record 0."""
    summary, removal = state.summary, state.removal
    if removal is None or removal.seq > summary.vouched:
        detail = f"{first.seq} records before {first.seq} are missing, and no record with a head says that they may be"
        yield Finding(Wrong.MISSING, line.where, line.number, first.seq, detail)
        return
    summary.removed, summary.rule = first.seq, str(removal.body.get("rule", ""))
    if removed_upto(removal) == first.seq - 1 and removal.body.get("digest") != first.previous:
        detail = f"record {first.seq} follows a record with another digest than was removed by record {removal.seq}"
        yield Finding(Wrong.REMOVAL_DIFFERS, line.where, line.number, first.seq, detail)


def removed_upto(removal: Record) -> int:
    """Return the last record that a record of a removal names; -1 where it names none."""
    last = removal.body.get("to")
    return last if type(last) is int else -1


def _advance(record: Record, line: Line, state: _State) -> None:
    summary = state.summary
    if _is_later_beginning(record, line, state):
        state.first = line, record
    if state.first is not None and state.removal is None and record.kind == REMOVED:
        state.removal = record if removed_upto(record) >= state.first[1].seq - 1 else None
    if not summary.ledger and record.kind == SEGMENT:
        summary.ledger = str(record.body.get("ledger", ""))
    if state.learn and record.kind in {SEGMENT, OPENED}:
        _learn(record, state)
    summary.records += 1
    summary.seq, summary.digest, summary.at = record.seq, digest(line.data), record.at
    state.last, state.resynced = line, True


def _learn(record: Record, state: _State) -> None:
    """Believe the key that the ledger names."""
    try:
        key = VerifyKey.from_raw(bytes.fromhex(str(record.body.get("key", ""))))
    except ValueError:
        return
    state.keys[key.key_id] = key


# --- rules of a record -------------------------------------------------------------------------------------------

_Rule = Callable[[Record, Line, _State], "tuple[Wrong, str] | None"]


def _in_order(record: Record, line: Line, state: _State) -> tuple[Wrong, str] | None:
    last = state.summary.seq
    if record.seq == last + 1:
        return None
    if _is_later_beginning(record, line, state):
        return None  # looked into at the end
    if record.seq > last + 1:
        missing = record.seq - last - 1
        return Wrong.MISSING, f"{missing} records before {record.seq} are missing"
    if state.last is not None and line.data == state.last.data:
        return Wrong.DUPLICATE, f"record {record.seq} is there twice"
    return Wrong.REORDERED, f"record {record.seq} comes after {last}"


def _is_later_beginning(record: Record, line: Line, state: _State) -> bool:
    """Whether this is the first record there is, opens its segment, and is not record 0."""
    return state.last is None and state.resynced and record.seq == line.opens > 0 and record.kind == SEGMENT


def _chained(record: Record, line: Line, state: _State) -> tuple[Wrong, str] | None:
    del line
    summary = state.summary
    if not state.resynced or record.seq != summary.seq + 1 or record.previous == summary.digest:
        return None
    return Wrong.BROKEN_CHAIN, f"record {record.seq} follows a record with another digest than {summary.digest}"


def _on_time(record: Record, line: Line, state: _State) -> tuple[Wrong, str] | None:
    del line
    if record.seq != state.summary.seq + 1 or record.at >= state.summary.at or record.kind == CLOCK:
        return None
    return Wrong.CLOCK_BACK, f"{record.at} is before {state.summary.at}, and no {CLOCK} record says why"


def _opens_segment(record: Record, line: Line, state: _State) -> tuple[Wrong, str] | None:
    del state
    if line.opens < 0:
        return None if record.kind != SEGMENT else (Wrong.BAD_SEGMENT, f"a {SEGMENT} record within a segment")
    if record.kind != SEGMENT:
        return Wrong.BAD_SEGMENT, f"the segment begins with a record of kind {record.kind}"
    if record.seq != line.opens:
        return Wrong.BAD_SEGMENT, f"the file is named by {line.opens} and begins with record {record.seq}"
    return None


def _of_ledger(record: Record, line: Line, state: _State) -> tuple[Wrong, str] | None:
    del line
    ledger = state.summary.ledger
    if record.kind not in {SEGMENT, OPENED} or not ledger or record.body.get("ledger") == ledger:
        return None
    return Wrong.FOREIGN_SEGMENT, f"of ledger {record.body.get('ledger')!s}, and this is {ledger}"


_RULES: Final[tuple[_Rule, ...]] = (_in_order, _chained, _on_time, _opens_segment, _of_ledger)

_DETAIL: Final[Mapping[Wrong, str]] = {
    Wrong.MALFORMED: "the line is no record",
    Wrong.NOT_CANONICAL: "the line is not the canonical text of its record",
    Wrong.TOO_LONG: "the line is longer than any record",
    Wrong.TORN_TAIL: "the line does not end; its writer was stopped, and the next one cuts it off",
    Wrong.EMPTY: "there is no record",
}


# --- heads -------------------------------------------------------------------------------------------------------


class _Witness:
    """One file of heads, read along with the records."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines
        self._next: tuple[Line, SignedHead] | None = None
        self._unread: list[Finding] = []
        self._seq = -1
        self._ended = False

    def meet(self, state: _State) -> Iterator[Finding]:
        """Yield what is wrong with the heads up to the current record."""
        while self._peek() and self._next is not None and self._next[1].head.seq <= state.summary.seq:
            yield from self._drain()
            yield from self._compare(*self._next, state)
            self._next = None
        yield from self._drain()

    def rest(self, state: _State) -> Iterator[Finding]:
        """Yield what is wrong with the heads beyond the last record."""
        while self._peek() and self._next is not None:
            yield from self._drain()
            line, head = self._next
            untrusted = list(self._credentials(line, head, state))
            yield from untrusted
            if not untrusted:
                yield self._finding(
                    Wrong.TRUNCATED, line, head, f"the ledger ends at {state.summary.seq}, before this head"
                )
            self._next = None
        yield from self._drain()

    def _peek(self) -> bool:
        """Have the next head at hand; what is none becomes a finding."""
        while self._next is None and not self._ended:
            line = next(self._lines, None)
            if line is None:
                self._ended = True
            elif line.torn or (head := signed_heads.read(line.data)) is None:
                self._unread.append(Finding(Wrong.MALFORMED_HEAD, line.where, line.number, -1, "the line is no head"))
            else:
                self._next = line, head
        return self._next is not None

    def _drain(self) -> Iterator[Finding]:
        unread, self._unread = self._unread, []
        yield from unread

    def _compare(self, line: Line, head: SignedHead, state: _State) -> Iterator[Finding]:
        untrusted = list(self._credentials(line, head, state))
        yield from untrusted
        if untrusted:
            return
        summary, seq = state.summary, head.head.seq
        if state.first is not None and seq < state.first[1].seq:
            pass  # of a record that is not there: whether that may be is for the beginning
        elif seq < summary.seq:
            before = f"after one of {self._seq}" if seq < self._seq else "and no such record is there"
            wrong = Wrong.HEAD_ORDER if seq < self._seq else Wrong.HEAD_DIFFERS
            yield self._finding(wrong, line, head, f"a head of record {seq}, {before}")
        elif head.head.digest != summary.digest:
            detail = f"record {seq} has the digest {summary.digest}, and had {head.head.digest} at {head.head.at}"
            yield self._finding(Wrong.HEAD_DIFFERS, line, head, detail)
        else:
            summary.heads += 1
            summary.vouched = max(summary.vouched, seq)
        self._seq = max(self._seq, seq)

    def _credentials(self, line: Line, head: SignedHead, state: _State) -> Iterator[Finding]:
        key = state.keys.get(head.head.key_id)
        if key is None and state.learn and state.first is not None and head.head.seq < state.first[1].seq:
            return  # the record that named the key is not there any more
        if key is None:
            yield self._finding(
                Wrong.UNKNOWN_KEY, line, head, f"signed with the key {head.head.key_id}, not a known one"
            )
        elif not head.verifies(key):
            yield self._finding(Wrong.BAD_SIGNATURE, line, head, "the signature does not fit")
        elif head.head.ledger != state.summary.ledger:
            ledgers = f"of ledger {head.head.ledger}, and this is {state.summary.ledger}"
            yield self._finding(Wrong.FOREIGN_HEAD, line, head, ledgers)

    @staticmethod
    def _finding(wrong: Wrong, line: Line, head: SignedHead, detail: str) -> Finding:
        return Finding(wrong, line.where, line.number, head.head.seq, detail)
