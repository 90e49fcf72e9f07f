"""A document is what the standard library says it is, whatever the window cuts; and nothing makes it large."""

from __future__ import annotations

import io
import json
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import BadFile
from hashmatch.exchange import documents
from hashmatch.exchange.documents import ITEM, MAX_VALUE_CHARS, Document

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


class Dribbling(io.RawIOBase):
    """Gives a few bytes at a time, however many are asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        self._data = io.BytesIO(data)
        self._step = step

    def read(self, size: int = -1) -> bytes:
        """Return less than was asked for."""
        return self._data.read(min(size, self._step))


def records(data: bytes | str, *path: str, step: int = 1 << 20) -> list[Any]:
    raw = data.encode() if isinstance(data, str) else data
    document = Document(Dribbling(raw, step), "a list")  # type: ignore[arg-type]  # all that is used is read
    return [value for _, value in document.records(path or ("value", ITEM))]


@given(
    values=st.lists(JSON, max_size=5),
    before=st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers(), max_size=3),
    after=st.dictionaries(st.text(max_size=4), JSON, max_size=3),
    step=st.integers(1, 40),
    indent=st.none() | st.just(1),
    ascii_only=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_records_are_those_of_the_standard_library(  # noqa: PLR0917
    values: list[Any],
    before: dict[str, Any],
    after: dict[str, Any],
    step: int,
    indent: int | None,
    ascii_only: bool,  # noqa: FBT001
) -> None:
    before.pop("value", None)
    after.pop("value", None)
    whole = {**before, "value": values, **{key: value for key, value in after.items() if key not in before}}
    data = json.dumps(whole, indent=indent, ensure_ascii=ascii_only).encode()
    document = Document(Dribbling(b"\xef\xbb\xbf" + data, step), "a list")  # type: ignore[arg-type]
    assert dict(document.facts) == before
    assert [value for _, value in document.records(("value", ITEM))] == values
    assert dict(document.facts) == {key: value for key, value in whole.items() if not isinstance(value, (dict, list))}


@given(cut=st.integers(1, 400), step=st.integers(1, 60))
@settings(max_examples=50, deadline=None)
def test_a_document_that_breaks_off_is_no_list(cut: int, step: int) -> None:
    whole = json.dumps(
        {"a": "b", "value": [{"n": number, "text": '\u00e9\\"', "f": 1.5e3} for number in range(9)]}
    ).encode()
    with pytest.raises(BadFile, match=r"the document breaks off|not UTF-8|expected a list"):
        records(whole[: -min(cut, len(whole))], step=step)


def test_records_deep_inside_are_found_and_the_rest_stepped_over() -> None:
    whole = {
        "value": [{"skip": [1, {"x": [2]}], "Media": [1, 2]}, {"Media": []}, {"Media": 7, "n": {"Media": [9]}}, 5],
        "z": 1,
    }
    assert records(json.dumps(whole), "value", ITEM, "Media", ITEM) == [1, 2]
    assert records('{"Event": {"Object": [{"a": 1}]}}', "Event", "Object", ITEM) == [{"a": 1}]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file begins ''; expected a list"),
        (b"[1]", "the file begins '[1]'; expected a list"),
        (b"\xff\xfe{\0", "UTF-16 text; save it as UTF-8; expected a list"),
        (b"{\0", "the file is binary"),
        (b'{"value": [1, 2]} x', "something follows the end of the document, after 2 records"),
        (b'{"value": [1 2]}', "expected , or ]"),
        (b'{"value": [1] "b": 1}', "expected , or }"),
        (b'{"value": [1], 7: 1}', "a member needs a name in quotes and a colon"),
        (b'{"value": [NaN]}', "NaN is not JSON"),
        (b'{"value": [' + b"1" * 5_000 + b"]}", "Exceeds the limit"),
        (b'{"value": [' + b"[" * 100_000 + b"]}", "recursion"),
        (b'{"value": ["\x07"' + b" " * 99 + b"]}", "Invalid control character at, after 0 records"),
        (b'{"value": [{"a" 1}' + b" " * 99 + b"]}", "Expecting ':' delimiter, after 0 records"),
        (b'{"value": ["\xe4"]}', "byte 0xe4 is not UTF-8"),
        (b'{"value": ["' + b"x" * (2 * MAX_VALUE_CHARS) + b'"]}', f"a value of more than {MAX_VALUE_CHARS} characters"),
        (b'{"skipped": ["' + b"x" * (2 * MAX_VALUE_CHARS), f"a value of more than {MAX_VALUE_CHARS} characters"),
    ],
)
def test_damage_says_where_and_what(data: bytes, reason: str) -> None:
    with pytest.raises(BadFile) as caught:
        records(data)
    assert reason in caught.value.message
    assert caught.value.field == "file"


def test_facts_are_few_and_short() -> None:
    many = {f"m{number}": number for number in range(200)} | {"long": "x" * 5_000, "value": []}
    document = Document(io.BytesIO(json.dumps(many).encode()), "a list")
    assert len(document.facts) == documents.MAX_FACTS
    long_first = Document(io.BytesIO(json.dumps({"long": "x" * 5_000, "a": 1, "value": []}).encode()), "a list")
    assert dict(long_first.facts) == {"a": 1}
    assert repr(long_first).startswith("Document(records: 0, characters: 5")


class Generated(io.RawIOBase):
    """A file that is made while it is read."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._rest = b""
        self.total = 0

    def read(self, size: int = -1) -> bytes:
        """Return as much as was asked for, until the parts end."""
        while len(self._rest) < size and (part := next(self._parts, b"")):
            self._rest += part
        data, self._rest = self._rest[:size], self._rest[size:]
        self.total += len(data)
        return data


def test_what_is_stepped_over_takes_no_memory() -> None:
    junk = (b'{"junk": [' if number == 0 else b'"' + b"x" * 9_000 + b'",' for number in range(4_000))
    stream = Generated(part for part in [*junk, b'1], "value": [1]}'])
    tracemalloc.start()
    try:
        found = [value for _, value in Document(stream, "a list").records(("value", ITEM))]  # type: ignore[arg-type]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found, stream.total > 30_000_000) == ([1], True)
    assert peak < 40_000_000
