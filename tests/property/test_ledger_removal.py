"""Records that were removed by rule are told from records that somebody took away, whatever else was done."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch.errors import LedgerCorrupt
from hashmatch.ledger import Summary, Writer
from hashmatch.ledger.records import Record, decode, digest, encode, time_text
from hashmatch.ledger.removal import due
from tests.support.ledger import ABOUT, KEY, OTHER_KEY, SMALL, START_NS, Ticks, found, segment_files
from tests.support.ledger_by_hand import Wrong, check

Files = dict[str, bytes]
HOUR_NS = 3_600_000_000_000
RULE = "audit.keep_days = 1"


def hours(count: float) -> str:
    """Return a time so many hours after the beginning."""
    return time_text(START_NS + int(count * HOUR_NS))


def filled(directory: Path, sessions: int) -> None:
    """Write five records an hour in as many sessions."""
    clock = Ticks()
    for session in range(sessions):
        clock.ns = START_NS + session * HOUR_NS
        with Writer.open(directory, KEY, about=ABOUT, options=SMALL, clock=clock) as ledger:
            for number in range(5):
                ledger.append("note", {"number": 5 * session + number})


def removed(directory: Path, before: str) -> int:
    """Take out what is older, an hour after everything else."""
    clock = Ticks()
    clock.ns = START_NS + 100 * HOUR_NS
    with Writer.open(directory, KEY, about=ABOUT, options=SMALL, clock=clock) as ledger:
        return ledger.remove_older(before, RULE)


def read(directory: Path) -> Files:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture(scope="module")
def before() -> Files:
    """Return a ledger of many segments."""
    with tempfile.TemporaryDirectory() as name:
        filled(Path(name), 6)
        return read(Path(name))


@pytest.fixture(scope="module")
def after(before: Files) -> Files:
    """Return the same ledger without what was written in the first three hours."""
    with tempfile.TemporaryDirectory() as name:
        restore(Path(name), before)
        assert removed(Path(name), hours(3)) > 10
        return read(Path(name))


def restore(directory: Path, files: Files) -> None:
    for file, data in files.items():
        (directory / file).write_bytes(data)


def judged(files: Files) -> tuple[Summary, list[str]]:
    with tempfile.TemporaryDirectory() as name:
        restore(Path(name), files)
        summary, findings = found(Path(name))
        return summary, [str(finding.wrong) for finding in findings]


def segments_of(files: Files) -> list[str]:
    return sorted(name for name in files if name[0].isdigit())


def test_what_is_left_is_whole_and_says_what_went(before: Files, after: Files) -> None:
    summary, wrong = judged(after)
    first = int(segments_of(after)[0].partition(".")[0])
    assert (wrong, summary.removed, summary.rule, summary.unvouched) == ([], first, RULE, 0)
    (body,) = [
        record.body
        for name in segments_of(after)
        for line in after[name].splitlines()
        if isinstance(record := decode(line), Record) and record.kind == "ledger.removed"
    ]
    gone = segments_of(before)[: segments_of(before).index(segments_of(after)[0])]
    last_line = before[gone[-1]].splitlines()[-1]
    assert body == {
        "from": 0,
        "to": first - 1,
        "records": first,
        "segments": len(gone),
        "digest": digest(last_line),
        "until": body["until"],
        "rule": RULE,
    }
    assert str(body["until"]) < hours(3)
    stays = [decode(line) for line in after[segments_of(after)[0]].splitlines()]
    assert max(record.at for record in stays if isinstance(record, Record)) >= hours(3), "all that could go went"


def test_somebody_who_takes_the_same_files_without_a_record_is_found(before: Files, after: Files) -> None:
    taken = {name: data for name, data in before.items() if not name[0].isdigit() or name in after}
    assert judged(taken)[1] == ["missing"]


@given(st.data())
def test_whoever_takes_more_is_found(after: Files, data: st.DataObject) -> None:
    names = segments_of(after)
    gone = set(data.draw(st.lists(st.sampled_from(names[:-1]), min_size=1)))
    assert judged({name: text for name, text in after.items() if name not in gone})[1] != []


@given(st.data())
def test_every_bit_of_what_is_left_still_counts(after: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([*segments_of(after), "heads.jsonl"]))
    changed = bytearray(after[name])
    bit = data.draw(st.integers(0, 8 * len(changed) - 1))
    changed[bit // 8] ^= 1 << bit % 8
    assert judged({**after, name: bytes(changed)})[1] != []


@given(st.data())
def test_every_truncation_of_what_is_left_is_found(after: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(segments_of(after)))
    cut = data.draw(st.integers(0, len(after[name]) - 1))
    assert judged({**after, name: after[name][:cut]})[1] != []


def test_a_removal_that_nobody_signed_excuses_nothing(before: Files) -> None:
    """Whoever has no key appends the record itself: the chain holds, and no head covers it."""
    names = segments_of(before)
    opening = decode(before[names[2]].splitlines()[0])
    last_line = before[names[-1]].splitlines()[-1]
    last = decode(last_line)
    assert isinstance(opening, Record)
    assert isinstance(last, Record)
    body = {"to": opening.seq - 1, "digest": opening.previous, "rule": RULE}
    forged = encode(Record(seq=last.seq + 1, previous=digest(last_line), at=last.at, kind="ledger.removed", body=body))
    taken = {name: data for name, data in before.items() if name not in names[:2]}
    summary, wrong = judged({**taken, names[-1]: before[names[-1]] + forged + b"\n"})
    assert (wrong, summary.removed, summary.rule) == (["missing"], 0, "")


def test_a_removal_of_another_digest_is_found(tmp_path: Path, before: Files) -> None:
    """Also by who has the key, where the record and the first header are not of one ledger's history."""
    restore(tmp_path, before)
    with Writer.open(tmp_path, KEY, about=ABOUT, options=SMALL, clock=Ticks()) as ledger:
        going = due(tmp_path, hours(2))
        assert going is not None
        body = {**going.words(RULE), "digest": "0" * 64}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("hashmatch.ledger.removal.Due.words", lambda *_: body)
            ledger.remove_older(hours(2), RULE)
    assert [str(finding.wrong) for finding in found(tmp_path)[1]] == ["removal_differs"]


@given(st.integers(0, 20))
def test_a_removal_that_is_interrupted_makes_no_finding_and_is_finished_by_the_next(
    before: Files, after: Files, deleted: int
) -> None:
    gone = sorted(set(before) - set(after))
    half = {**after, **{name: before[name] for name in gone[deleted:]}}
    assert judged(half)[1] == []
    with tempfile.TemporaryDirectory() as name:
        restore(Path(name), half)
        removed(Path(name), hours(3))
        assert segments_of(read(Path(name)))[0] == segments_of(after)[0]
        assert found(Path(name))[1] == []


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda data: data.replace(b'"number":1}', b'"number":7}'), "follows a record with another digest"),
        (lambda data: data[:-1], "the line does not end"),
        (lambda data: data.replace(b"ledger.segment", b"ledger.sogment"), "begins with a record of kind"),
    ],
)
def test_what_is_damaged_is_not_removed(
    tmp_path: Path, before: Files, spoil: Callable[[bytes], bytes], message: str
) -> None:
    name = segments_of(before)[0]
    restore(tmp_path, {**before, name: spoil(before[name])})
    with pytest.raises(LedgerCorrupt, match=message):
        removed(tmp_path, hours(3))
    assert set(segments_of(before)) <= set(read(tmp_path))
    assert b"ledger.removed" not in b"".join(read(tmp_path).values())


def test_a_removal_does_not_tidy_up_after_somebody_else(tmp_path: Path, before: Files) -> None:
    names = segments_of(before)
    restore(tmp_path, {name: data for name, data in before.items() if name != names[0]})
    with pytest.raises(LedgerCorrupt, match=r"the ledger begins with record \d+, and no record says why"):
        removed(tmp_path, hours(3))


def test_heads_that_were_kept_say_the_same_of_what_is_left(tmp_path: Path, after: Files, before: Files) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_bytes(before["heads.jsonl"])
    (tmp_path / "001").mkdir()
    restore(tmp_path / "001", after)
    summary, findings = found(tmp_path / "001", against=[kept])
    assert findings == []
    assert summary.heads > len(after["heads.jsonl"].splitlines()) - len(before["heads.jsonl"].splitlines())
    anew = tmp_path / "anew"
    filled(anew, 6)
    removed(anew, hours(3))
    assert {str(one.wrong) for one in found(anew, against=[kept])[1]} >= {"foreign_head"}


def test_a_key_that_only_removed_records_named_is_no_finding_where_no_key_was_given(tmp_path: Path) -> None:
    clock = Ticks()
    with Writer.open(tmp_path, OTHER_KEY, about=ABOUT, options=SMALL, clock=clock) as ledger:
        for number in range(8):
            ledger.append("note", {"number": number})
    clock.ns = START_NS + 50 * HOUR_NS
    with Writer.open(tmp_path, KEY, about=ABOUT, options=SMALL, clock=clock) as ledger:
        for number in range(8):
            ledger.append("note", {"number": number})
        clock.ns = START_NS + 99 * HOUR_NS
        assert ledger.remove_older(hours(51), RULE) > 0
    assert found(tmp_path, keys=())[1] == []
    assert {str(one.wrong) for one in found(tmp_path)[1]} == {"unknown_key"}, "given keys are held to every head"


def test_another_program_comes_to_the_same_end(tmp_path: Path, after: Files, before: Files) -> None:
    key = tmp_path / "key.pub"
    key.write_text(KEY.verify_key.to_pem())
    (tmp_path / "after").mkdir()
    restore(tmp_path / "after", after)
    summary = judged(after)[0]
    assert check(tmp_path / "after", key)[0] == summary.records
    (tmp_path / "taken").mkdir()
    restore(tmp_path / "taken", {name: data for name, data in before.items() if name != segments_of(before)[0]})
    with pytest.raises(Wrong, match="begins with record"):
        check(tmp_path / "taken", key)


def test_a_wrong_clock_keeps_records_for_longer_and_never_shorter(tmp_path: Path) -> None:
    clock = Ticks()
    with Writer.open(tmp_path, KEY, about=ABOUT, options=SMALL, clock=clock) as ledger:
        for jump_ns in (0, 500 * HOUR_NS, 0, -400 * HOUR_NS, 0):
            clock.ns = START_NS + jump_ns
            for number in range(12):
                ledger.append("note", {"number": number})
        clock.ns = START_NS + HOUR_NS
        assert ledger.remove_older(hours(-1), RULE) == 0, "no segment was begun before that, whatever stands in it"
        count = ledger.remove_older(hours(1), RULE)
        assert 0 < count <= 18, "the first records, up to the segment in which the clock was ahead"
    assert found(tmp_path)[1] == []


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 9)),
    st.tuples(st.just("later"), st.integers(1, 50)),
    st.tuples(st.just("earlier"), st.integers(1, 2)),
    st.tuples(st.just("remove"), st.integers(0, 60)),
    st.tuples(st.just("reopen"), st.just(0)),
)


@given(st.lists(STEP, max_size=14))
@example([("append", 9), ("later", 9), ("append", 9), ("remove", 2), ("append", 9), ("later", 40), ("remove", 1)])
def test_no_history_of_removals_makes_a_finding(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory, clock, numbers = Path(name), Ticks(), 0
        ledger = Writer.open(directory, KEY, about=ABOUT, options=SMALL, clock=clock)
        for what, amount in steps:
            match what:
                case "append":
                    for _ in range(amount):
                        ledger.append("note", {"number": numbers})
                        numbers += 1
                case "later" | "earlier":
                    clock.ns += (amount if what == "later" else -amount) * HOUR_NS
                case "remove":
                    ledger.remove_older(time_text(clock.ns - amount * HOUR_NS), RULE)
                case "reopen":
                    ledger.close()
                    ledger = Writer.open(directory, KEY, about=ABOUT, options=SMALL, clock=clock)
        ledger.close()
        summary, findings = found(directory)
        assert [str(finding.wrong) for finding in findings] == ([] if segment_files(directory) else ["empty"])
        kept = [json.loads(line) for path in segment_files(directory) for line in path.read_bytes().splitlines()]
        assert summary.removed == (kept[0]["seq"] if kept else 0)
        notes = [record["body"]["number"] for record in kept if record["kind"] == "note"]
        assert notes == list(range(numbers - len(notes), numbers)), "the newest are there, without a gap"
