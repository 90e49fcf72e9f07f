"""python-threatexchange's local file: one signal a line, ``pdq f8f8...``, or only the value.

Theory of operation
-------------------
A line is a signal type and a value with white space between, or a value alone (reference formats §3.5). A signal type
that is the name of an algorithm is that algorithm; ``video_md5`` is the MD5 of a video's bytes, an MD5 like any other,
and is marked with the label ``pytx:signal=video_md5``. Others (``url``, ``raw_text``) are no hashes: rejected rows. Of
a value alone the length says what it is: 64 hexadecimal digits are PDQ, as python-threatexchange knows no SHA-256,
32 are MD5 and 40 are SHA-1. The option ``signal`` says otherwise for a whole file.

Written are the values that python-threatexchange knows: PDQ, and an MD5 that has that label. The MD5 of a picture has
no name there. Nothing else of an entry fits into a line, neither does a withdrawal: only active entries are written.

What this module deliberately does not do: it reads no exchange's dump; ``threatexchange`` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from hashmatch.errors import BadInput
from hashmatch.exchange import rows
from hashmatch.exchange.heads import Head
from hashmatch.exchange.lines import numbered_lines
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Algorithm, Entry, EntryHash, HashSet, Label, Rejected

EXPECTED = "a python-threatexchange local file: a value a line, or a signal type and a value"

VIDEO_MD5 = "video_md5"

VIDEO_LABEL = Label("pytx:signal", "", VIDEO_MD5)

REASON = "a line holds a signal type and a value"
"""Why all else is lost."""

BY_LENGTH = {64: "pdq", 32: "md5", 40: "sha1"}
"""What so many hexadecimal digits are, in a line without a signal type."""

_LINE = re.compile(r"(?:[A-Za-z_][\w-]*[ \t]+)?[0-9A-Fa-f]{32,}")


def recognises(head: Head) -> bool:
    """Say whether the first line is a value, or a word and a value."""
    return _LINE.fullmatch(head.first_line.rstrip()) is not None


def read(stream: BinaryIO, signal: str = "") -> Iterator[Entry | Rejected]:
    """Read a local file; its first line is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, line by line, from where it stands. An empty stream is an empty list.
    signal : str
        Algorithm of values without a signal type; their length says it where this is empty.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the line, from 1. An entry_id is empty.

    Raises
    ------
    BadInput
        ``signal`` is no algorithm.
    BadFile
        The file is no text.

    """
    known = rows.algorithms_by_folded_name()
    try:
        stated = rows.parse_algorithm(signal, known) if signal else None
    except BadCell as bad:
        raise BadInput(f"signal: {bad.reason}", field="signal") from bad
    return _signals(numbered_lines(stream, EXPECTED), known, stated)


def _signals(
    lines: Iterable[tuple[int, str | Rejected]], known: dict[str, Algorithm], stated: Algorithm | None
) -> Iterator[Entry | Rejected]:
    for number, line in lines:
        if isinstance(line, Rejected):
            yield line
        elif words := line.split():
            try:
                yield _entry(number, words, known, stated)
            except BadCell as bad:
                yield Rejected(number, bad.field, bad.reason)


def _entry(number: int, words: list[str], known: dict[str, Algorithm], stated: Algorithm | None) -> Entry:
    """Return the entry of one line; raises BadCell."""
    labels: tuple[Label, ...] = ()
    match words:
        case [text]:
            algorithm = stated or known.get(BY_LENGTH.get(len(text), ""))
            if algorithm is None:
                raise BadCell("value", f"{len(text)} characters; expected a PDQ, MD5 or SHA-1 value in hex")
        case [name, text]:
            labels = (VIDEO_LABEL,) if name == VIDEO_MD5 else ()
            found = known.get("md5" if labels else rows.folded(name))
            if found is None:
                raise BadCell("signal", f"{rows.shown(name)} is no hash that is installed")
            algorithm = found
        case _:
            raise BadCell("", f"{len(words)} words; expected {EXPECTED}")
    return Entry("", (EntryHash(algorithm.name, rows.parse_value(algorithm, text)),), labels, position=number)


def write(
    entries: Iterable[Entry],
    stream: BinaryIO,
    /,
    losses: Losses,
    hash_set: HashSet | None = None,  # noqa: ARG001 - the file says nothing of the list
) -> int:
    """Write the values that the format has a name for; return the number of entries of which one was written."""
    written = 0
    for entry in entries:
        if losses.unless_active(entry):
            continue
        named = [(name, item) for item in entry.hashes if (name := _signal_type(entry, item))]
        if not named:
            losses.entry(entry, "none of its values is a PDQ or the MD5 of a video")
            continue
        stream.write("".join(f"{name} {item.hex}\n" for name, item in named).encode())
        kept = tuple(EntryHash(item.algorithm, item.value) for _, item in named)
        labels = tuple(label for label in entry.labels if label == VIDEO_LABEL)
        losses.compare(entry, Entry("", kept, labels), REASON)
        if len(kept) > 1:
            losses.detail(entry, "that values belong together", REASON)
        written += 1
    return written


def _signal_type(entry: Entry, item: EntryHash) -> str:
    """Return what a value is called, nothing where it has no name."""
    if item.algorithm == "md5" and VIDEO_LABEL in entry.labels:
        return VIDEO_MD5
    return "pdq" if item.algorithm == "pdq" else ""
