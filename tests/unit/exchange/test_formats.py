from __future__ import annotations

import pytest

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import formats


@pytest.mark.parametrize(
    ("file", "head", "name"),
    [
        ("list.csv", b"{", "csv"),
        ("LIST.TSV", b"", "csv"),
        ("list.jsonl", b"md5\n", "jsonl"),
        ("list.ndjson", b"", "jsonl"),
        ("-", b'{"algorithm"', "jsonl"),
        ("-", b'\xef\xbb\xbf\n {"algorithm"', "jsonl"),
        ("list.txt", b"md5,sha1\n", "csv"),
        ("list.json", b'{"a"', "jsonl"),
        ("-", b"", "csv"),
    ],
)
def test_sniffing(file: str, head: bytes, name: str) -> None:
    assert formats.sniff(file, head).name == name
    assert formats.choose("auto", file, head).name == name


def test_an_array_is_not_json_lines() -> None:
    with pytest.raises(BadFile, match=r"list.json is a JSON array; expected JSON Lines"):
        formats.sniff("list.json", b" [\n{")


def test_a_format_that_was_asked_for_is_not_questioned() -> None:
    assert formats.choose("csv", "list.jsonl", b"{").name == "csv"


def test_an_unknown_format_is_named() -> None:
    with pytest.raises(BadInput, match="no list format 'xlsx'; there are csv, jsonl") as caught:
        formats.named("xlsx")
    assert caught.value.field == "format"
