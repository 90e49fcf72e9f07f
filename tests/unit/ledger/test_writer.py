"""Appending: order, rotation, heads, clocks, torn tails, and disks that refuse."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from hashmatch.errors import BadInput, LedgerCorrupt, LedgerInUse, LedgerUnavailable
from hashmatch.ledger import Options, Writer, read_records
from hashmatch.ledger.records import MAX_BODY_BYTES, Record
from tests.support.ledger import (
    ABOUT,
    FAULTS,
    KEY,
    OTHER_KEY,
    ROOMY,
    SMALL,
    FailingFiles,
    Ticks,
    failing_files,
    found,
    raw_lines,
    segment_files,
    write_ledger,
    wrongs,
)


def opened(directory: Path, *, options: Options = SMALL, made: list[FailingFiles] | None = None) -> Writer:
    files = failing_files([] if made is None else made)
    return Writer.open(directory, KEY, about=ABOUT, options=options, files=files, clock=Ticks())


def kinds(directory: Path) -> list[str]:
    return [record.kind for record in read_records(directory) if isinstance(record, Record)]


def test_records_follow_each_other_over_segments_and_the_head_vouches_for_all(tmp_path: Path) -> None:
    write_ledger(tmp_path, 10)
    documents = [json.loads(line) for line in raw_lines(tmp_path)]
    assert [document["seq"] for document in documents] == list(range(len(documents)))
    for line, document in zip(raw_lines(tmp_path), documents[1:], strict=False):
        assert document["previous"] == hashlib.sha256(b"\0" + line[:-1]).hexdigest()
    assert documents[0]["previous"] == "0" * 64
    first = [json.loads(path.read_bytes().splitlines()[0]) for path in segment_files(tmp_path)]
    assert len(first) >= 2
    for path, header in zip(segment_files(tmp_path), first, strict=True):
        assert path.name == f"{header['seq']:020d}.jsonl"
        assert header["kind"] == "ledger.segment"
        assert header["body"] == {
            **ABOUT,
            "ledger": first[0]["body"]["ledger"],
            "key": KEY.verify_key.raw.hex(),
            "key_id": KEY.verify_key.key_id,
        }
    summary, findings = found(tmp_path)
    assert findings == []
    assert (summary.records, summary.segments, summary.heads) == (len(documents), len(first), 1)
    assert (summary.seq, summary.vouched, summary.unvouched) == (len(documents) - 1, len(documents) - 1, 0)


def test_a_segment_ends_at_its_size_and_an_entry_is_never_divided(tmp_path: Path) -> None:
    write_ledger(tmp_path, 12)
    sizes = [path.stat().st_size for path in segment_files(tmp_path)]
    longest = max(map(len, raw_lines(tmp_path)))
    assert all(SMALL.rotate_bytes <= size < SMALL.rotate_bytes + longest for size in sizes[:-1])


def test_who_opens_a_ledger_again_goes_on_with_it_and_says_so(tmp_path: Path) -> None:
    write_ledger(tmp_path, 1, options=ROOMY)
    write_ledger(tmp_path, 1, options=ROOMY, first=1)
    assert kinds(tmp_path) == ["ledger.segment", "note", "ledger.opened", "note"]
    assert wrongs(tmp_path) == []


def test_a_head_on_demand_covers_what_was_posted_before(tmp_path: Path) -> None:
    with opened(tmp_path, options=Options(fsync_ms=10_000)) as ledger:
        for number in range(50):
            ledger.post("note", {"number": number})
        line = ledger.head()
        assert (tmp_path / "heads.jsonl").read_bytes() == line + b"\n"
        assert ledger.state().head_seq == ledger.state().seq == 50
    assert wrongs(tmp_path) == []


def test_heads_come_with_the_number_of_records(tmp_path: Path) -> None:
    with opened(tmp_path, options=Options(fsync_ms=0, head_every_records=5)) as ledger:
        for number in range(20):
            ledger.append("note", {"number": number})
    assert found(tmp_path)[0].heads == 5


def test_a_body_may_be_made_when_it_is_written_and_in_the_ledgers_thread(tmp_path: Path) -> None:
    made_in: list[str] = []

    def body() -> dict[str, object]:
        made_in.append(threading.current_thread().name)
        return {"made": True}

    with opened(tmp_path) as ledger:
        ledger.post("note", body)
    assert made_in == ["hashmatch-ledger"]
    assert [json.loads(line)["body"] for line in raw_lines(tmp_path)][-1] == {"made": True}


def test_a_clock_that_goes_back_is_recorded_and_changes_no_order(tmp_path: Path) -> None:
    clock = Ticks()
    with Writer.open(tmp_path, KEY, about=ABOUT, options=Options(fsync_ms=0), clock=clock) as ledger:
        ledger.append("note", {"number": 0})
        clock.ns -= 3_600_000_000_000
        ledger.append("note", {"number": 1})
        ledger.append("note", {"number": 2})
        clock.ns += 7_200_000_000_000
        ledger.append("note", {"number": 3})
    assert kinds(tmp_path) == ["ledger.segment", "note", "ledger.clock", "note", "note", "note"]
    assert [json.loads(line)["body"] for line in raw_lines(tmp_path)][2] == {
        "before": "2026-11-28T08:00:00.002000Z",
        "after": "2026-11-28T07:00:00.003000Z",
    }
    assert wrongs(tmp_path) == []


def test_a_clock_that_goes_back_where_a_segment_begins_is_recorded_too(tmp_path: Path) -> None:
    clock = Ticks()
    with Writer.open(tmp_path, KEY, about=ABOUT, options=Options(rotate_bytes=1, fsync_ms=0), clock=clock) as ledger:
        ledger.append("note", {"number": 0})
        clock.ns -= 1_000_000_000
        ledger.append("note", {"number": 1})
    assert kinds(tmp_path) == ["ledger.segment", "note", "ledger.segment", "ledger.clock", "note"]
    assert wrongs(tmp_path) == []


@pytest.mark.parametrize("torn", [b"{", b'{"at":"2026-11-28T08:00:00.000000Z"', b"\0" * 5000])
def test_a_torn_last_line_is_cut_off_and_nothing_else(tmp_path: Path, torn: bytes) -> None:
    write_ledger(tmp_path, 6, options=ROOMY)
    last = segment_files(tmp_path)[-1]
    before = last.read_bytes()
    last.write_bytes(before + torn)
    assert wrongs(tmp_path) == ["torn_tail"]
    write_ledger(tmp_path, 1, options=ROOMY, first=6)
    whole = b"".join(raw_lines(tmp_path))
    repaired = json.loads(whole[whole.index(before) + len(before) :].splitlines()[0])
    assert repaired["kind"] == "ledger.repaired"
    assert repaired["body"] == {"cut_bytes": len(torn), "sha256": hashlib.sha256(torn).hexdigest()}
    assert wrongs(tmp_path) == []


def test_a_segment_of_which_only_a_torn_header_is_there_is_begun_again(tmp_path: Path) -> None:
    write_ledger(tmp_path, 6)
    seq = found(tmp_path)[0].seq
    (tmp_path / f"{seq + 1:020d}.jsonl").write_bytes(b'{"at":')
    write_ledger(tmp_path, 1, first=6)
    assert "ledger.repaired" in kinds(tmp_path)
    assert wrongs(tmp_path) == []


def test_a_torn_head_is_cut_off(tmp_path: Path) -> None:
    write_ledger(tmp_path, 1)
    with (tmp_path / "heads.jsonl").open("ab") as file:
        file.write(b'{"payload":"eyJ')
    assert wrongs(tmp_path) == ["malformed_head"]
    write_ledger(tmp_path, 1, first=1)
    assert wrongs(tmp_path) == []


def test_a_ledger_that_is_damaged_inside_is_not_written_to(tmp_path: Path) -> None:
    write_ledger(tmp_path, 2)
    (path,) = segment_files(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"number":0', b'"number":7'))
    lines = data.splitlines(keepends=True)
    message = rf"{path}: the record at byte {len(lines[0]) + len(lines[1])} does not follow from the one before; verify"
    with pytest.raises(LedgerCorrupt, match=message):
        write_ledger(tmp_path, 1)
    assert path.read_bytes() == data.replace(b'"number":0', b'"number":7')


def test_a_ledger_that_ends_before_its_head_is_not_written_to(tmp_path: Path) -> None:
    write_ledger(tmp_path, 2)
    (path,) = segment_files(tmp_path)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(LedgerCorrupt, match=r"the ledger ends at record 1, and a signed head is of record 2; verify"):
        write_ledger(tmp_path, 1)
    path.unlink()
    with pytest.raises(LedgerCorrupt, match=r"the ledger ends at record -1, and a signed head is of record 2; verify"):
        write_ledger(tmp_path, 1)


def test_a_ledger_has_one_writer(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(LedgerInUse, match=r": another process writes this ledger$"):
        opened(tmp_path)
    opened(tmp_path).close()


@pytest.mark.parametrize(("operation", "code"), FAULTS)
def test_a_disk_that_refuses_is_told_to_who_waits_and_loses_nothing_that_was_posted(
    tmp_path: Path, operation: str, code: int
) -> None:
    made: list[FailingFiles] = []
    with opened(tmp_path, made=made) as ledger:
        ledger.append("note", {"number": 0})
        before = b"".join(raw_lines(tmp_path))
        made[0].failing[operation] = code
        with pytest.raises(LedgerUnavailable, match=rf"{tmp_path} cannot be written: {os.strerror(code)}"):
            ledger.append("note", {"number": "waited for"})
        ledger.post("note", {"number": 1})
        made[0].wait_for_failures(made[0].failures + 2)
        assert b"".join(raw_lines(tmp_path))[: len(before)] == before
        assert (ledger.state().trouble, ledger.state().queued) == (os.strerror(code), 1)
        assert repr(ledger) == f"<Writer of {tmp_path}: record 1, 1 waiting, {os.strerror(code)}>"
        del made[0].failing[operation]
        ledger.append("note", {"number": 2})
        ledger.head()
        assert ledger.state().trouble == ""
    numbers = [json.loads(line)["body"].get("number") for line in raw_lines(tmp_path)]
    assert numbers == [None, 0, 1, 2]
    assert wrongs(tmp_path) == []


def test_a_new_segment_that_cannot_be_written_is_taken_away_again(tmp_path: Path) -> None:
    made: list[FailingFiles] = []
    with opened(tmp_path, options=Options(rotate_bytes=1, fsync_ms=0, retry_ms=10), made=made) as ledger:
        ledger.append("note", {"number": 0})
        made[0].failing["sync"] = errno.ENOSPC
        with pytest.raises(LedgerUnavailable, match="No space left on device"):
            ledger.append("note", {"number": 1})
        assert len(segment_files(tmp_path)) == 1
        made[0].failing.clear()
        ledger.append("note", {"number": 2})
    assert wrongs(tmp_path) == []


def test_what_finds_no_room_is_counted_in_the_ledger_itself(tmp_path: Path) -> None:
    made: list[FailingFiles] = []
    with opened(tmp_path, made=made) as ledger:
        ledger.append("note", {"number": 0})
        made[0].failing["sync"] = errno.EIO
        ledger.post("note", {"number": 1})
        made[0].wait_for_failures(1)
        for number in range(2, 9):
            ledger.post("note", {"number": number})
        for number in range(3):
            with pytest.raises(
                LedgerUnavailable, match=r"^8 entries wait to be recorded, and there is no room for more"
            ):
                ledger.post("note", {"number": number})
        assert ledger.state().lost == 3
        made[0].mend()
        ledger.head()
    records = [json.loads(line) for line in raw_lines(tmp_path)]
    (lost,) = [record for record in records if record["kind"] == "ledger.lost"]
    assert lost["body"]["count"] == 3
    assert lost["body"]["since"] < lost["body"]["until"]
    assert wrongs(tmp_path) == []


def test_closing_over_a_disk_that_refuses_says_how_much_is_missing(tmp_path: Path) -> None:
    made: list[FailingFiles] = []
    ledger = opened(tmp_path, made=made)
    ledger.append("note", {"number": 0})
    made[0].failing["sync"] = errno.EIO
    ledger.post("note", {"number": 1})
    with pytest.raises(
        LedgerUnavailable, match="the ledger ends without its last 1 entries and without a head: Input/output error"
    ):
        ledger.close()
    assert wrongs(tmp_path) == []
    assert found(tmp_path)[0].seq == 1


def test_a_closed_ledger_takes_nothing(tmp_path: Path) -> None:
    ledger = opened(tmp_path)
    ledger.close()
    ledger.close()
    for call in (lambda: ledger.post("note", {}), lambda: ledger.append("note", {}), ledger.head):
        with pytest.raises(LedgerUnavailable, match=rf"^{tmp_path}: the ledger is closed$"):
            call()


def test_what_cannot_be_recorded_is_refused_before_it_is_queued(tmp_path: Path) -> None:
    with opened(tmp_path) as ledger:
        for kind in ("ledger.segment", "Note", "", "x" * 65):
            with pytest.raises(BadInput, match=rf"^'{kind}' is no kind of record: expected lower-case letters"):
                ledger.post(kind, {})
        for body, message in (
            ({"x": float("nan")}, "a record cannot hold this: "),
            ({"x": 2**53}, "a record cannot hold this: 9007199254740992 exceeds safe integer domain"),
            ({"x": "\ud800"}, "a record cannot hold this: "),
            ({"x": object()}, "a record cannot hold this: "),
            ({"x": "a" * MAX_BODY_BYTES}, rf"a body of {MAX_BODY_BYTES + 8} bytes is too long; at most"),
        ):
            with pytest.raises(BadInput, match=message):
                ledger.append("note", body)
            with pytest.raises(BadInput, match=message):
                ledger.post("note", body)
        ledger.append("note", {"x": "a" * (MAX_BODY_BYTES - 8)})
    assert wrongs(tmp_path) == []


def test_another_key_is_named_in_the_ledger(tmp_path: Path) -> None:
    write_ledger(tmp_path, 1, options=ROOMY)
    write_ledger(tmp_path, 1, options=ROOMY, first=1, key=OTHER_KEY)
    assert found(tmp_path, keys=())[1] == []
    summary, findings = found(tmp_path)
    assert [finding.wrong for finding in findings] == ["unknown_key"]
    assert (summary.vouched, summary.unvouched) == (1, 2)


def test_a_reader_that_looks_whether_somebody_writes_is_taken_for_no_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_ledger(tmp_path, 1, options=ROOMY)
    with (tmp_path / "lock").open("rb") as reader:
        fcntl.flock(reader, fcntl.LOCK_SH)
        monkeypatch.setattr("hashmatch.ledger.files.time.sleep", lambda _: reader.close())
        write_ledger(tmp_path, 1, options=ROOMY, first=1)
    assert kinds(tmp_path) == ["ledger.segment", "note", "ledger.opened", "note"]
