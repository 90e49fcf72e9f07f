"""INTERPOL's ICSE export: CSV with semicolons and one exact header. Read only.

Theory of operation
-------------------
The header must be :data:`HEADER`, column by column (reference formats §3.3); columns behind it are left out, with one
rejected row of the header's line. A record becomes one entry: MD5, SHA-1 and PhotoDNA are its hashes, ``Image ID`` its
external id, and what classifies it are labels of the scheme ``icse:<column>``: the flags where they are true, the name
of the series, the media type. A flag is ``true``, ``false`` or blank; any other word spoils the record, since a flag
that was not understood must not become false.

The entry's id is made from its first hash, so that the record of the same file in another list of the set is the same
entry.

What this module deliberately does not do: it writes no such file. The format says who identified a victim and whether
INTERPOL's baseline applies; a file that looks like INTERPOL's and is not states both without a ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from hashmatch.errors import BadFile
from hashmatch.exchange import rows
from hashmatch.exchange.delimited import cells
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.lines import numbered_lines
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, Label, Provenance, Rejected

HEADER = (
    "MD5",
    "SHA1",
    "PhotoDNA",
    "Image ID",
    "Is distributed",
    "Victim identified",
    "Offender identified",
    "Series name",
    "Number of submissions",
    "File Available",
    "Media Type",
    "Baseline",
)

DELIMITER = ";"

HASHES = ("MD5", "SHA1", "PhotoDNA")

FLAGS = ("Is distributed", "Victim identified", "Offender identified", "Baseline")
"""Labels where they are true; ``File Available`` is about INTERPOL's store and not about the picture."""

TEXTS = ("Series name", "Media Type")

SCHEME = "icse:"

EXPECTED = f"an ICSE export, whose first line is {DELIMITER.join(HEADER)}"

_AT = {name: index for index, name in enumerate(HEADER)}


def recognises(head: Head) -> bool:
    """Say whether a file begins with the header."""
    return head.first_line.startswith(DELIMITER.join(HEADER))


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read an export; its header is read before this returns.

    Parameters
    ----------
    stream : BinaryIO
        Read once, line by line, from where it stands.

    Returns
    -------
    iterator of Entry or Rejected
        In file order; ``position`` is the line, from 1. An entry_id is empty.

    Raises
    ------
    BadFile
        The first line is not the header.

    """
    lines = numbered_lines(stream, EXPECTED)
    _, first = next(lines, (0, ""))
    names = () if isinstance(first, Rejected) else tuple(name.strip() for name in first.split(DELIMITER))
    if names[: len(HEADER)] != HEADER:
        seen = first.reason if isinstance(first, Rejected) else rows.shown(first)
        raise BadFile(f"the first line is {seen}; expected {EXPECTED}", field="file")
    return _records(lines, names)


def _records(lines: Iterable[tuple[int, str | Rejected]], names: tuple[str, ...]) -> Iterator[Entry | Rejected]:
    for name in names[len(HEADER) :]:
        yield Rejected(1, name[: rows.SHOWN_CHARS], "no column of an ICSE export; it was left out")
    installed = Installed()
    for number, line in lines:
        if isinstance(line, Rejected):
            yield line
        elif line and not line.isspace():
            try:
                record = cells(line, DELIMITER)
                if len(record) != len(names):
                    yield Rejected(number, "", f"{len(record)} cells where the header has {len(names)}")
                    continue
                entry = _entry(number, record, installed)
            except BadCell as bad:
                yield Rejected(number, bad.field, bad.reason)
                continue
            yield from installed.unsaid()
            yield entry


def _entry(number: int, record: list[str], installed: Installed) -> Entry:
    """Return the entry of one record; raises BadCell."""
    stated = ((name, record[_AT[name]]) for name in HASHES)
    parsed = [installed.parse(number, name, text, name) for name, text in stated if text]
    hashes = tuple(item for item in parsed if item is not None)
    if not hashes:
        raise BadCell("MD5", "the record holds no hash that is installed")
    labels = [Label(f"{SCHEME}{name}", "", "true") for name in FLAGS if _flag(name, record[_AT[name]])]
    labels += [Label(f"{SCHEME}{name}", "", record[_AT[name]]) for name in TEXTS if record[_AT[name]]]
    return Entry("", hashes, tuple(labels), Provenance(external_id=record[_AT["Image ID"]]), position=number)


def _flag(name: str, text: str) -> bool:
    folded = text.lower()
    if folded not in {"true", "false", ""}:
        raise BadCell(name, f"{rows.shown(text)} is no flag: expected true, false or nothing")
    return folded == "true"
