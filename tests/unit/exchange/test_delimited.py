from __future__ import annotations

import datetime as dt
import io

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import delimited
from hashmatch.exchange.lines import MAX_LINE_BYTES
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

PDQ = "0123456789abcdef" * 4
MD5 = "0123456789abcdef" * 2


def read(text: str) -> list[Entry | Rejected]:
    return list(delimited.read(io.BytesIO(text.encode())))


def only_entry(text: str) -> Entry:
    (entry,) = read(text)
    assert isinstance(entry, Entry)
    return entry


def test_the_position_is_the_line_blank_lines_counted() -> None:
    rows = read(f"\n\nalgorithm,value\n\npdq,{PDQ}\n \npdq,x\n")
    assert [(type(row).__name__, row.position) for row in rows] == [("Entry", 5), ("Rejected", 7)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_delimiter_that_makes_most_sense_of_the_header_wins(delimiter: str) -> None:
    header = delimiter.join(["entry_id", "md5", 'odd "name, with; all' if delimiter == "\t" else "odd"])
    entry = only_entry(f"{header.replace(chr(34), '')}\n{delimiter.join(['a', MD5, ''])}\n")
    assert (entry.entry_id, entry.hashes[0].hex) == ("a", MD5)


def test_one_column_needs_no_delimiter() -> None:
    assert only_entry(f"md5\n{MD5}\n").hashes == (EntryHash("md5", bytes.fromhex(MD5)),)


def test_a_hash_may_stand_in_both_forms_of_a_row() -> None:
    entry = only_entry(f"algorithm,value,md5\npdq,{PDQ},{MD5}\n")
    assert [item.algorithm for item in entry.hashes] == ["md5", "pdq"]


def test_the_quality_belongs_to_who_has_one() -> None:
    entry = only_entry(f"md5,pdq,pdq-nearest512,quality\n{MD5},{PDQ},{PDQ},70\n")
    assert [(item.algorithm, item.quality) for item in entry.hashes] == [
        ("md5", None),
        ("pdq", 70),
        ("pdq-nearest512", 70),
    ]
    assert only_entry(f"algorithm,value,quality\nmd5,{MD5},70\n").hashes[0].quality == 70


def test_the_view_belongs_to_what_is_computed_from_pixels() -> None:
    entry = only_entry(f"md5,pdq,View\n{MD5},{PDQ},crop-left-3\n")
    assert [(item.algorithm, item.view) for item in entry.hashes] == [("md5", ""), ("pdq", "crop-left-3")]
    assert only_entry(f"algorithm,value,view\npdq,{PDQ},\n").hashes[0].view == ""
    (refused,) = read(f"md5,view\n{MD5},crop-left-3\n")
    assert isinstance(refused, Rejected)
    assert (refused.field, refused.reason[:22]) == ("view", "none of the row's hash")


def test_other_columns_become_labels_unless_blank() -> None:
    entry = only_entry(f"md5,Category,,series,labels\n{MD5},A1,note,,csv:Category=A1;iwf/3=B\n")
    assert entry.labels == (Label("csv:Category", "", "A1"), Label("iwf", "3", "B"), Label("csv:3", "", "note"))


def test_neighbouring_rows_share_what_they_say_of_themselves() -> None:
    rows = read(f"md5,source\n{MD5},x\n{MD5[::-1]},x\n")
    assert isinstance(rows[0], Entry)
    assert isinstance(rows[1], Entry)
    assert rows[0].provenance is rows[1].provenance
    assert rows[0].provenance == Provenance("x")


def test_an_over_long_line_costs_only_itself() -> None:
    rows = read(f"algorithm,value\npdq,{PDQ}\npdq,{'f' * (3 * MAX_LINE_BYTES)}\npdq,{PDQ}\n")
    assert [row.position for row in rows] == [2, 3, 4]
    assert rows[1] == Rejected(3, "", f"longer than {MAX_LINE_BYTES} bytes; no entry is that long")


def test_an_over_long_last_line_ends() -> None:
    rows = read(f"algorithm,value\npdq,{'f' * (2 * MAX_LINE_BYTES + 7)}")
    assert [(row.position, type(row).__name__) for row in rows] == [(2, "Rejected")]


def test_a_line_of_the_greatest_length_is_read() -> None:
    filling = MAX_LINE_BYTES - len(f"{MD5},\n")
    (row,) = read(f"md5,note\n{MD5},{'x' * filling}\n")
    assert isinstance(row, Entry)


def test_a_bad_header_is_refused_before_the_first_row_is_asked_for() -> None:
    with pytest.raises(BadFile, match="the file is empty"):
        delimited.read(io.BytesIO(b"\n \n"))
    with pytest.raises(BadFile, match="line 1: byte 0xe4 at 0 is not UTF-8"):
        delimited.read(io.BytesIO(b"\xe4,b\n"))
    with pytest.raises(BadFile, match=f"longer than {MAX_LINE_BYTES} bytes"):
        delimited.read(io.BytesIO(b"x" * (MAX_LINE_BYTES + 1)))


def test_writing_nothing_gives_a_header_that_reads_as_nothing() -> None:
    stream = io.BytesIO()
    assert delimited.write([], stream, Losses()) == 0
    assert stream.getvalue().decode() == ",".join(delimited.COLUMNS) + "\n"
    assert read(stream.getvalue().decode()) == []


def test_an_entry_of_several_hashes_is_written_as_several_rows() -> None:
    stream = io.BytesIO()
    entry = Entry("a", (EntryHash("md5", bytes.fromhex(MD5)), EntryHash("pdq", bytes.fromhex(PDQ), 80)))
    assert delimited.write([entry], stream, Losses()) == 1
    assert stream.getvalue().decode().splitlines()[1:] == [
        f"md5,{MD5},,a,,,,,active,,,,,,",
        f"pdq,{PDQ},80,a,,,,,active,,,,,,",
    ]


def test_a_withdrawn_row_without_a_value_is_a_tombstone_in_either_form() -> None:
    for text in ("algorithm,value,entry_id,status\n,,a,withdrawn\n", "md5,pdq,entry_id,status\n,,a,Withdrawn\n"):
        assert only_entry(text) == Entry("a", (), status=EntryStatus.WITHDRAWN)
    for text in ("algorithm,value,entry_id,status\n,,a,disputed\n", "md5,entry_id,status\n,a,\n", "md5,entry_id\n,a\n"):
        assert isinstance(read(text)[0], Rejected)
    (half,) = read("algorithm,value,entry_id,status\nmd5,,a,withdrawn\n")
    assert isinstance(half, Rejected)
    assert half.field == "value"


def test_a_tombstone_is_written_as_a_row_and_reads_back() -> None:
    stream = io.BytesIO()
    tombstone = Entry("a", (), status=EntryStatus.WITHDRAWN, status_reason="gone")
    assert delimited.write([tombstone], stream, Losses()) == 1
    assert only_entry(stream.getvalue().decode()) == tombstone


def test_opinions_are_who_and_stance_and_the_rest_is_said_to_be_lost() -> None:
    moment = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    opinions = (Opinion("a; b", Stance.AGREE, "seen", moment), Opinion("c", Stance.DISAGREE, algorithm="md5"))
    stream, losses = io.BytesIO(), Losses()
    entries = [
        Entry(name, (EntryHash("md5", bytes.fromhex(MD5)),), opinions=opinions[at:]) for at, name in enumerate("xyz")
    ]
    delimited.write(entries, stream, losses)
    cells = [line.split(",")[-1] for line in stream.getvalue().decode().splitlines()]
    assert cells == ["opinions", "a%3B b=agree;c/md5=disagree", "c/md5=disagree", ""]
    assert [str(loss) for loss in losses] == [
        "reasons and dates of opinions of 1 entry left out: a cell holds who and the stance (the first is x)"
    ]
    read_back = read(stream.getvalue().decode())[0]
    assert isinstance(read_back, Entry)
    assert read_back.opinions == (Opinion("a; b", Stance.AGREE), opinions[1])
