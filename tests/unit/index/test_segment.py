from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

import numpy as np
import pytest

from hashmatch.errors import BadHash, SegmentCorrupt, UnknownAlgorithm
from hashmatch.index import build as building
from hashmatch.index import layout
from hashmatch.index.build import build, clean_stale
from hashmatch.index.columns import Texts
from hashmatch.index.part import Notes
from hashmatch.index.plan import LEAST_ROWS
from hashmatch.index.segment import Segment
from hashmatch.index.strategy import RowFilter
from hashmatch.model import Change, Entry, EntryHash, EntryStatus, HarmDomain, Label, SetMode
from tests.support.feed import FakeFeed
from tests.support.index import TABLE, entry, segment_of, value

LABELS = (Label("ncmec", "2022", "A1"), Label("hotline", "", "naïve “quotes”"))


def small_feed() -> FakeFeed:
    feed = FakeFeed()
    feed.create_set("first")
    feed.create_set("second", domain=HarmDomain.NCII, mode=SetMode.SHADOW)
    feed.create_set("empty")
    feed.put("first", [entry(f"e{i}", value("pdq", i), value("md5", 1000 - i)) for i in range(5)])
    feed.put("second", [entry("ü-2", value("pdq-nearest512", 77), value("phash", 3), labels=LABELS)])
    feed.put("second", [entry("wide", value("wide", 9))])
    feed.put("first", [entry("disputed", value("sha1", 5), status=EntryStatus.DISPUTED)])
    feed.withdraw("first", "e3")
    return feed


def every_row(segment: Segment, space: str = "pdq") -> RowFilter:
    nothing = np.empty(0, dtype=np.uint32)
    return RowFilter(segment.part.spaces[space].owners, segment.part.entries.sets, nothing, np.empty(0, dtype=np.uint8))


def names_of(segment: Segment) -> list[str]:
    return [segment.part.entries.ids[row] for row in range(len(segment.part.entries))]


def test_everything_comes_back(tmp_path: Path) -> None:
    feed = small_feed()
    segment = segment_of(feed, tmp_path / "segment", generation=7)
    entries = segment.part.entries
    assert (segment.generation, segment.sequence) == (7, feed.sequence())
    assert segment.size_bytes == (tmp_path / "segment").stat().st_size
    by_name = {state.name: state for state in segment.sets}
    assert by_name.keys() == {"first", "second", "empty"}
    assert (by_name["second"].mode, by_name["second"].domain) == (SetMode.SHADOW, HarmDomain.NCII)
    assert sorted(names_of(segment)) == ["disputed", "e0", "e1", "e2", "e4", "wide", "ü-2"]
    row = names_of(segment).index("ü-2")
    assert entries.notes_of(row) == Notes(LABELS)
    assert entries.status_of(row) is EntryStatus.ACTIVE
    assert entries.status_of(names_of(segment).index("disputed")) is EntryStatus.DISPUTED
    assert segment.sets[int(entries.sets[row])].name == "second"
    assert {(s.name, s.rows) for s in segment.spaces} == {
        ("pdq", 5),
        ("md5", 4),
        ("phash", 1),
        ("wide", 1),
        ("sha1", 1),
    }
    assert repr(segment) == f"<Segment 7 at sequence {feed.sequence()}: 7 entries, {segment.size_bytes} bytes>"


def test_withdrawn_entries_are_left_out(tmp_path: Path) -> None:
    segment = segment_of(small_feed(), tmp_path / "segment")
    assert "e3" not in names_of(segment)
    found = segment.part.spaces["pdq"].within(
        np.frombuffer(value("pdq", 3).value, np.uint8).reshape(1, -1), 0, every_row(segment), 10
    )
    assert len(found) == 0


def test_an_empty_catalog_makes_a_segment(tmp_path: Path) -> None:
    segment = segment_of(FakeFeed(), tmp_path / "segment")
    assert (len(segment.part.entries), segment.part.spaces, segment.sets) == (0, {}, ())
    assert segment.find(np.array([0], dtype=np.uint32), Texts.of(["nobody"])).tolist() == []


def test_columns_start_at_cache_lines_and_cannot_be_written(tmp_path: Path) -> None:
    segment = segment_of(small_feed(), tmp_path / "segment")
    for name, column in segment._columns.items():
        assert column.ctypes.data % layout.ALIGNMENT_BYTES == 0 or not column.size, name
        assert not column.flags.writeable, name


def test_digests_are_stored_in_key_order(tmp_path: Path) -> None:
    segment = segment_of(small_feed(), tmp_path / "segment")
    codes, keys = segment._columns["space/md5/codes"], segment._columns["space/md5/keys"]
    owners = segment._columns["space/md5/owners"]
    assert keys.tolist() == sorted(keys.tolist())
    expected = {value("md5", 1000 - i).value: f"e{i}" for i in (0, 1, 2, 4)}
    assert {code.tobytes(): segment.part.entries.ids[int(o)] for code, o in zip(codes, owners, strict=True)} == expected


def test_entries_are_found_by_set_and_id(tmp_path: Path) -> None:
    feed = FakeFeed()
    for name in ("a", "b"):
        feed.create_set(name)
        feed.put(name, [entry(f"e{i}", value("pdq", i)) for i in range(200)])
    segment = segment_of(feed, tmp_path / "segment")
    ordinals = {state.name: ordinal for ordinal, state in enumerate(segment.sets)}
    asked = [("a", "e7"), ("b", "e7"), ("b", "e199"), ("a", "e200"), ("b", "")]
    sets = np.array([ordinals[name] for name, _ in asked], dtype=np.uint32)
    rows = segment.find(sets, Texts.of([entry_id for _, entry_id in asked]))
    found = [(segment.sets[int(segment.part.entries.sets[row])].name, segment.part.entries.ids[row]) for row in rows]
    assert found == asked[:3]


def test_equal_keys_are_told_apart_by_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def constant(texts: Texts, _salts: object) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        return np.zeros(len(texts), dtype=np.uint64)

    monkeypatch.setattr(building, "text_keys", constant)
    monkeypatch.setattr("hashmatch.index.segment.text_keys", constant)
    segment = segment_of(small_feed(), tmp_path / "segment")
    first = [state.name for state in segment.sets].index("first")
    rows = segment.find(np.array([first], dtype=np.uint32), Texts.of(["e2"]))
    assert [segment.part.entries.ids[row] for row in rows] == ["e2"]


def test_batches_join_without_a_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    feed = small_feed()
    whole = segment_of(feed, tmp_path / "whole")
    monkeypatch.setattr(building, "BATCH_CHANGES", 2)
    pieces = segment_of(feed, tmp_path / "pieces")
    assert pieces.path.read_bytes() == whole.path.read_bytes()


# --- damage ------------------------------------------------------------------------------------------------------


def test_every_flipped_byte_is_refused(tmp_path: Path) -> None:
    """Header, table, every column and every padding byte: nothing in the file is unprotected."""
    feed = FakeFeed()
    feed.create_set("a")
    feed.put("a", [entry(f"e{i}", value("pdq", i), value("md5", i)) for i in range(2)])
    path = tmp_path / "segment"
    original = segment_of(feed, path).path.read_bytes()
    for offset in range(len(original)):
        damaged = bytearray(original)
        damaged[offset] ^= 1 << (offset % 8)
        path.write_bytes(damaged)
        with pytest.raises(SegmentCorrupt, match=r"segment: (header|column [a-z0-9/_]+): "):
            Segment.open(path)


def test_the_damaged_column_is_named(tmp_path: Path) -> None:
    segment = segment_of(small_feed(), tmp_path / "segment")
    table = layout.unpack(memoryview(segment.path.read_bytes()), "segment")
    for column in table.columns:
        if not column.size_bytes:
            continue
        damaged = bytearray(segment.path.read_bytes())
        damaged[column.offset] ^= 0x80
        (tmp_path / "damaged").write_bytes(damaged)
        with pytest.raises(SegmentCorrupt) as refused:
            Segment.open(tmp_path / "damaged")
        assert refused.value.message == f"damaged: column {column.name}: checksum does not match"


def test_without_verifying_the_header_is_still_verified(tmp_path: Path) -> None:
    path = segment_of(small_feed(), tmp_path / "segment").path
    assert len(Segment.open(path, verify=False).part.entries) == 7
    damaged = bytearray(path.read_bytes())
    damaged[60] ^= 1
    (tmp_path / "damaged").write_bytes(damaged)
    with pytest.raises(SegmentCorrupt, match="damaged: header: checksum does not match"):
        Segment.open(tmp_path / "damaged", verify=False)


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    original = segment_of(small_feed(), path).path.read_bytes()
    for length in [*range(0, len(original), 97), len(original) - 1]:
        path.write_bytes(original[:length])
        with pytest.raises(SegmentCorrupt):
            Segment.open(path)
    path.write_bytes(original + bytes(64))
    said = f"segment: the file has {len(original) + 64} bytes, its header says {len(original)}"
    with pytest.raises(SegmentCorrupt, match=said):
        Segment.open(path)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "segment"
    path.write_bytes(b"\x00" * 4096)
    with pytest.raises(SegmentCorrupt, match="segment: header: not a segment file"):
        Segment.open(path)
    path.write_bytes(b"")
    with pytest.raises(SegmentCorrupt, match="segment: header: the file is empty"):
        Segment.open(path)


@pytest.mark.parametrize("version", [layout.VERSION - 1, layout.VERSION + 1])
def test_another_version_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    monkeypatch.setattr(layout, "VERSION", version)
    path = tmp_path / "segment"
    build(path, small_feed().changes(0), TABLE, generation=1, sequence=1)
    monkeypatch.undo()
    message = f"segment: header: layout version {version}, this hashmatch reads version {layout.VERSION}"
    with pytest.raises(SegmentCorrupt, match=message):
        Segment.open(path)


def test_more_views_than_fit_their_column_stop_the_build(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.create_set("a")
    feed.put("a", [entry("e", *(value("pdq", number, f"view-{number}") for number in range(256)))])
    with pytest.raises(BadHash, match="'view-255' is one view too many; an index holds 256"):
        segment_of(feed, tmp_path / "segment")
    feed.put("a", [entry("e", *(value("pdq", number, f"view-{number}") for number in range(255)))])
    assert len(segment_of(feed, tmp_path / "segment").part.views) == 256


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'"entries":7', b'"entries":8'),
        (b'"dtype":"<u4"', b'"dtype":"<u8"'),
        (b'"generation":1', b'"generation":x'),
        (b'"kind":"digest"', b'"kind":"dogest"'),
        (b'"columns":[{', b'"colxmns":[{'),
    ],
)
def test_a_well_sealed_lie_is_refused(tmp_path: Path, before: bytes, after: bytes) -> None:
    """A checksum that matches says who wrote the header, not that it makes sense."""
    path = segment_of(small_feed(), tmp_path / "segment").path
    lying = path.read_bytes().replace(before, after, 1)
    assert lying != path.read_bytes()
    magic, version, table_bytes, _ = layout._PREFIX.unpack_from(lying)
    end = layout.padded(layout._PREFIX.size + table_bytes)
    blank = layout._PREFIX.pack(magic, version, table_bytes, bytes(32)) + lying[layout._PREFIX.size : end]
    running = layout.checksum()
    running.update(blank)
    sealed = layout._PREFIX.pack(magic, version, table_bytes, running.digest()) + lying[layout._PREFIX.size :]
    path.write_bytes(sealed)
    with pytest.raises(SegmentCorrupt, match=r"segment: header: the (table cannot be read|columns are not those)"):
        Segment.open(path)


def test_a_removed_file_is_searched_until_its_last_reader_goes(tmp_path: Path) -> None:
    segment = segment_of(small_feed(), tmp_path / "segment")
    segment.path.unlink()
    query = np.frombuffer(value("pdq", 4).value, np.uint8).reshape(1, -1)
    assert len(segment.part.spaces["pdq"].within(query, 0, every_row(segment), 10)) == 1


# --- building ----------------------------------------------------------------------------------------------------


def test_values_that_cannot_be_indexed_stop_the_build(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.create_set("a")
    feed.put("a", [Entry("e", (EntryHash("pdq", b"short"),))])
    with pytest.raises(BadHash, match="the catalog holds a pdq value of 5 bytes, expected 32; export the set"):
        segment_of(feed, tmp_path / "segment")
    feed.put("a", [Entry("e", (EntryHash("gone", b"x"),))])
    with pytest.raises(UnknownAlgorithm, match="the catalog holds values of 'gone', and no algorithm of that name"):
        segment_of(feed, tmp_path / "segment")
    assert list(tmp_path.iterdir()) == []


def test_a_failing_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = segment_of(small_feed(), tmp_path / "segment").path
    before = path.read_bytes()

    def failing(_handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output error"):
        build(path, FakeFeed().changes(0), TABLE, generation=2, sequence=9)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_stream_that_breaks_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> object:
        yield from small_feed().changes(0)
        raise RuntimeError("the catalog went away")

    with pytest.raises(RuntimeError, match="the catalog went away"):
        build(tmp_path / "segment", broken(), TABLE, generation=1, sequence=1)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_durable_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def watched_fsync(handle: int) -> None:
        steps.append(f"fsync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def watched_replace(self: Path, target: Path) -> Path:
        steps.append(f"rename {self.name} {target.name}")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", watched_fsync)
    monkeypatch.setattr(Path, "replace", watched_replace)
    build(tmp_path / "segment", iter(()), TABLE, generation=1, sequence=0)
    assert steps == ["fsync segment.tmp", "rename segment.tmp segment", f"fsync {tmp_path.name}"]


def test_stale_files_are_removed_and_others_kept(tmp_path: Path) -> None:
    kept = segment_of(small_feed(), tmp_path / "segment").path
    (tmp_path / "segment.tmp").write_bytes(b"half")
    (tmp_path / "spool-1.tmp").write_bytes(b"half")
    assert [path.name for path in clean_stale(tmp_path)] == ["segment.tmp", "spool-1.tmp"]
    assert list(tmp_path.iterdir()) == [kept]


def test_progress_is_reported_once_per_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []

    class Watch:
        def start(self, description: str, total: int | None, unit: str = "items") -> None:
            seen.append((description, total, unit))

        def advance(self, done: int) -> None:
            seen.append(done)

        def finish(self) -> None:
            seen.append("finished")

    monkeypatch.setattr(building, "BATCH_CHANGES", 4)
    changes: list[Change] = list(small_feed().changes(0))
    with contextlib.closing(small_feed().changes(0)) as stream:
        build(tmp_path / "segment", stream, TABLE, generation=1, sequence=1, progress=Watch())
    assert seen[0] == ("building the index", None, "entries")
    assert seen[-1] == "finished"
    assert sum(step for step in seen if isinstance(step, int)) == len(changes)


def test_a_large_space_is_searched_through_tables_and_a_small_one_is_not(tmp_path: Path) -> None:
    feed = FakeFeed()
    feed.create_set("first")
    feed.put("first", [entry(f"e{i}", value("pdq", i), value("phash", i)) for i in range(LEAST_ROWS)])
    feed.put("first", [entry("three values", *(value("pdq", 10_000 + i) for i in range(3)), value("wide", 1))])
    segment = segment_of(feed, tmp_path / "segment")
    described = {name: repr(rows.search) for name, rows in segment.part.spaces.items()}
    assert described["pdq"] == f"<MultiIndexSearch {LEAST_ROWS + 3} rows of 256 bits, 7-bit keys>"
    assert described["phash"] == f"<MultiIndexSearch {LEAST_ROWS} rows of 64 bits, 7-bit keys>"
    assert described["wide"].startswith("<FlatSearch 1 rows")
    assert {name: rows.most for name, rows in segment.part.spaces.items()} == {"pdq": 3, "phash": 1, "wide": 1}
    asked = np.frombuffer(b"".join(value("pdq", i).value for i in (0, 7, 10_001)), np.uint8).reshape(3, -1)
    found = segment.part.spaces["pdq"].within(asked, 0, every_row(segment), 10)
    assert (found.row.tolist(), found.distance.tolist()) == ([0, 7, LEAST_ROWS + 1], [0, 0, 0])
