"""What the pages of exchanges have in common: rows first, then what the page says of itself.

Theory of operation
-------------------
Exchanges hand out their lists in pages: one document with some records, and a few facts (where the next page is, up to
which moment this one goes). A :class:`Page` yields the rows as they are parsed; the facts, and whether the document was
whole, are known once all rows were taken. A document that breaks off in the middle keeps the rows before the break and
says why in ``broken``: whoever fetched the page can fetch it again. In a file (:func:`as_file`) a break is the end of
the import, of which nothing remains.

A record that cannot be used is a rejected row, and so is a single value of a record, if only that is of no use here: it
does not spoil the values beside it.

What this module deliberately does not do: it knows no format, and fetches nothing.
"""

from __future__ import annotations

import datetime as dt
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

from hashmatch.errors import BadFile
from hashmatch.exchange import rows
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.rows import BadCell
from hashmatch.model import Entry, EntryHash, Rejected

MAX_TEXT_CHARS: Final = 1_024
"""Free text of strangers is cut after so much; the catalog keeps no more of any text."""


class Broken(Exception):
    """The document ends or stops making sense; says where. Never leaves ``exchange``."""


class Page(ABC):
    """Rows of one page. The attributes of subclasses are facts, valid once all rows were taken."""

    def __init__(self) -> None:
        self.broken = ""
        """Why the page is not whole; empty if it is."""
        self.records = 0
        """Records so far, usable or not."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.records} records{', broken' if self.broken else ''}>"

    def __iter__(self) -> Iterator[Entry | Rejected]:
        try:
            yield from self._rows()
        except Broken as error:
            self.broken = str(error)

    @abstractmethod
    def _rows(self) -> Iterator[Entry | Rejected]:
        """Yield the rows, noting the facts on the way. Raises Broken."""


def as_file(page: Page) -> Iterator[Entry | Rejected]:
    """Rows of a page that is a file. Raises BadFile where the page breaks."""
    yield from page
    if page.broken:
        raise BadFile(f"{page.broken}; nothing was imported", field="file")


def value_of(installed: Installed, position: int, name: str, text: str, field: str) -> EntryHash | Rejected | None:
    """Return a value of an entry, why it is none, or None where ``installed`` has a word to say about ``name``."""
    try:
        return installed.parse(position, name, text, field)
    except BadCell as bad:
        return Rejected(position, bad.field, bad.reason)


def line_of_text(text: object) -> str:
    """Return a stranger's text on one line, without spaces at its edges, at most 1,024 characters."""
    if not isinstance(text, str):
        return ""
    return " ".join(text.split())[:MAX_TEXT_CHARS].rstrip()


def moment_of(value: object, field: str) -> dt.datetime | None:
    """Return a moment that is given as seconds since 1970 or as ISO 8601; None for nothing.

    Raises
    ------
    BadCell
        It is neither.

    """
    if value is None or value == "":
        return None
    try:
        if isinstance(value, str) and not value.isdecimal():
            moment = dt.datetime.fromisoformat(value)
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return dt.datetime.fromtimestamp(float(value), dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadCell(field, f"{rows.shown(value)} is no moment: expected ISO 8601 or seconds since 1970") from error
    raise BadCell(field, f"{rows.shown(value)} is no moment: expected ISO 8601 or seconds since 1970")


def moment_text(value: object, field: str) -> str:
    """Return a moment as RFC 3339 in UTC, which sorts as text; empty for nothing. Raises BadCell."""
    return rows.format_moment(moment_of(value, field))
