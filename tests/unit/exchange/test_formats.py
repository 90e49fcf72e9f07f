from __future__ import annotations

import io

import pytest

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import formats, icse
from hashmatch.exchange.heads import Head

HEX = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("file", "head", "name"),
    [
        ("list.jsonl", b"md5\n", "csv"),
        ("list.csv", b'{"algorithm": "md5"}', "jsonl"),
        ("-", b'{"algorithm"', "jsonl"),
        ("-", b'\xef\xbb\xbf\n {"hashes":', "jsonl"),
        ("list.txt", b"md5,sha1\n", "csv"),
        ("list.txt", f"{HEX}\n".encode(), "pytx"),
        ("list.csv", f"\xef\xbb\xbfpdq {HEX}\r\n".encode("latin-1"), "pytx"),
        ("list.csv", ";".join(icse.HEADER).encode(), "icse"),
        ("list.csv", ";".join((*icse.HEADER, "more")).encode(), "icse"),
        ("list.csv", ";".join(icse.HEADER[1:]).encode(), "csv"),
        ("list.csv", b"{", "csv"),
        ("LIST.TSV", b"", "csv"),
        ("list.jsonl", b"", "jsonl"),
        ("list.ndjson", b"\xff\xd8", "jsonl"),
    ],
)
def test_what_is_in_a_file_decides_and_its_name_where_that_says_nothing(file: str, head: bytes, name: str) -> None:
    assert formats.sniff(file, head).name == name
    assert formats.choose("auto", file, head).name == name


@pytest.mark.parametrize(
    ("head", "seen"),
    [
        (b"", "empty"),
        (b" [\n{", "a JSON array"),
        (b'{"a": 1, "b": [1', "a JSON object with 'a', 'b'"),
        (b"\x89PNG\r\n", "a PNG picture"),
        (b"<?xml version='1.0'?><!-- x --><a:list xmlns:a='urn:x'>", "XML whose root is 'list' of 'urn:x'"),
        (b"<html>", "XML whose root is 'html'"),
        (b"\nDear all,\nplease find", "text that begins 'Dear all,'"),
    ],
)
def test_what_is_no_list_is_described_and_the_formats_are_named(head: bytes, seen: str) -> None:
    with pytest.raises(BadFile) as caught:
        formats.sniff("list.bin", head)
    there_are = ", ".join(formats.FORMATS)
    assert caught.value.message == (
        f"list.bin is {seen}, none of the list formats; there are {there_are}, and --format says which one is meant"
    )


@pytest.mark.parametrize("head", [b"<!--" * 16_000, b"<!-- -->" * 8_000, b"<? ?>" * 9_000 + b"<", b'{"a":' * 12_000])
def test_a_hostile_head_takes_no_time(head: bytes) -> None:
    assert Head.of(head).described()


def test_a_format_that_was_asked_for_is_not_questioned() -> None:
    assert formats.choose("csv", "list.jsonl", b"{").name == "csv"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(BadInput, match=r"no list format 'xlsx'; there are .*, jsonl, csv") as caught:
        formats.named("xlsx")
    assert caught.value.field == "format"


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(BadInput, match="the format csv has no option 'signal'; it has none"):
        formats.named("csv").read(io.BytesIO(), {"signal": "pdq"})
    with pytest.raises(BadInput, match="the format pytx has no option 'sinal'; there are signal"):
        formats.named("pytx").read(io.BytesIO(), {"sinal": "pdq"})


def test_what_is_only_read_says_what_is_written() -> None:
    with pytest.raises(BadInput, match=r"icse is only read; written are .*jsonl, csv"):
        formats.named("icse").write([], io.BytesIO())


def test_lists_of_ours_are_written_by_suffix() -> None:
    assert [formats.ours(name).name for name in ("a.csv", "a.TSV", "a.jsonl", "a.txt", "-")] == [
        "csv",
        "csv",
        "jsonl",
        "jsonl",
        "jsonl",
    ]
