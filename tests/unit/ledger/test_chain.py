"""What may be wrong with a ledger: each row of the table, as an attack on the files."""

from __future__ import annotations

import base64
import json
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.errors import BadInput
from hashmatch.ledger import Options, Writer, read_records, verified
from hashmatch.ledger.heads import Head, read, signed
from hashmatch.ledger.records import MAX_LINE_BYTES, digest
from tests.support.ledger import (
    ABOUT,
    KEY,
    OTHER_KEY,
    SMALL,
    Ticks,
    found,
    segment_files,
    write_ledger,
    wrongs,
)

Lines = list[bytes]


def ledger(directory: Path) -> Path:
    """Three segments of four, four and two records."""
    write_ledger(directory, 7)
    assert [len(path.read_bytes().splitlines()) for path in segment_files(directory)] == [4, 4, 2]
    return directory


def changed(path: Path, change: Callable[[Lines], Lines]) -> None:
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def swapped(lines: Lines) -> Lines:
    return [*lines[:1], lines[2], lines[1], *lines[3:]]


FIRST_SEGMENT: list[tuple[str, Callable[[Lines], Lines], list[str]]] = [
    ("a changed value", lambda lines: [*lines[:2], lines[2].replace(b":1}", b":9}"), lines[3]], ["broken_chain"]),
    (
        "another spelling",
        lambda lines: [*lines[:2], lines[2].replace(b":1}", b": 1}"), lines[3]],
        ["not_canonical", "missing"],
    ),
    ("a line of noise", lambda lines: [*lines[:2], b"noise\n", lines[3]], ["malformed", "missing"]),
    ("a line too long", lambda lines: [*lines, b"x" * 3 * MAX_LINE_BYTES + b"\n"], ["too_long"]),
    ("a deleted record", lambda lines: [*lines[:2], lines[3]], ["missing"]),
    ("a deleted header", lambda lines: lines[1:], ["missing", "bad_segment"]),
    ("a record twice", lambda lines: [*lines[:2], lines[1], *lines[2:]], ["duplicate"]),
    ("two records swapped", swapped, ["missing", "reordered", "missing"]),
    ("a blank line", lambda lines: [*lines[:2], b"\n", *lines[2:]], ["malformed"]),
    ("a missing line feed", lambda lines: [*lines[:2], lines[2][:-1], lines[3]], ["malformed", "missing"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"), [row[1:] for row in FIRST_SEGMENT], ids=[row[0] for row in FIRST_SEGMENT]
)
def test_a_change_within_a_segment_is_found(
    tmp_path: Path, change: Callable[[Lines], Lines], expected: list[str]
) -> None:
    changed(segment_files(ledger(tmp_path))[0], change)
    assert wrongs(tmp_path) == expected


def test_a_finding_says_where(tmp_path: Path) -> None:
    path = segment_files(ledger(tmp_path))[1]
    changed(path, lambda lines: [*lines[:2], *lines[3:]])
    (finding,) = found(tmp_path)[1]
    assert (finding.where, finding.line, finding.seq) == ("00000000000000000004.jsonl", 3, 7)
    assert finding.detail == "1 records before 7 are missing"


def test_a_record_written_anew_with_its_successors_is_found_by_the_head(tmp_path: Path) -> None:
    """A chain alone can be forged from any record on."""
    write_ledger(tmp_path, 2)
    (path,) = segment_files(tmp_path)
    lines = path.read_bytes().splitlines()
    lines[1] = lines[1].replace(b'"number":0', b'"number":9')
    document = json.loads(lines[2])
    lines[2] = lines[2].replace(document["previous"].encode(), digest(lines[1]).encode())
    path.write_bytes(b"\n".join(lines) + b"\n")
    (finding,) = found(tmp_path)[1]
    assert (finding.wrong, finding.where, finding.seq) == ("head_differs", "heads.jsonl", 2)


def test_a_missing_segment_is_found(tmp_path: Path) -> None:
    segment_files(ledger(tmp_path))[1].unlink()
    assert wrongs(tmp_path) == ["missing"]


def test_a_missing_first_segment_is_found(tmp_path: Path) -> None:
    segment_files(ledger(tmp_path))[0].unlink()
    assert wrongs(tmp_path) == ["missing"]


def test_swapped_segments_are_found(tmp_path: Path) -> None:
    first, second, _ = segment_files(ledger(tmp_path))
    spare = tmp_path / "spare"
    first.rename(spare)
    second.rename(first)
    spare.rename(second)
    assert wrongs(tmp_path) == ["missing", "bad_segment", "reordered", "bad_segment", "missing"]


def test_a_segment_of_another_ledger_is_found(tmp_path: Path) -> None:
    ours, theirs = ledger(tmp_path / "ours"), ledger(tmp_path / "theirs")
    shutil.copy(segment_files(theirs)[1], segment_files(ours)[1])
    assert wrongs(ours) == ["broken_chain", "foreign_segment", "broken_chain"]


def test_a_header_within_a_segment_is_found(tmp_path: Path) -> None:
    first, second, _ = segment_files(ledger(tmp_path))
    first.write_bytes(first.read_bytes() + second.read_bytes())
    second.unlink()
    assert wrongs(tmp_path) == ["bad_segment"]


def test_a_ledger_that_was_cut_is_found_by_its_head(tmp_path: Path) -> None:
    segment_files(ledger(tmp_path))[-1].unlink()
    (finding,) = found(tmp_path)[1]
    assert (finding.wrong, finding.seq, finding.detail) == ("truncated", 9, "the ledger ends at 7, before this head")


def test_a_ledger_that_was_cut_with_its_heads_is_found_by_a_head_kept_elsewhere(tmp_path: Path) -> None:
    directory = ledger(tmp_path / "ledger")
    kept = tmp_path / "kept.jsonl"
    shutil.copy(directory / "heads.jsonl", kept)
    segment_files(directory)[-1].unlink()
    (directory / "heads.jsonl").write_bytes(b"")
    assert wrongs(directory) == []
    assert wrongs(directory, against=[kept]) == ["truncated"]


def test_another_ledger_in_the_place_of_this_one_is_found_by_a_head_kept_elsewhere(tmp_path: Path) -> None:
    ours, theirs = ledger(tmp_path / "ours"), ledger(tmp_path / "theirs")
    assert wrongs(ours, against=[theirs / "heads.jsonl"]) == ["foreign_head"]


def head_line(directory: Path, **changes: object) -> bytes:
    untrusted = read((directory / "heads.jsonl").read_bytes().splitlines()[-1])
    assert untrusted is not None
    head = untrusted.head
    values = {"ledger": head.ledger, "seq": head.seq, "digest": head.digest, "at": head.at, "key_id": head.key_id}
    return signed(Head(**{**values, **changes}), KEY) + b"\n"  # type: ignore[arg-type]


def test_heads_that_do_not_fit_are_found(tmp_path: Path) -> None:
    ledger(tmp_path)
    path = tmp_path / "heads.jsonl"
    good = path.read_bytes()
    for line, expected in (
        (head_line(tmp_path, digest="0" * 64), ["head_differs"]),
        (head_line(tmp_path, key_id=OTHER_KEY.verify_key.key_id), ["unknown_key"]),
        (head_line(tmp_path, ledger="x"), ["foreign_head"]),
        (head_line(tmp_path, seq=3), ["head_order"]),
        (b"{}\n", ["malformed_head"]),
        (b"x" * 10_000 + b"\n", ["malformed_head"]),
        (good[:-1], ["malformed_head"]),
        (good.replace(b'"payload"', b'"Payload"'), ["malformed_head"]),
        (good.replace(b'=="}]}', b'==","x":1}]}'), ["malformed_head"]),
    ):  # fmt: skip
        path.write_bytes(good + line)
        assert wrongs(tmp_path) == expected, line


def test_a_signature_that_does_not_fit_is_found(tmp_path: Path) -> None:
    ledger(tmp_path)
    path = tmp_path / "heads.jsonl"
    envelope = json.loads(path.read_bytes())
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[0] ^= 1
    old = envelope["signatures"][0]["sig"].encode()
    path.write_bytes(path.read_bytes().replace(old, base64.b64encode(signature)))
    assert wrongs(tmp_path) == ["bad_signature"]


def test_a_clock_that_goes_back_without_a_word_is_found(tmp_path: Path) -> None:
    """By whoever has no key: time is part of the record, and so of the chain."""
    write_ledger(tmp_path, 2)
    (path,) = segment_files(tmp_path)
    (tmp_path / "heads.jsonl").unlink()
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([*lines[:2], lines[2].replace(b"2026-11-28", b"2025-11-28")]) + b"\n")
    assert wrongs(tmp_path) == ["clock_back"]


def test_an_empty_directory_is_no_ledger(tmp_path: Path) -> None:
    assert wrongs(tmp_path) == ["empty"]
    with pytest.raises(BadInput, match=r"^cannot read the ledger .*none: No such file or directory$"):
        found(tmp_path / "none")
    with pytest.raises(BadInput, match=r"^cannot read .*no-heads: No such file or directory$"):
        found(tmp_path, against=[tmp_path / "no-heads"])


def test_a_ledger_is_verified_while_it_is_written(tmp_path: Path) -> None:
    with Writer.open(tmp_path, KEY, about=ABOUT, options=SMALL, clock=Ticks()) as ledger:
        ledger.append("note", {"number": 0})
        (path,) = segment_files(tmp_path)
        whole = path.read_bytes()
        path.write_bytes(whole + b'{"at":')
        assert wrongs(tmp_path) == []
        path.write_bytes(whole)
    assert wrongs(tmp_path) == []


def test_without_a_key_the_ledgers_own_is_believed_and_the_summary_says_so(tmp_path: Path) -> None:
    ledger(tmp_path)
    summary, findings = found(tmp_path, keys=())
    assert (summary.own_keys_only, summary.heads, findings) == (True, 1, [])
    summary, findings = found(tmp_path, keys=(OTHER_KEY.verify_key,))
    assert (summary.own_keys_only, summary.vouched) == (False, -1)
    assert [str(finding.wrong) for finding in findings] == ["unknown_key"]


def test_records_are_read_and_what_is_none_is_said(tmp_path: Path) -> None:
    ledger(tmp_path)
    path = segment_files(tmp_path)[0]
    changed(path, lambda lines: [*lines[:2], b"noise\n", lines[3]])
    read_back = list(read_records(tmp_path))
    assert len(read_back) == 10
    assert str(read_back[2]) == (
        "Finding(wrong=<Wrong.MALFORMED: 'malformed'>, where='00000000000000000000.jsonl', line=3, seq=-1, "
        "detail='the line is no record: malformed')"
    )


def test_memory_does_not_grow_with_the_ledger(tmp_path: Path) -> None:
    peaks = []
    for name, count in (("small", 500), ("large", 10_000)):
        options = Options(rotate_bytes=100_000, head_every_records=50, fsync_ms=0, max_queued=count + 1)
        with Writer.open(tmp_path / name, KEY, about=ABOUT, options=options) as ledger:
            for number in range(count):
                ledger.post("note", {"number": number})
        tracemalloc.start()
        summary, findings = verified(tmp_path / name, keys=[KEY.verify_key], against=[tmp_path / name / "heads.jsonl"])
        assert list(findings) == []
        assert summary.seq >= count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 200_000, "the larger one has 3 MB of lines"
