"""The one text of a record, and what is none."""

from __future__ import annotations

import hashlib
import json

import pytest

from hashmatch.errors import BadInput
from hashmatch.ledger.records import (
    GENESIS,
    MAX_LINE_BYTES,
    Flaw,
    Record,
    canonical,
    decode,
    digest,
    encode,
    time_text,
)

LINE = (
    b'{"at":"2026-11-28T08:00:00.000000Z","body":{"a":1},"kind":"note","previous":"' + GENESIS.encode() + b'","seq":7}'
)
RECORD = Record(seq=7, previous=GENESIS, at="2026-11-28T08:00:00.000000Z", kind="note", body={"a": 1})


def test_a_record_has_one_text() -> None:
    assert encode(RECORD) == LINE
    assert decode(LINE) == RECORD
    assert digest(LINE) == hashlib.sha256(b"\x00" + LINE).hexdigest()


def test_the_example_of_rfc_8785_has_its_text() -> None:
    """RFC 8785, section 3.2.2 and 3.2.3: numbers, escapes and the order of names."""
    document = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 1e-27],
        "string": '€$\u000f\nA\'B"\\\\"/',
        "literals": [None, True, False],
    }
    assert canonical(document).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    names = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
    assert list(json.loads(canonical(names)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize(
    ("line", "flaw"),
    [
        (LINE.replace(b":7}", b": 7}"), Flaw.NOT_CANONICAL),
        (LINE.replace(b":7}", b":7.0}"), Flaw.MALFORMED),
        (LINE.replace(b":7}", b":-7}"), Flaw.MALFORMED),
        (LINE.replace(b":7}", b":true}"), Flaw.MALFORMED),
        (LINE.replace(b":7}", b':7,"seq":7}'), Flaw.NOT_CANONICAL),
        (LINE.replace(b":7}", b':7,"x":7}'), Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b'{"a":1,"a":1}'), Flaw.NOT_CANONICAL),
        (LINE.replace(b'{"a":1}', b'{"a":"\\u0041"}'), Flaw.NOT_CANONICAL),
        (LINE.replace(b'{"a":1}', b'{"a":1e400}'), Flaw.NOT_CANONICAL),
        (LINE.replace(b'{"a":1}', b'{"a":NaN}'), Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b'{"a":9007199254740993}'), Flaw.NOT_CANONICAL),
        (LINE.replace(b'{"a":1}', b'{"a":' + b"1" * 5_000 + b"}"), Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b"[" * 100_000), Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b"[]"), Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b'{"a":"\xff"}'), Flaw.MALFORMED),
        (LINE.replace(b"00Z", b"00z"), Flaw.MALFORMED),
        (LINE.replace(b"note", b"Note"), Flaw.MALFORMED),
        (LINE.decode().encode("utf-16"), Flaw.MALFORMED),
        (b" " + LINE, Flaw.NOT_CANONICAL),
        (LINE + b"\r", Flaw.NOT_CANONICAL),
        (b"", Flaw.MALFORMED),
        (b"null", Flaw.MALFORMED),
        (LINE.replace(b'{"a":1}', b'{"a":"' + b"x" * MAX_LINE_BYTES + b'"}'), Flaw.TOO_LONG),
    ],
)
def test_every_other_text_is_no_record(line: bytes, flaw: Flaw) -> None:
    assert decode(line) == flaw


def test_a_line_that_is_too_long_is_not_made() -> None:
    record = Record(seq=7, previous=GENESIS, at=RECORD.at, kind="note", body={"a": "x" * MAX_LINE_BYTES})
    with pytest.raises(BadInput, match=r"^a record of 1048728 bytes is too long; at most 1048576$"):
        encode(record)


def test_times_are_cut_to_microseconds_and_sort_as_text() -> None:
    assert time_text(0) == "1970-01-01T00:00:00.000000Z"
    assert time_text(1_795_852_800_123_456_999) == "2026-11-28T08:00:00.123456Z"
