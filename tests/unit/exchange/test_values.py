"""Values in every notation: the length decides, and nothing is taken for what it is not."""

from __future__ import annotations

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hashmatch.exchange.rows import BadCell, parse_value
from hashmatch.exchange.values import base64_length, in_other_notation
from hashmatch.hashing.algorithms import table

ALGORITHMS = sorted(table())


@pytest.mark.parametrize("name", ALGORITHMS)
@given(data=st.data())
def test_every_notation_reads_as_the_same_value(name: str, data: st.DataObject) -> None:
    algorithm = table()[name]
    value = data.draw(st.binary(min_size=algorithm.size_bytes, max_size=algorithm.size_bytes))
    in_base64 = base64.b64encode(value).decode()
    assert len(in_base64) == base64_length(algorithm.size_bytes)
    for text in (value.hex(), value.hex().upper(), in_base64, f" {in_base64} "):
        assert parse_value(algorithm, text) == value


@given(value=st.binary(min_size=20, max_size=20))
def test_sha_1_in_base32_in_either_case(value: bytes) -> None:
    text = base64.b32encode(value).decode()
    assume(set(text) - set("ABCDEF234567"))
    assert parse_value(table()["sha1"], text) == parse_value(table()["sha1"], text.lower()) == value


def test_an_md5_among_sha_1_values_is_not_taken_for_base32() -> None:
    text = "abcdef234567" * 2 + "abcdef23"
    assert base64.b32decode(text.upper())
    assert in_other_notation(table()["sha1"], text) is None
    with pytest.raises(BadCell, match="is not a sha1 value: expected 40 hex digits, got 32 characters, or base64"):
        parse_value(table()["sha1"], text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("md5", base64.b32encode(bytes(16)).decode()),
        ("pdq", base64.urlsafe_b64encode(b"\xff" * 32).decode()),
        ("pdq", base64.b64encode(bytes(32)).decode().replace("A=", "B=")),
        ("pdq", base64.b64encode(bytes(33)).decode()),
        ("pdq", base64.b64encode(bytes(32)).decode().rstrip("=")),
        ("sha1", "1" * 31 + "z"),
        ("md5", "\u0661" * 24),
        ("md5", "A" * 22 + "= "),
    ],
)
def test_what_is_no_value(name: str, text: str) -> None:
    assert in_other_notation(table()[name], text) is None
