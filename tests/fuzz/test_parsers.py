"""Each parser that a stranger reaches, with whatever a stranger may send: see the table in ``parsers.py``."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.parsers import MAX_BYTES, PARSERS, Parser


def damaged(parser: Parser) -> st.SearchStrategy[bytes]:
    """Return bytes that begin as something right and went wrong, and bytes that were never right."""
    pieces = st.sampled_from(parser.corpus) | st.binary(max_size=20)
    cut = st.builds(
        lambda data, at, put, gone: data[:at] + put + data[at + gone :],
        st.sampled_from(parser.corpus), st.integers(0, 200), st.binary(max_size=8), st.integers(0, 8),
    )  # fmt: skip
    return cut | st.lists(pieces, max_size=4).map(b"".join) | st.binary(max_size=MAX_BYTES)


@pytest.mark.parametrize("name", list(PARSERS))
def test_any_bytes_are_read_or_refused_by_name(name: str) -> None:
    parser = PARSERS[name]

    @settings(max_examples=60)
    @given(damaged(parser))
    def holds(data: bytes) -> None:
        with contextlib.suppress(*parser.refusals):
            parser.run(data)

    holds()


def test_the_table_catches_a_parser_that_lets_something_else_through() -> None:
    def careless(data: bytes) -> int:
        return data[3]

    parser = Parser(__name__, careless, (b"abc",))
    with pytest.raises(IndexError), contextlib.suppress(*parser.refusals):
        parser.run(b"abc")
