"""JSON documents of any size, one record at a time.

Theory of operation
-------------------
Exchanges ship their lists as a single JSON document of up to several gigabytes: some members that describe it, and an
array of records. :class:`Document` holds a window of the text. Around the records it walks by hand, a brace, a name or
a comma at a time; a record itself, and every other value, is decoded whole by the standard library's scanner, in C. A
value that the window ends in is decoded again when more has been read, and the window doubles meanwhile, so the work
stays linear. That is a little faster than the records that ijson builds, which know no bound; here are three:

* memory by the largest value, :data:`MAX_VALUE_CHARS`, whatever the size of the file;
* depth by Python's recursion limit inside a value, and by the path outside;
* members that nobody asked for are stepped over, an element at a time.

A JSON document has no second beginning: what is damaged, or breaks off because a download did, cannot be read from
there on, and what was read may be half of a list. So damage is :class:`BadFile`, raised while the records are read, and
the import around it is rolled back as a whole.

What this module deliberately does not do: it knows no record; and it repairs nothing.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO, Never

from hashmatch.errors import BadFile
from hashmatch.exchange.lines import refuse_foreign
from hashmatch.exchange.rows import shown

ITEM = "[]"
"""Stands for any element of an array in a path."""

MAX_VALUE_CHARS = 4 << 20
"""One record, or one value that is stepped over; those of public samples are a few kilobytes."""

MAX_FACTS = 64
"""Members of the document itself that are kept; known formats have fewer than ten."""

MAX_FACT_CHARS = 4_096

BREAKS_OFF = "the document breaks off"

_CHUNK_BYTES = 1 << 18
_SPACE = re.compile(r"[ \t\r\n]*")
_CUT_CHARS = 16
"""A value that the window cuts is noticed within its last token; literals and what begins a number are shorter."""

Path = tuple[str, ...]


def _no_constant(text: str) -> Never:
    raise ValueError(f"{text} is not JSON")


class Document:
    """A JSON object that is read once; ``facts`` are its own members, as far as it was read.

    Parameters
    ----------
    stream : BinaryIO
        From where it stands; read up to the first member that is an object or an array before this returns.
    expected : str
        What the file should be, for messages.

    Raises
    ------
    BadFile
        The file is not a JSON object in UTF-8.

    """

    def __init__(self, stream: BinaryIO, expected: str) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")("strict").decode
        self._scan = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]  # make_scanner's
        self._text = ""
        self._at = 0
        self._before = 0
        self._ended = False
        self._facts: dict[str, Any] = {}
        self._count = 0
        head = stream.read(_CHUNK_BYTES)
        refuse_foreign(head.removeprefix(codecs.BOM_UTF8), expected)
        self._fill(head)
        if self._peek() != "{":
            raise BadFile(f"the file begins {shown(self._text[self._at :][:40])}; expected {expected}", field="file")
        self._members = self._members_here()
        self._pending = self._lead()

    def __repr__(self) -> str:
        return f"Document(records: {self._count}, characters: {self._before + self._at})"

    @property
    def facts(self) -> Mapping[str, Any]:
        """Texts, numbers, truth values and nulls among the document's own members; grows while records are read."""
        return self._facts

    def records(self, *paths: Path) -> Iterator[tuple[Path, Any]]:
        """Return the values at the paths, with their path, in the order of the file; to be called once.

        Parameters
        ----------
        *paths : tuple of str
            Names of members from the document down; :data:`ITEM` for the elements of an array.

        Raises
        ------
        BadFile
            While it is read: the document is damaged, breaks off, or a value is too large.

        """
        if self._pending is not None:
            yield from self._inside((self._pending,), paths)
            for name in self._members:
                yield from self._inside((name,), paths)
        if self._peek():
            self._damaged("something follows the end of the document")

    def _lead(self) -> str | None:
        for name in self._members:
            if self._peek() in "{[":
                return name
            self._fact(name)
        return None

    def _fact(self, name: str) -> None:
        value = self._value()
        small = not isinstance(value, str) or len(value) <= MAX_FACT_CHARS
        if small and len(name) <= MAX_FACT_CHARS and len(self._facts) < MAX_FACTS:
            self._facts[name] = value

    def _inside(self, where: Path, paths: tuple[Path, ...]) -> Iterator[tuple[Path, Any]]:
        """Return what is wanted of the value that begins here, and step over the rest."""
        opening = self._peek()
        if where in paths:
            yield where, self._record()
        elif not any(path[: len(where)] == where for path in paths):
            self._step_over(opening, where)
        elif opening == "{":
            for name in self._members_here():
                yield from self._inside((*where, name), paths)
        elif opening == "[":
            inner = (*where, ITEM)
            wanted = inner in paths
            for _ in self._elements_here():
                if wanted:
                    yield inner, self._record()
                else:
                    yield from self._inside(inner, paths)
        else:
            self._step_over(opening, where)

    def _step_over(self, opening: str, where: Path) -> None:
        if opening == "{":
            for _ in self._members_here():
                self._value()
        elif opening == "[":
            for _ in self._elements_here():
                self._value()
        elif len(where) == 1:
            self._fact(where[0])
        else:
            self._value()

    def _record(self) -> Any:
        value = self._value()
        self._count += 1
        return value

    def _members_here(self) -> Iterator[str]:
        """Return the names of the object that begins here; whoever asks for the next has taken the value."""
        self._at += 1
        if self._peek() == "}":
            self._at += 1
            return
        while True:
            name = self._value()
            if not isinstance(name, str) or self._next() != ":":
                self._damaged("a member needs a name in quotes and a colon")
            self._peek()
            yield name
            if (mark := self._next()) == "}":
                return
            if mark != ",":
                self._damaged("expected , or }" if mark else BREAKS_OFF)
            self._peek()

    def _elements_here(self) -> Iterator[None]:
        """Stop at every element of the array that begins here; whoever asks for the next has taken it."""
        self._at += 1
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if (mark := self._next()) == "]":
                return
            if mark != ",":
                self._damaged("expected , or ]" if mark else BREAKS_OFF)
            self._peek()

    def _peek(self) -> str:
        """Return the next character that is no white space without taking it, nothing at the end."""
        while True:
            found = _SPACE.match(self._text, self._at)
            self._at = found.end() if found else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _next(self) -> str:
        """Return the next character that is no white space, and take it."""
        character = self._peek()
        self._at += len(character)
        return character

    def _value(self) -> Any:
        """Return the value that begins here, and take it."""
        while True:
            try:
                value, end = self._scan(self._text, self._at)
            except StopIteration as stop:
                self._need_more("expected a value", stop.value)
            except json.JSONDecodeError as error:
                self._need_more(error.msg, error.pos)
            except (ValueError, RecursionError) as error:  # NaN; a number of more digits than Python converts; [[[[[...
                raise self._bad(f"{error}") from error
            else:
                whole = isinstance(value, (dict, list, str)) or end < len(self._text) - _CUT_CHARS
                if whole or self._ended:
                    self._at = end
                    return value
                self._more()  # of 1.5 the window may hold 1.

    def _need_more(self, message: str, position: int) -> None:
        """Read on where a value may only be cut by the window; otherwise it is damaged."""
        cut = position >= len(self._text) - _CUT_CHARS or message.startswith("Unterminated string")
        if not cut or not self._more():
            self._damaged(BREAKS_OFF if cut else message)

    def _more(self) -> bool:
        if self._ended:
            return False
        pending = len(self._text) - self._at
        if pending > MAX_VALUE_CHARS:
            self._damaged(f"a value of more than {MAX_VALUE_CHARS} characters, or one that is not closed")
        data = self._stream.read(max(_CHUNK_BYTES, pending))
        self._fill(data)
        return bool(data)

    def _fill(self, data: bytes) -> None:
        self._ended = not data
        try:
            text = self._decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise self._bad(f"byte {error.object[error.start]:#04x} is not UTF-8") from error
        self._before += self._at
        self._text = self._text[self._at :] + text
        self._at = 0

    def _damaged(self, what: str) -> Never:
        raise self._bad(what)

    def _bad(self, what: str) -> BadFile:
        where = f"after {self._count} records, near character {self._before + self._at}"
        return BadFile(f"{what}, {where}; nothing of the file was imported: fetch it again, complete", field="file")
