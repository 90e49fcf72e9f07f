"""JSON documents of which one array holds records: read record by record, with whatever stands beside the array.

Theory of operation
-------------------
``{"count": 2, "data": [{...}, {...}], "paging": {...}}``: the elements of one named array are handed out one at a time,
everything else at the top is kept as a fact. Each record and each fact is bounded in parts, depth and length, so a
document of any size is read at constant memory. A document that ends early keeps the records before its end.
:class:`RecordPage` is a page that is such a document.

What this module deliberately does not do: it knows no key but the array's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

import ijson

from hashmatch.errors import BadFile
from hashmatch.exchange.installed import Installed
from hashmatch.exchange.lines import BOM
from hashmatch.exchange.pages import Broken, Page
from hashmatch.exchange.rows import shown
from hashmatch.model import Entry, Rejected

MAX_PARTS: Final = 20_000
"""Keys and values of one record; an indicator with a hundred descriptors of twenty tags has 10,000."""

MAX_DEPTH: Final = 32
MAX_FACTS: Final = 1_000
"""Keys beside the array."""

MAX_TOKEN_BYTES: Final = 4 << 20
"""Bytes read without a value coming of it: what one text may be long."""

_OPENS: Final = frozenset({"start_map", "start_array"})
_CLOSES: Final = frozenset({"end_map", "end_array"})


class Records:
    """Records of a document; ``facts`` holds what was met beside them so far.

    Raises
    ------
    BadFile
        On construction: the document is no JSON object.

    """

    def __init__(self, stream: BinaryIO, key: str, expected: str) -> None:
        self.facts: dict[str, Any] = {}
        self.count = 0
        self._key = key
        self._source = _Watched(stream)
        self._events: Iterator[tuple[str, Any]] = ijson.basic_parse(self._source, use_float=True)
        try:
            event, _ = next(self._events)
        except (ijson.JSONError, StopIteration, UnicodeDecodeError, Broken) as error:
            raise BadFile(f"not JSON ({_why(error)}); expected {expected}", field="file") from error
        if event != "start_map":
            raise BadFile(f"the document is no JSON object; expected {expected}", field="file")

    def __iter__(self) -> Iterator[Any]:
        """Yield the records; raises Broken where the document does."""
        found = False
        while (name := self._next())[0] == "map_key":
            event, value = self._next()
            if name[1] == self._key and event == "start_array" and not found:
                found = True
                yield from self._elements()
            elif len(self.facts) >= MAX_FACTS:
                raise Broken(f"more than {MAX_FACTS} keys beside {self._key!r}")
            else:
                self.facts[name[1]] = self._value(event, value)
        if not found:
            raise Broken(f"the document has no array {self._key!r}")
        try:
            self._next()
        except StopIteration:
            return
        raise Broken("something follows after the end of the document")

    def _elements(self) -> Iterator[Any]:
        while (step := self._next())[0] != "end_array":
            self.count += 1
            yield self._value(*step)

    def _value(self, event: str, value: Any) -> Any:
        """Build one value, whose first event was taken already."""
        if event not in _OPENS:
            return value
        builder = ijson.ObjectBuilder()
        builder.event(event, value)
        depth = parts = 1
        while depth:
            event, value = self._next()
            parts += 1
            depth += (event in _OPENS) - (event in _CLOSES)
            if parts > MAX_PARTS or depth > MAX_DEPTH:
                raise Broken(f"record {self.count}: more than {MAX_PARTS} parts, or deeper than {MAX_DEPTH}")
            builder.event(event, value)
        return builder.value

    def _next(self) -> tuple[str, Any]:
        self._source.silent_bytes = 0
        try:
            return next(self._events)
        except (ijson.JSONError, UnicodeDecodeError) as error:
            raise Broken(f"the document breaks off after {self.count} records: {_why(error)}") from error


class RecordPage(Page):
    """A page whose records stand in one array of a document, ``key``.

    Raises
    ------
    BadFile
        On construction: the document is no JSON object.

    """

    def __init__(self, stream: BinaryIO, key: str, expected: str) -> None:
        super().__init__()
        self._records = Records(stream, key, expected)
        self._installed = Installed()

    def _rows(self) -> Iterator[Entry | Rejected]:
        for record in self._records:
            self.records += 1
            if isinstance(record, dict):
                if (row := self._entry(record)) is not None:
                    yield row
                yield from self._installed.unsaid()
            else:
                yield Rejected(self.records, "", f"{shown(record)}: expected an object")
        self._note(self._records.facts)

    @abstractmethod
    def _entry(self, record: dict[str, Any]) -> Entry | Rejected | None:
        """Return what a record says, why it cannot be used, or None where ``installed`` has a word to say of it."""

    @abstractmethod
    def _note(self, facts: dict[str, Any]) -> None:
        """Keep what the document says beside its records."""


class _Watched:
    """A stream without its byte order mark that counts what was read since the last value."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._first = True
        self.silent_bytes = 0

    def read(self, size: int = -1) -> bytes:
        """Read as any stream does; asked for nothing, as ijson does to see whether bytes come, it reads nothing."""
        if not size:
            return b""
        data = self._stream.read(max(size, len(BOM)) if size > 0 else size)
        if self._first and data:
            data, self._first = data.removeprefix(BOM) or b" ", False
        self.silent_bytes += len(data)
        if self.silent_bytes > MAX_TOKEN_BYTES:
            raise Broken(f"more than {MAX_TOKEN_BYTES} bytes without a value")
        return data


def text(record: dict[str, Any], key: str) -> str:
    """Return a text of a record, without spaces at its edges; empty where it has none."""
    value = record.get(key)
    return value.strip() if isinstance(value, str) else str(value) if _is_number(value) else ""


def objects(value: object) -> list[dict[str, Any]]:
    """Return those elements of an array that are objects; Graph API's ``{"data": [...]}`` counts as its array."""
    if isinstance(value, dict):
        value = value.get("data")
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _why(error: BaseException) -> str:
    """Return the first line of a message: the next ones repeat the document, which is nobody's business."""
    return " ".join(str(error).partition("\n")[0].split())[:200] or "it is empty"
