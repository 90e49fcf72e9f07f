"""The table of list formats: what they are called, how they are recognised, who reads and writes them.

Theory of operation
-------------------
A format is a row of :data:`FORMATS`. ``auto`` goes by the file's suffix where it is one of ours, and otherwise by the
first bytes: a list whose first character is a brace is JSON Lines, everything else is taken for CSV, whose reader says
what is wrong when it is neither.

What this module deliberately does not do: it opens no file.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import BinaryIO

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import delimited, jsonl
from hashmatch.exchange.lines import BOM
from hashmatch.model import Entry, Rejected

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Format:
    """One list format. ``read`` raises BadFile at once, ``write`` returns the number of entries."""

    name: str
    title: str
    suffixes: tuple[str, ...]
    read: Callable[[BinaryIO], Iterator[Entry | Rejected]]
    write: Callable[[Iterable[Entry], BinaryIO], int]


FORMATS: Mapping[str, Format] = types.MappingProxyType(
    {
        "csv": Format(
            "csv",
            "comma-, semicolon- or tab-separated, with a header",
            (".csv", ".tsv"),
            delimited.read,
            delimited.write,
        ),
        "jsonl": Format("jsonl", "JSON Lines", (".jsonl", ".ndjson"), jsonl.read, jsonl.write),
    }
)


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
        Name of the file; only its suffix is looked at.
    head : bytes
        The file's beginning, as much as is at hand.

    Raises
    ------
    BadFile
        A JSON array, which is not JSON Lines.

    """
    suffix = PurePath(file).suffix.lower()
    for entry in FORMATS.values():
        if suffix in entry.suffixes:
            return entry
    begins = head.removeprefix(BOM).lstrip()[:1]
    if begins == b"[":
        raise BadFile(f"{file} is a JSON array; expected {jsonl.EXPECTED}", field="file")
    return FORMATS["jsonl" if begins == b"{" else "csv"]
