from __future__ import annotations

import dataclasses
import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

from hashmatch.hotline.proof import evidence_store, warc
from hashmatch.model.hotline import Hop, Item
from hashmatch.signatures import SigningKey
from tests.support.hotline import evidence as made


def archived(directory: Path, items: tuple[Item, ...]) -> bytes:
    made.keep(directory, SigningKey.generate(), items)
    return b"".join(warc.archive(evidence_store.read(directory), filename="evidence.warc", version="1.2.3"))


def parsed(data: bytes) -> list[tuple[Any, bytes]]:
    return [
        (record, record.content_stream().read()) for record in ArchiveIterator(io.BytesIO(data), no_record_parse=True)
    ]


def test_web_archives_read_it(tmp_path: Path) -> None:
    data = archived(tmp_path / "evidence", made.ITEMS)
    records = parsed(data)
    assert [record.rec_type for record, _ in records] == [
        "warcinfo", "metadata", "revisit", "metadata", "metadata", "metadata"
    ]  # fmt: skip
    _, redirect, revisit, line, *_ = (record.rec_headers for record, _ in records)
    assert redirect.get_header("WARC-Target-URI") == "https://example.org/a.jpg"
    assert revisit.get_header("WARC-Target-URI") == "https://cdn.example.net/a.jpg"
    assert revisit.get_header("WARC-IP-Address") == "2001:db8::7"
    assert revisit.get_header("WARC-Profile").endswith("/warc/1.1/revisit/identical-payload-digest")
    assert revisit.get_header("WARC-Payload-Digest") == f"sha256:{hashlib.sha256(made.BODY).hexdigest()}"
    assert revisit.get_header("WARC-Date") == "2026-11-28T12:00:00.250000Z"
    assert revisit.get_header("WARC-Concurrent-To") == line.get_header("WARC-Record-ID")
    assert line.get_header("WARC-Concurrent-To") == revisit.get_header("WARC-Record-ID")
    assert len({record.rec_headers.get_header("WARC-Record-ID") for record, _ in records}) == len(records)


def test_heads_are_read_as_http_and_have_no_payload(tmp_path: Path) -> None:
    data = archived(tmp_path / "evidence", made.ITEMS)
    (revisit,) = [
        (record.http_headers, record.content_stream().read())
        for record in ArchiveIterator(io.BytesIO(data))
        if record.rec_type == "revisit"
    ]
    http, payload = revisit
    assert payload == b""
    assert http.get_statuscode() == "200"
    assert http.headers == [
        ("Content-Type", "image/jpeg"), ("Set-Cookie", "id=1; Secure"), ("set-cookie", "b=\xe9"), ("X-Empty", "")
    ]  # fmt: skip
    assert made.BODY not in data
    assert b"a made-up picture" not in data
    for record, block in parsed(data):
        if record.rec_headers.get_header("Content-Type").startswith("application/http"):
            assert block.endswith(b"\r\n\r\n")
            assert block.count(b"\r\n\r\n") == 1


def test_the_line_of_the_ledger_is_in_it_and_has_the_record_s_digest(tmp_path: Path) -> None:
    data = archived(tmp_path / "evidence", made.ITEMS)
    lines = [
        block for record, block in parsed(data) if record.rec_headers.get_header("Content-Type") == "application/json"
    ]
    kept = list(evidence_store.read(tmp_path / "evidence"))
    assert lines == [one.line for one in kept]
    assert [hashlib.sha256(b"\0" + line).hexdigest() for line in lines] == [one.digest for one in kept]
    assert [json.loads(line)["body"]["request"]["found_via"] for line in lines] == ["img", "css", "inline-data"]


def test_the_same_evidence_is_the_same_file(tmp_path: Path) -> None:
    data = archived(tmp_path / "evidence", made.ITEMS)
    again = b"".join(
        warc.archive(evidence_store.read(tmp_path / "evidence"), filename="evidence.warc", version="1.2.3")
    )
    assert again == data
    assert b"".join(warc.archive([], filename="x", version="1.2.3")) == b""


@pytest.mark.parametrize("odd", ["a\r\nWARC-Type: response\r\n\r\nb", "\x85next\u2028line", "\u20ac"])
def test_no_header_and_no_address_ends_a_record(odd: str, tmp_path: Path) -> None:
    hop = Hop(f"https://example.org/{odd}", "192.0.2.1", 443, status=404, headers=(("X", odd), (odd, "y")))
    item = dataclasses.replace(
        made.TIMED_OUT, url=hop.url, fetched=dataclasses.replace(made.FETCHED, hops=(hop,), body=b"")
    )
    records = parsed(archived(tmp_path / "evidence", (item,)))
    assert [record.rec_type for record, _ in records] == ["warcinfo", "metadata", "metadata"]
    for record, _ in records:
        assert record.rec_headers.get_header("WARC-Type") == record.rec_type
