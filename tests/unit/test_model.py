"""Value types: hash texts, and which hit says most."""

from __future__ import annotations

import pytest

from hashmatch.errors import BadHash
from hashmatch.model import MATCHED, Algorithm, AlgorithmKind, ComputedHash, EntryHash, HarmDomain, Verdict
from tests.support import cases

MD5 = Algorithm("md5", AlgorithmKind.DIGEST, 128, "md5", "MD5", "RFC 1321")


def test_hex_is_read_in_either_case_with_blanks_around() -> None:
    assert MD5.parse(" 2BD818319478da6bd0c621de49f145fd\n") == bytes.fromhex("2bd818319478da6bd0c621de49f145fd")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is not a md5 value: expected 32 hex digits, got 0 characters"),
        ("zz" * 16, f"'{'zz' * 16}' is not a md5 value: expected 32 hex digits, got 32 characters"),
        ("00" * 15, f"'{'00' * 15}' is not a md5 value: expected 32 hex digits, got 30 characters"),
        ("00 " * 16, f"'{('00 ' * 16).strip()}' is not a md5 value: expected 32 hex digits, got 47 characters"),
        ("0" * 200, f"'{'0' * 77}...' is not a md5 value: expected 32 hex digits, got 200 characters"),
    ],
)
def test_anything_else_is_refused_with_the_text(text: str, message: str) -> None:
    with pytest.raises(BadHash) as caught:
        MD5.parse(text)
    assert caught.value.message == message
    assert caught.value.field == "value"


def test_values_are_printed_as_lower_case_hex() -> None:
    assert ComputedHash("pdq", b"\xab\xcd").hex == "abcd"
    assert EntryHash("pdq", b"\xab\xcd").hex == "abcd"


CSAM = HarmDomain.CSAM
WEAKER = [
    cases.hit(CSAM, set_name="b", entry_id="1", distance=3),
    cases.hit(CSAM, set_name="b", entry_id="2", distance=3),
    cases.hit(CSAM, set_name="c", entry_id="1", distance=3),
    cases.hit(CSAM, set_name="a", entry_id="1", distance=4),
    cases.hit(CSAM, Verdict.POSSIBLE_MATCH, set_name="a", entry_id="1", distance=0),
    cases.hit(CSAM, Verdict.NO_MATCH, set_name="a", entry_id="0", distance=0),
]
"""Each says less than the one before: surest, then nearest, then first by set and entry."""


@pytest.mark.parametrize("first", range(len(WEAKER) - 1))
def test_the_strongest_hit_is_the_surest_then_the_nearest_then_the_first_by_name(first: int) -> None:
    hits = WEAKER[first:]
    assert cases.report(*hits).strongest() is cases.report(*reversed(hits)).strongest() is WEAKER[first]


def test_of_what_nothing_matched_no_hit_is_the_strongest() -> None:
    assert WEAKER[-1].verdict not in MATCHED
    assert cases.report(WEAKER[-1]).strongest() is None
