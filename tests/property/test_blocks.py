"""Reading a list in blocks gives the rows that reading it line by line gives, whatever the file."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hashmatch.errors import BadFile
from hashmatch.exchange import blocks, delimited, lines
from hashmatch.model import Entry, EntryBlock, Rejected, Row

HEADERS = (
    "algorithm,value",
    "algorithm,value,quality,entry_id",
    "entry_id;value;Algorithm",
    "quality\tvalue\talgorithm",
    "algorithm,value,labels",
    "algorithm,value,note",
    "pdq,entry_id",
)
NAMES = ("pdq", "pdq", "pdq", "md5", "PDQ-nearest512", "sha-1", "phash", "nonsense", "")
VALUES = {"pdq": 64, "md5": 32, "PDQ-nearest512": 64, "sha-1": 40, "phash": 16}
FRAGMENTS = [b"", b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\0", b" ", b"\xff", b"\xc3\xa9", b"g", b"F"]
FRAGMENTS += [b"\xef\xbb\xbf", b"\x85", b"\x1f", b"255", b"-1", b"0", b"\n\n", b"pdq", b"x" * 300]


def rows_of(header: str, rng: random.Random, count: int) -> list[str]:
    """Lines of a list under a header, most of them plain."""
    delimiter = next(mark for mark in ",;\t" if mark in header)
    found = [header]
    for _ in range(count):
        name = rng.choice(NAMES)
        cells = {
            "algorithm": name,
            "value": f"{rng.getrandbits(256):064x}"[: VALUES.get(name, 64)],
            "quality": rng.choice(["", "0", "50", "100", "099", "254", "255", "1000", "x"]),
            "entry_id": rng.choice(["", "a", "b c", f"entry-{rng.randrange(20)}"]),
            "labels": rng.choice(["", "scheme=value"]),
        }
        found.append(delimiter.join(cells.get(column.lower(), "") for column in header.split(delimiter)))
    return found


@st.composite
def files(draw: st.DrawFn) -> bytes:
    rng = random.Random(draw(st.integers(0, 1 << 32)))
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(rows_of(draw(st.sampled_from(HEADERS)), rng, draw(st.integers(0, 12))))
    data = bytearray((text + draw(st.sampled_from(["", end]))).encode())
    for _ in range(draw(st.integers(0, 4))):
        at = rng.randrange(len(data) + 1)
        data[at : at + draw(st.integers(0, 3))] = draw(st.sampled_from(FRAGMENTS))
    return bytes(data)


def unfolded(rows: Iterable[Row]) -> Iterator[Entry | Rejected]:
    """Rows one by one, blocks taken apart."""
    for row in rows:
        if isinstance(row, EntryBlock):
            yield from row.entries()
        else:
            yield row


def in_blocks(data: bytes) -> list[Entry | Rejected]:
    """Rows read in blocks, taken apart, in the order of the file."""
    rows = list(unfolded(delimited.read_rows(io.BytesIO(data))))
    return sorted(rows, key=lambda row: row.position or 0)


@given(data=files(), block_bytes=st.sampled_from([1, 7, 200, 1 << 20]), longest=st.sampled_from([90, 1 << 20]))
@settings(max_examples=200, deadline=None)
@example(data=b"algorithm,value\npdq," + b"0" * 300, block_bytes=7, longest=90)
def test_blocks_and_lines_agree(data: bytes, block_bytes: int, longest: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "BLOCK_BYTES", block_bytes)
        patch.setattr(lines, "MAX_LINE_BYTES", longest)
        patch.setattr(blocks, "MIN_LINES", 1)
        try:
            expected = list(delimited.read(io.BytesIO(data)))
        except BadFile as refused:
            with pytest.raises(BadFile) as again:
                in_blocks(data)
            assert str(again.value) == str(refused)  # noqa: PT017 - the other reader says what is right
            return
        found = in_blocks(data)
    assert found == expected
    assert [row.position for row in found] == [row.position for row in expected]


def test_plain_rows_become_one_block_per_algorithm() -> None:
    rng = random.Random(5)
    values = [rng.randbytes(32) for _ in range(1_000)]
    text = "".join(f"{'pdq' if at % 2 else 'sha256'},{value.hex()}\n" for at, value in enumerate(values))
    found = list(delimited.read_rows(io.BytesIO(b"algorithm,value\n" + text.encode())))
    assert [(type(row), len(row)) for row in found if isinstance(row, EntryBlock)] == [(EntryBlock, 500)] * 2
    assert [repr(row) for row in found] == ["EntryBlock('sha256', 500 entries)", "EntryBlock('pdq', 500 entries)"]
