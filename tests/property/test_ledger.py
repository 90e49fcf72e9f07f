"""Any change to a ledger is found; no history of writing, tearing and clocks makes a finding; text is canonical."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from hashmatch.errors import BadInput
from hashmatch.ledger import Writer, read_records
from hashmatch.ledger.records import MAX_INTEGER, canonical
from tests.support.ledger import ABOUT, KEY, SMALL, Ticks, found, raw_lines, segment_files, write_ledger

Files = dict[str, bytes]


@pytest.fixture(scope="module")
def whole() -> Files:
    """Return a ledger of five segments, written in two sessions, with two heads."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_ledger(directory, 6)
        write_ledger(directory, 4, first=6)
        assert len(segment_files(directory)) == 5
        return {path.name: path.read_bytes() for path in directory.iterdir()}


def findings_in(files: Files) -> list[str]:
    with tempfile.TemporaryDirectory() as name:
        for file, data in files.items():
            (Path(name) / file).write_bytes(data)
        return [str(finding.wrong) for finding in found(Path(name))[1]]


def evidence(files: Files) -> list[str]:
    """Return the names of the files that a change can be made to."""
    return sorted(name for name in files if name != "lock")


def flipped(files: Files, name: str, bit: int) -> Files:
    data = bytearray(files[name])
    data[bit // 8] ^= 1 << bit % 8
    return {**files, name: bytes(data)}


def test_the_ledger_is_good_before_it_is_changed(whole: Files) -> None:
    assert findings_in(whole) == []


@given(st.data())
def test_every_flipped_bit_is_found(whole: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(evidence(whole)))
    bit = data.draw(st.integers(0, 8 * len(whole[name]) - 1))
    assert findings_in(flipped(whole, name, bit)) != []


@pytest.mark.slow
def test_every_bit_that_there_is_is_found_when_flipped(whole: Files) -> None:
    for name in evidence(whole):
        for bit in range(8 * len(whole[name])):
            assert findings_in(flipped(whole, name, bit)) != [], (name, bit)


@given(st.data())
def test_every_truncation_is_found(whole: Files, data: st.DataObject) -> None:
    """Of segments; a head that is cut away whole leaves what the next one vouches for."""
    name = data.draw(st.sampled_from([name for name in evidence(whole) if name != "heads.jsonl"]))
    cut = data.draw(st.integers(0, len(whole[name]) - 1))
    assert findings_in({**whole, name: whole[name][:cut]}) != []


@given(st.data())
def test_every_deleted_range_of_bytes_is_found(whole: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for name in evidence(whole) if name != "heads.jsonl"]))
    begin = data.draw(st.integers(0, len(whole[name]) - 1))
    end = data.draw(st.integers(begin + 1, len(whole[name])))
    assert findings_in({**whole, name: whole[name][:begin] + whole[name][end:]}) != []


@given(st.data())
def test_every_insertion_is_found(whole: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(evidence(whole)))
    at = data.draw(st.integers(0, len(whole[name])))
    lines = [line for files in whole.values() for line in files.splitlines(keepends=True)]
    inserted = data.draw(st.binary(min_size=1, max_size=20) | st.sampled_from(lines))
    changed = whole[name][:at] + inserted + whole[name][at:]
    if name == "heads.jsonl" and sorted(set(changed.splitlines())) == sorted(whole[name].splitlines()):
        return  # the last head twice says nothing new
    assert findings_in({**whole, name: changed}) != []


@given(st.data())
def test_every_other_order_of_lines_is_found(whole: Files, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(evidence(whole)))
    lines = whole[name].splitlines(keepends=True)
    order = data.draw(st.permutations(range(len(lines))))
    changed = b"".join(lines[number] for number in order)
    assert (findings_in({**whole, name: changed}) == []) == (changed == whole[name])


@given(st.data())
def test_every_other_order_of_segments_is_found(whole: Files, data: st.DataObject) -> None:
    names = [name for name in evidence(whole) if name != "heads.jsonl"]
    order = data.draw(st.permutations(names))
    assert (findings_in({**whole, **{to: whole[name] for to, name in zip(names, order, strict=True)}}) == []) == (
        order == names
    )


STEP = st.one_of(
    st.tuples(st.just("append"), st.integers(1, 6)),
    st.tuples(st.just("post"), st.integers(1, 6)),
    st.tuples(st.just("clock"), st.integers(-7_200, 7_200)),
    st.tuples(st.just("head"), st.just(0)),
    st.tuples(st.just("reopen"), st.just(0)),
    st.tuples(st.just("tear"), st.integers(1, 300)),
)


class History:
    """One ledger through its life."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Ticks()
        self.numbers: list[int] = []
        self.torn = 0
        self.ledger = self.opened()

    def opened(self) -> Writer:
        """Go on with the ledger."""
        return Writer.open(self.directory, KEY, about=ABOUT, options=SMALL, clock=self.clock)

    def step(self, what: str, amount: int) -> None:
        """Live through one step."""
        match what:
            case "append" | "post":
                for _ in range(amount):
                    self.numbers.append(len(self.numbers))
                    record = self.ledger.append if what == "append" else self.ledger.post
                    record("note", {"number": self.numbers[-1]})
                self.ledger.head()
            case "clock":
                self.clock.ns += amount * 1_000_000_000
            case "head":
                if self.numbers:
                    self.ledger.head()
            case "reopen" | "tear":
                self.ledger.close()
                if what == "tear" and (files := segment_files(self.directory)):
                    whole = files[0].read_bytes()[:amount].partition(b"\n")[0]
                    files[-1].write_bytes(files[-1].read_bytes() + whole)
                    self.torn += 1
                self.ledger = self.opened()


@given(st.lists(STEP, max_size=12))
@example([("append", 3), ("tear", 20), ("clock", -3_600), ("append", 1), ("reopen", 0)])
def test_no_history_of_a_ledger_makes_a_finding(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as name:
        history = History(Path(name))
        for what, amount in steps:
            history.step(what, amount)
        history.ledger.close()
        documents = [json.loads(line) for line in raw_lines(Path(name))]
        assert [document["body"]["number"] for document in documents if document["kind"] == "note"] == history.numbers
        assert [document["kind"] for document in documents].count("ledger.repaired") == history.torn
        summary, findings = found(Path(name))
        assert [str(finding.wrong) for finding in findings] == ([] if documents else ["empty"])
        assert summary.unvouched == 0


FLOATS = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not MAX_INTEGER < abs(number) < 1e21  # written as integers that no reader may take
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text() | FLOATS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
@example({"\ue000": 1, "\U00010000": 2})
@example({"\x7f\u2028": "\x7f\u2028\b\f\x1f"})
@example([MAX_INTEGER, -MAX_INTEGER, 1e21, 1e-7, -0.0])
def test_the_quick_way_to_canonical_text_is_the_general_one(document: object) -> None:
    text = rfc8785.dumps(document)  # type: ignore[arg-type]
    assert canonical(document) == text
    assert canonical(json.loads(text)) == text


@given(
    st.sampled_from(
        [float("nan"), float("inf"), MAX_INTEGER + 1, -MAX_INTEGER - 1, 2.0**53, "\ud800", b"", {1: 2}, {1, 2}]
    )
)
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises(BadInput, match=r"^a record cannot hold this: "):
        canonical({"body": [value]})


LIKE_RECORDS = st.builds(
    lambda members: json.dumps(members, sort_keys=True, separators=(",", ":")).encode() + b"\n",
    st.fixed_dictionaries(
        {
            "seq": st.integers(-1, 3) | JSON,
            "previous": st.just("0" * 64) | JSON,
            "at": st.just("2026-11-28T08:00:00.000000Z") | JSON,
            "kind": st.sampled_from(["ledger.segment", "note"]) | JSON,
            "body": st.just({"ledger": "x", "key": "zz"}) | JSON,
        }
    ),
)


@given(st.lists(st.binary(max_size=60) | LIKE_RECORDS | st.just(b"\n"), max_size=5), st.binary(max_size=200))
def test_whatever_stands_in_the_files_becomes_findings_and_no_error(lines: list[bytes], heads: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / f"{0:020d}.jsonl").write_bytes(b"".join(lines))
        (directory / "heads.jsonl").write_bytes(heads)
        for keys in ((), (KEY.verify_key,)):
            summary, findings = found(directory, keys=keys, against=[directory / "heads.jsonl"])
            assert summary.findings == len(findings)
        data = b"".join(lines)
        count = data.count(b"\n") + (data != b"" and not data.endswith(b"\n"))
        assert len(list(read_records(directory))) == count
        unread = [one for one in findings if one.wrong in {"malformed", "not_canonical", "too_long", "torn_tail"}]
        assert summary.records + len(unread) == count, "each line is a record or a finding"
