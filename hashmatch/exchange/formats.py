"""The table of list formats: what they are called, how they are recognised, who reads and writes them.

Theory of operation
-------------------
A format is a row of :data:`FORMATS`, the more particular ones first. ``auto`` goes by what is in the file: the first
format whose ``recognises`` says yes to its head is taken, whatever the file is called. A suffix decides only where no
format recognises anything, as in an empty or a damaged file; the reader then says what is wrong with it. Where the
suffix says nothing either the file is refused, with what was seen.

A format may have options. They are given and checked by name, as texts, because that is how people type them.

A file that is compressed with gzip is unpacked on the way (``compressed``), before anybody looks at its head.

What this module deliberately does not do: it opens no file.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import BinaryIO, Protocol

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import (
    delimited,
    icse,
    jsonl,
    misp,
    ncmec,
    nsrl,
    pytx,
    stix,
    stopncii,
    tat,
    threatexchange,
    vics,
)
from hashmatch.exchange.heads import Head
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, HashSet, Rejected, Row

AUTO = "auto"


class Writer(Protocol):
    """Writes entries, tells ``losses`` what the format cannot carry, returns how many entries were written.

    ``hash_set`` is the set that the entries are of, for formats that say something of the list as a whole.
    """

    def __call__(self, entries: Iterable[Entry], stream: BinaryIO, /, losses: Losses, hash_set: HashSet | None) -> int:
        """Write the entries."""


@dataclass(frozen=True, slots=True)
class Format:
    """One list format.

    ``recognises`` says whether a file with this head is one; ``reader`` takes the stream and the options, by name, and
    raises BadFile at once or while it is read; ``writer`` is None where writing would state what we do not know.
    ``options`` maps names to what they mean. ``known_good`` marks lists of what is *not* harmful. ``row_reader`` reads
    the same rows as ``reader``, long stretches of plain ones in blocks, where a format has a faster way to these.
    ``counts_rows`` is true where the reader opens the file itself: its progress is rows, not bytes of the stream.
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    recognises: Callable[[Head], bool]
    reader: Callable[..., Iterator[Entry | Rejected]]
    writer: Writer | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    known_good: bool = False
    row_reader: Callable[..., Iterator[Row]] | None = None
    counts_rows: bool = False

    def read(self, stream: BinaryIO, options: Mapping[str, str] | None = None) -> Iterator[Entry | Rejected]:
        """Read a list.

        Parameters
        ----------
        stream : BinaryIO
            Read once, from where it stands.
        options : mapping of str to str, optional
            By the names of ``self.options``.

        Returns
        -------
        iterator of Entry or Rejected
            In file order; ``position`` is the line or record, from 1.

        Raises
        ------
        BadInput
            No such option, or it cannot mean what it says.
        BadFile
            The file is not of this format; also while it is read, where it breaks off.

        """
        return self.reader(stream, **self._checked(options))

    def read_rows(self, stream: BinaryIO, options: Mapping[str, str] | None = None) -> Iterator[Row]:
        """Read a list as :meth:`read` does, in blocks where the format can: for imports.

        A block may precede rows that stand before some of its own in the file; positions say where each stood.

        Raises
        ------
        BadInput, BadFile
            As :meth:`read` says.

        """
        return (self.row_reader or self.reader)(stream, **self._checked(options))

    def _checked(self, options: Mapping[str, str] | None) -> Mapping[str, str]:
        stated = options or {}
        if unknown := [name for name in stated if name not in self.options]:
            there_are = f"there are {', '.join(self.options)}" if self.options else "it has none"
            raise BadInput(f"the format {self.name} has no option {unknown[0]!r}; {there_are}", field="option")
        return stated

    def write(
        self,
        entries: Iterable[Entry],
        stream: BinaryIO,
        losses: Losses | None = None,
        hash_set: HashSet | None = None,
    ) -> int:
        """Write a list and return the number of entries written; ``losses`` gets what the format cannot carry.

        Raises
        ------
        BadInput
            The format is only read.

        """
        if self.writer is None:
            raise BadInput(f"{self.name} is only read; written are {', '.join(written())}", field="format")
        return self.writer(entries, stream, Losses() if losses is None else losses, hash_set)


def _whole(write: Callable[[Iterable[Entry], BinaryIO], int]) -> Writer:
    """Make a :class:`Writer` of one that loses nothing."""

    def writer(entries: Iterable[Entry], stream: BinaryIO, /, losses: Losses, hash_set: HashSet | None) -> int:  # noqa: ARG001
        return write(entries, stream)

    return writer


_TABLE = (
    Format(
        "vics",
        "Project VIC's VICS 1.3 and 2.0, JSON",
        (),
        vics.recognises,
        vics.read,
        vics.write,
        {"categories": "those that are taken, as 1,2 or US:1,2,3;UK:1,2; by default 1 and 2; none for records without"},
    ),
    Format(
        "caid",
        "NIST's CAID list of known good files, JSON",
        (),
        vics.recognises_known_good,
        vics.read_known_good,
        known_good=True,
    ),
    Format("ncmec", "a page of NCMEC hash sharing v2, XML", (".xml",), ncmec.recognises, ncmec.read),
    Format("stopncii", "a page of StopNCII, JSON", (), stopncii.recognises, stopncii.read),
    Format("tat", "a page of Tech Against Terrorism's hash list, JSON", (), tat.recognises, tat.read),
    Format(
        "threatexchange",
        "a page of ThreatExchange updates, JSON",
        (),
        threatexchange.recognises,
        threatexchange.read,
    ),
    Format("stix", "STIX 2.1 bundle, JSON", (), stix.recognises, stix.read, stix.write),
    Format("misp", "MISP event, JSON", (), misp.recognises, misp.read, misp.write),
    Format("nsrl", "NIST's NSRL, RDS v2: NSRLFile.txt", (), nsrl.recognises, nsrl.read, known_good=True),
    Format(
        "nsrl-sqlite",
        "NIST's NSRL, RDS v3: an SQLite database",
        (".db",),
        nsrl.recognises_database,
        nsrl.read_database,
        known_good=True,
        counts_rows=True,
    ),
    Format("icse", "INTERPOL ICSE export, CSV", (), icse.recognises, icse.read),
    Format(
        "pytx",
        "python-threatexchange local file, a value a line",
        (".txt",),
        pytx.recognises,
        pytx.read,
        pytx.write,
        {"signal": "what a line without a name holds, an algorithm; by default its length says it"},
    ),
    Format("jsonl", "JSON Lines", (".jsonl", ".ndjson"), jsonl.recognises, jsonl.read, _whole(jsonl.write)),
    Format(
        "csv",
        "comma-, semicolon- or tab-separated, with a header",
        (".csv", ".tsv"),
        delimited.recognises,
        delimited.read,
        delimited.write,
        row_reader=delimited.read_rows,
    ),
)
"""The more particular first: an ICSE file is a CSV file, too."""

FORMATS: Mapping[str, Format] = types.MappingProxyType({entry.name: entry for entry in _TABLE})


def written() -> tuple[str, ...]:
    """Names of the formats that can be written."""
    return tuple(entry.name for entry in FORMATS.values() if entry.writer is not None)


def named(name: str) -> Format:
    """Return a format by name.

    Raises
    ------
    BadInput
        No format of that name.

    """
    found = FORMATS.get(name)
    if found is None:
        raise BadInput(f"no list format {name!r}; there are {', '.join(FORMATS)}", field="format")
    return found


def choose(name: str, file: str, head: bytes) -> Format:
    """Return the format that was asked for, or with ``auto`` the one that the file seems to have.

    Raises
    ------
    BadInput
        No format of that name.
    BadFile
        See :func:`sniff`.

    """
    return sniff(file, head) if name == AUTO else named(name)


def sniff(file: str, head: bytes) -> Format:
    """Return the format that a file seems to have.

    Parameters
    ----------
    file : str
        Name of the file; only its suffix is looked at, and only where the head says nothing.
    head : bytes
        The file's beginning, as much as is at hand; 64 KiB are enough.

    Raises
    ------
    BadFile
        It seems to have none; says what was seen.

    """
    seen = Head.of(head)
    for entry in FORMATS.values():
        if entry.recognises(seen):
            return entry
    suffix = PurePath(file).suffix.lower()
    for entry in FORMATS.values():
        if suffix in entry.suffixes:
            return entry
    raise BadFile(
        f"{file} is {seen.described()}, none of the list formats; there are {', '.join(FORMATS)}, "
        "and --format says which one is meant",
        field="file",
    )


def ours(file: str) -> Format:
    """Return the format of ours for a file to be written: CSV by suffix, else JSON Lines."""
    suffix = PurePath(file).suffix.lower()
    return FORMATS["csv" if suffix in FORMATS["csv"].suffixes else "jsonl"]
