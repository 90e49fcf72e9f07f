"""Lists of reported addresses: CSV, JSON Lines or plain lines, from whoever wrote them, as a stream of submissions.

Theory of operation
-------------------
The content decides what a list is, never the name of the file: the first line that says something begins with a brace
(JSON Lines), is a header with a column of addresses (CSV, separated by comma, semicolon or tab), or is an address
(plain lines; those that begin with ``#`` are comments). Columns and keys are found by name, in any order, spelling and
in four languages; :data:`ALIASES` lists them.

Every row is a result. One that holds no address, is no JSON or leaves a quote open becomes :class:`Unusable`, with its
line and the reason, and the next one is read as if nothing had happened. A quoted cell may go on over several lines, as
spreadsheets write remarks; a quote that never ends spoils its own line only. Text that is in none of the encodings
below ends the reading instead: a list that is decoded wrongly has wrong addresses everywhere.

Memory is bounded by the longest line allowed, whatever the list. Of a ``data:`` address nothing is kept but its type:
it is the picture itself.

What this module deliberately does not do: it repairs no address and judges none (``urls`` does), and it does not read
columns it does not know: a list may say who reported.

Source: reference formats §4.2; RFC 4180; RFC 8259.
"""

from __future__ import annotations

import codecs
import csv
import itertools
import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from hashmatch.errors import BadFile
from hashmatch.exchange.lines import foreign_kind
from hashmatch.model.hotline import Submission

MAX_LINE_CHARS: Final = 64 << 10
"""An address of 8 kB with every other column full, eight times over."""

MAX_URL_CHARS: Final = 8_192
"""What browsers and servers take at least; longer ones are refused, and 2,000 characters of them kept."""

MAX_CELL_CHARS: Final = 2_000
"""Kept of any other column."""

MAX_QUOTED_LINES: Final = 100
"""Lines that one quoted cell may go on for."""

BLOCK_BYTES: Final = 64 << 10

DELIMITERS: Final = (",", ";", "\t")

_BOMS: Final = (
    (codecs.BOM_UTF32_LE, ""),
    (codecs.BOM_UTF32_BE, ""),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks, longer ones first, and what they mean; an empty name: not read."""

ALIASES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "url": frozenset(
            {"url", "urls", "uri", "link", "links", "address", "webaddress", "website", "href", "reportedurl"}
            | {"reportedaddress", "reportedlink", "pageurl", "contenturl", "fullurl", "urlreported", "reporturl"}
            | {"adres", "webadres", "adresse", "webadresse", "lien", "adresseweb"}
        ),
        "report_id": frozenset(
            {"reportid", "report", "reportnumber", "id", "reference", "ref", "referencenumber", "caseid", "case"}
            | {"ticket", "ticketid", "meldingid", "melding", "meldungsid", "aktenzeichen", "signalement"}
        ),
        "received_at": frozenset(
            {"receivedat", "received", "receivedon", "datereceived", "reportedat", "reportedon", "date", "datetime"}
            | {"timestamp", "time", "datum", "ontvangen", "ontvangenop", "eingang", "eingegangenam", "recule"}
        ),
        "channel": frozenset({"channel", "source", "intake", "origin", "kanaal", "bron", "kanal", "quelle", "canal"}),
        "theme": frozenset({"theme", "category", "subject", "topic", "thema", "kategorie", "categorie"}),
        "site_type": frozenset({"sitetype", "typeofsite", "site", "platform", "platformtype", "websitetype"}),
        "priority": frozenset({"priority", "prio", "urgency", "prioriteit", "prioritaet", "priorite"}),
        "remarks": frozenset(
            {"remarks", "remark", "comment", "comments", "note", "notes", "description", "memo", "opmerking"}
            | {"opmerkingen", "bemerkung", "bemerkungen", "remarque", "remarques"}
        ),
    }
)
"""Name of a column to the names it goes by, in lower case, letters and digits only."""

_COLUMN_OF: Final = {alias: column for column, names in ALIASES.items() for alias in names}
_DATA: Final = re.compile(r"\s*(data:[\w.+-]*/?[\w.+-]*)", re.IGNORECASE)
_BRACKET: Final = re.compile(r"""\s*(\{|\[\s*([\[{"]|$))""")
_JSON: Final = "one JSON object with a key `url` per line"


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row without an address that could be fetched; its submission holds what could be read of it."""

    submission: Submission
    reason: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A list whose beginning was read. ``left_out`` names columns that are not read; ``rows`` is read once."""

    form: str
    """``csv``, ``jsonl`` or ``lines``."""
    rows: Iterator[Submission | Unusable]
    left_out: tuple[str, ...] = ()


class Stream(Protocol):
    """Where a list is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes; none at the end."""


_Line = tuple[int, str | None]
"""Number from 1, and the text without its end; None where it is longer than :data:`MAX_LINE_CHARS`."""


def read(stream: Stream) -> Listing:
    """Recognise a list and begin to read it.

    Parameters
    ----------
    stream : Stream
        Read once, in blocks, from where it stands.

    Raises
    ------
    BadFile
        Not text, in no encoding that is read, a document of JSON instead of lines, or a header without addresses. The
        encoding of what follows is checked as it is read, so that ``rows`` may raise it, too.

    """
    lines = _lines(stream)
    before: list[_Line] = []
    for number, text in lines:
        if text is not None and (not text.strip() or text.lstrip().startswith("#")):
            continue
        before.append((number, text))
        break
    everything = itertools.chain(before, lines)
    head = before[0][1] if before else None
    if head is None:
        return Listing("lines", _plain(everything))
    if _BRACKET.match(head):
        _refuse_document(before[0][0], head)
        return Listing("jsonl", _json(everything))
    delimiter, columns = _header(head)
    if not columns:
        return Listing("lines", _plain(everything))
    next(everything)
    names = _cells(head, delimiter)
    if "url" not in columns:
        raise BadFile(f"the header names no column `url` (or {_some('url')}); it has {_named(names)}", field="urls")
    left_out = tuple(name for index, name in enumerate(names) if name and index not in columns.values())
    return Listing("csv", _csv(everything, delimiter, columns, len(names)), left_out)


def folded(name: str) -> str:
    """Return a column's name as :data:`ALIASES` has it: ``Report-ID`` is ``reportid``."""
    return "".join(sign for sign in name.casefold() if sign.isalnum())


# --- lines -------------------------------------------------------------------------------------------------------


def _lines(stream: Stream) -> Iterator[_Line]:
    """Yield numbered lines; what is too long is dropped up to its end."""
    number, pending, dropping = 1, "", False
    for text in _decoded(stream):
        *whole, rest = re.split(r"\r\n|\n|\r", pending + text)
        for line in whole:
            yield number, None if dropping or len(line) > MAX_LINE_CHARS else line
            number, dropping = number + 1, False
        if rest and len(rest) > MAX_LINE_CHARS:
            dropping, rest = True, rest[:1]
        pending = rest
    if pending or dropping:
        yield number, None if dropping or len(pending) > MAX_LINE_CHARS else pending


def _decoded(stream: Stream) -> Iterator[str]:
    """Yield the text of a stream block by block; a carriage return is never the last sign of a block but the last."""
    block = stream.read(BLOCK_BYTES)
    encoding = _encoding(block)
    decoder = codecs.getincrementaldecoder(encoding)()
    held, lines = "", 1
    block = block.removeprefix(next((bom for bom, name in _BOMS if name == encoding and block.startswith(bom)), b""))
    while True:
        try:
            text = held + decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            near = error.object[: error.start].decode(encoding, "replace").count("\n")
            raise BadFile(
                f"line {lines + near}: byte {error.object[error.start]:#04x} is not {encoding.upper()}; save the list "
                "as UTF-8",
                field="urls",
            ) from error
        held = "\r" if block and text.endswith("\r") else ""
        text = text.removesuffix(held)
        lines += text.count("\n")
        if "\0" in text:
            raise BadFile("the list holds NUL bytes: it is no text, or UTF-16 without its mark; save it as UTF-8",
                          field="urls")  # fmt: skip
        yield text
        if not block:
            return
        block = stream.read(BLOCK_BYTES)


def _encoding(head: bytes) -> str:
    """Return the encoding that a list is read in.

    Raises
    ------
    BadFile
        It says that it is something else.

    """
    for mark, name in _BOMS:
        if head.startswith(mark):
            if not name:
                raise BadFile("the list is UTF-32; save it as UTF-8", field="urls")
            return name
    if kind := foreign_kind(head):
        raise BadFile(f"the list is {kind}; expected CSV, JSON Lines or one address per line", field="urls")
    return "utf-8"


# --- rows --------------------------------------------------------------------------------------------------------


def _plain(lines: Iterable[_Line]) -> Iterator[Submission | Unusable]:
    count = 0
    for number, text in lines:
        if text is not None and (not text.strip() or text.lstrip().startswith("#")):
            continue
        count += 1
        yield _too_long(count, number) if text is None else _row(count, number, {"url": text})


def _json(lines: Iterable[_Line]) -> Iterator[Submission | Unusable]:
    count = 0
    for number, text in lines:
        if text is not None and not text.strip():
            continue
        count += 1
        yield _too_long(count, number) if text is None else _json_row(count, number, text)


def _json_row(count: int, number: int, text: str) -> Submission | Unusable:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return _unusable(count, number, f"no JSON; expected {_JSON}")
    if not isinstance(found, dict):
        return _unusable(count, number, f"no JSON object; expected {_JSON}")
    values: dict[str, str] = {}
    for key, value in found.items():
        column = _COLUMN_OF.get(folded(key))
        if column and column not in values and isinstance(value, str | int | float) and not isinstance(value, bool):
            values[column] = str(value).encode(errors="backslashreplace").decode()  # JSON can write half a character
    return _row(count, number, values)


def _csv(
    lines: Iterable[_Line], delimiter: str, columns: Mapping[str, int], width: int
) -> Iterator[Submission | Unusable]:
    count = 0
    for number, text in _joined(lines, delimiter):
        if text is not None and not text.strip().strip(delimiter).strip():
            continue
        count += 1
        if text is None:
            yield _too_long(count, number)
            continue
        try:
            cells = _cells(text, delimiter)
        except csv.Error as error:
            yield _unusable(count, number, f"{error}: a quote inside a cell is doubled, and a quoted cell ends")
            continue
        if len(cells) > width and any(cells[width:]):
            yield _unusable(count, number, f"{len(cells)} cells where the header has {width}; quote cells that hold "
                            f"{delimiter!r}")  # fmt: skip
            continue
        yield _row(count, number, {name: cells[at] for name, at in columns.items() if at < len(cells)})


def _joined(lines: Iterable[_Line], delimiter: str) -> Iterator[_Line]:
    """Yield rows of CSV: lines, and where a quote stays open the following ones that it goes on in."""
    source, ahead = iter(lines), deque[_Line]()
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        number, text = line
        if text is None or text.count('"') % 2 == 0:
            yield line
            continue
        taken, joined = 0, text
        while joined.count('"') % 2 and taken < MAX_QUOTED_LINES and len(joined) <= MAX_LINE_CHARS:
            if taken == len(ahead):
                further = next(source, None)
                if further is None:
                    break
                ahead.append(further)
            following = ahead[taken][1]
            if following is None:
                break
            taken, joined = taken + 1, f"{joined}\n{following}"
        if joined.count('"') % 2 or not _reads(joined, delimiter):
            yield line  # the quote never ends: this line alone is spoilt
            continue
        for _ in range(taken):
            ahead.popleft()
        yield number, joined


def _reads(text: str, delimiter: str) -> bool:
    try:
        _cells(text, delimiter)
    except csv.Error:
        return False
    return True


def _cells(text: str, delimiter: str) -> list[str]:
    if '"' not in text:
        return [cell.strip() for cell in text.split(delimiter)]
    rows = list(csv.reader((f"{line}\n" for line in text.split("\n")), delimiter=delimiter, strict=True))
    if len(rows) != 1:
        raise csv.Error("a line ends inside a row")
    return [cell.strip() for cell in rows[0]]


def _row(count: int, number: int, values: Mapping[str, str]) -> Submission | Unusable:
    url = values.get("url", "").strip()
    extra = {name: value.strip()[:MAX_CELL_CHARS] for name, value in values.items() if name != "url" and value.strip()}
    if inline := _DATA.match(url):
        return Unusable(
            Submission(count, inline[1][:MAX_CELL_CHARS], extra), f"line {number}: a data: URL is a file, no address"
        )
    if not url:
        return Unusable(Submission(count, "", extra), f"line {number}: no address")
    if len(url) > MAX_URL_CHARS:
        return Unusable(
            Submission(count, url[:MAX_CELL_CHARS], extra),
            f"line {number}: {len(url)} characters; an address has at most {MAX_URL_CHARS}",
        )
    return Submission(count, url, extra)


def _too_long(count: int, number: int) -> Unusable:
    return _unusable(count, number, f"longer than {MAX_LINE_CHARS} characters; no row is that long")


def _unusable(count: int, number: int, reason: str) -> Unusable:
    return Unusable(Submission(count, ""), f"line {number}: {reason}")


# --- what it is --------------------------------------------------------------------------------------------------


def _header(text: str) -> tuple[str, Mapping[str, int]]:
    """Return the delimiter and where the columns are; none where the line is no header."""
    found = [(delimiter, _columns(text, delimiter)) for delimiter in DELIMITERS]
    delimiter, columns = max(found, key=lambda pair: ("url" in pair[1], len(pair[1])))
    return delimiter, columns if "url" in columns or len(columns) > 1 else {}


def _columns(text: str, delimiter: str) -> Mapping[str, int]:
    """Return known columns to their index; the first of two that mean the same counts."""
    try:
        names = _cells(text, delimiter)
    except csv.Error:
        return {}
    at: dict[str, int] = {}
    for index, name in enumerate(names):
        column = _COLUMN_OF.get(folded(name))
        if column is not None:
            at.setdefault(column, index)
    return at


def _refuse_document(number: int, head: str) -> None:
    """Refuse JSON that is one document: its lines are no objects."""
    try:
        value = json.loads(head)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise BadFile(f"line {number} begins a JSON document; expected {_JSON}", field="urls")


def _some(column: str) -> str:
    return ", ".join(f"`{name}`" for name in ("link", "address", "uri") if name in ALIASES[column])


def _named(names: Iterable[str]) -> str:
    return ", ".join(f"`{name[:40]}`" for name in names)
