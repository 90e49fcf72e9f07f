"""NIST's National Software Reference Library, for allow sets: RDS v2, a CSV file, and RDS v3, a database. Read only.

Theory of operation
-------------------
The library lists files of published software: icons, stock photos, the pictures of a slide template. They are harmless
and come back every day, so their digests make an allow-list (reference formats §3.8). Both forms are *known good*
formats of the table and are imported into allow sets only.

Version 2 has one exact header. ``SpecialCode`` ``M`` marks malicious files: they are rejected rows, because "known" is
not "harmless". Version 3 has a table ``FILE`` with the digests and the package of each file. A digest is a hash, the
product or package a label ``nsrl:…``; CRC-32, names and sizes are not read.

SQLite reads files and not streams. A stream that is a file is opened once more through its descriptor, read only;
anything else (a pipe, a compressed file) is first copied into a temporary file of its own. The database is a
stranger's: ``FILE`` must be a table with rows of its own, no view and no virtual table, its schema is not trusted with
functions, and no value may be longer than a line.

What this module deliberately does not do: it writes neither, and it judges no package.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterable, Iterator
from typing import BinaryIO
from urllib.parse import quote

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import rows
from hashmatch.exchange.delimited import cells
from hashmatch.exchange.heads import Head
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.lines import MAX_LINE_BYTES, numbered_lines
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, Label, Rejected

HEADER = ("SHA-1", "MD5", "CRC32", "FileName", "FileSize", "ProductCode", "OpSystemCode", "SpecialCode")

HASHES = ("SHA-1", "MD5")

MALICIOUS = "M"

EXPECTED = f"NSRLFile.txt of an RDS v2, whose first line is {','.join(HEADER)}"
EXPECTED_DATABASE = "an RDS v3, an SQLite database with a table FILE"

SCHEME = "nsrl:"

MAGIC = b"SQLite format 3\0"

DATABASE_HASHES = ("sha256", "sha1", "md5")

_AT = {name: index for index, name in enumerate(HEADER)}
_BATCH_ROWS = 10_000


def recognises(head: Head) -> bool:
    """Say whether a file begins with the header of version 2."""
    return _names(head.first_line) == HEADER


def recognises_database(head: Head) -> bool:
    """Say whether a file is a database whose first page speaks of packages of files."""
    return head.raw.startswith(MAGIC) and b"package_id" in head.raw


def _names(line: str) -> tuple[str, ...]:
    return tuple(name.strip().strip('"') for name in line.split(","))


def read(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read version 2; its header is read before this returns.

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
    if isinstance(first, Rejected) or _names(first) != HEADER:
        seen = first.reason if isinstance(first, Rejected) else rows.shown(first)
        raise BadFile(f"the first line is {seen}; expected {EXPECTED}", field="file")
    return _records(lines)


def _records(lines: Iterable[tuple[int, str | Rejected]]) -> Iterator[Entry | Rejected]:
    installed = Installed()
    for number, line in lines:
        if isinstance(line, Rejected):
            yield line
        elif line and not line.isspace():
            try:
                yield _entry(number, cells(line, ","), installed)
            except BadCell as bad:
                yield Rejected(number, bad.field, bad.reason)


def _entry(number: int, record: list[str], installed: Installed) -> Entry:
    """Return the entry of one line; raises BadCell."""
    if len(record) != len(HEADER):
        raise BadCell("", f"{len(record)} cells where the header has {len(HEADER)}")
    special = record[_AT["SpecialCode"]]
    if special.upper() == MALICIOUS:
        raise BadCell("SpecialCode", "M: the file is malicious, known and not harmless")
    stated = ((name, record[_AT[name]]) for name in HASHES)
    hashes = tuple(
        item for name, text in stated if text and (item := installed.parse(number, name, text, name)) is not None
    )
    if not hashes:
        raise BadCell("SHA-1", "the line holds neither a SHA-1 nor an MD5")
    return Entry(
        "", hashes, _labels(("ProductCode", record[_AT["ProductCode"]]), ("SpecialCode", special)), position=number
    )


@functools.lru_cache(maxsize=1_024)
def _labels(*stated: tuple[str, str]) -> tuple[Label, ...]:
    return tuple(Label(f"{SCHEME}{name}", "", text) for name, text in stated if text)


def read_database(stream: BinaryIO) -> Iterator[Entry | Rejected]:
    """Read version 3.

    Parameters
    ----------
    stream : BinaryIO
        An open file, which is not read but opened again; or anything else, which is copied first.

    Yields
    ------
    Entry or Rejected
        In the order of the table; ``position`` is the row, from 1. An entry_id is empty.

    Raises
    ------
    BadFile
        The file is no database, has no table ``FILE`` with digests, or is damaged.
    BadInput
        It is no file, and there is no room for a copy.

    """
    with contextlib.ExitStack() as stack:
        path = _path(stream, stack)
        try:
            connection = sqlite3.connect(f"file:{quote(path)}?mode=ro&immutable=1", uri=True)
            stack.enter_context(contextlib.closing(connection))
            yield from _database(connection)
        except sqlite3.Error as error:
            reason = f"the database cannot be read: {error}; expected {EXPECTED_DATABASE}"
            raise BadFile(reason, field="file") from error


def _path(stream: BinaryIO, stack: contextlib.ExitStack) -> str:
    """Return the path of a regular file with what the stream holds."""
    with contextlib.suppress(OSError):  # io.UnsupportedOperation is one: the stream is no file
        descriptor = stream.fileno()
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return f"/proc/self/fd/{descriptor}"
    copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="hashmatch-nsrl-"))  # noqa: SIM115 - the stack's
    try:
        shutil.copyfileobj(stream, copy, MAX_LINE_BYTES)
        copy.flush()
    except OSError as error:
        raise BadInput(
            f"there is no room in {tempfile.gettempdir()} to unpack the database ({error.strerror}); "
            "import it from a file that is not compressed",
            field="file",
        ) from error
    return copy.name


def _database(connection: sqlite3.Connection) -> Iterator[Entry | Rejected]:
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_LINE_BYTES)
    for pragma in ("trusted_schema = OFF", "cell_size_check = ON", "mmap_size = 0", "query_only = ON"):
        connection.execute(f"PRAGMA {pragma}")
    tables = connection.execute("SELECT type, sql FROM sqlite_schema WHERE name = 'FILE' COLLATE NOCASE").fetchall()
    if not any(kind == "table" and str(sql).upper().startswith("CREATE TABLE") for kind, sql in tables):
        raise BadFile(f"the database has no table FILE; expected {EXPECTED_DATABASE}", field="file")
    columns = {str(row[1]).lower() for row in connection.execute("PRAGMA table_info(FILE)")}
    digests = tuple(name for name in DATABASE_HASHES if name in columns)
    if not digests:
        raise BadFile(f"the table FILE has none of the columns {', '.join(DATABASE_HASHES)}", field="file")
    package = "package_id" if "package_id" in columns else "NULL"
    installed = Installed()
    found = connection.execute(f"SELECT {package}, {', '.join(digests)} FROM FILE")  # noqa: S608 - names of our own
    found.arraysize = _BATCH_ROWS
    for position, (packaged, *values) in enumerate(found, 1):
        try:
            yield _row(position, packaged, dict(zip(digests, values, strict=True)), installed)
        except BadCell as bad:
            yield Rejected(position, bad.field, bad.reason)


def _row(position: int, packaged: object, values: dict[str, object], installed: Installed) -> Entry:
    """Return the entry of one row of ``FILE``; raises BadCell."""
    hashes = []
    for name, text in values.items():
        if text is None or text == "":
            continue
        if not isinstance(text, str):
            raise BadCell(name, f"{rows.shown(text)}: expected a text")
        item = installed.parse(position, name, text, name)
        if item is not None:
            hashes.append(item)
    if not hashes:
        raise BadCell("sha1", "the row holds no digest")
    labels = _labels(("package_id", str(packaged))) if isinstance(packaged, (int, str)) else ()
    return Entry("", tuple(hashes), labels, position=position)
