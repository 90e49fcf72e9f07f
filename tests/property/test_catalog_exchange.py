"""What is exported is imported again without loss, through a catalog, in every format; and no file breaks a reader."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import tempfile
from pathlib import Path

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.catalog.validate import EntryRules
from hashmatch.errors import BadFile
from hashmatch.exchange import icse, nsrl
from hashmatch.exchange.formats import FORMATS
from hashmatch.exchange.rows import format_labels, parse_labels
from hashmatch.hashing.algorithms import table
from hashmatch.model import (
    AlgorithmKind,
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    Label,
    Opinion,
    Provenance,
    Rejected,
    Stance,
)
from hashmatch.transformations import CROPS, DENSE_CROPS

RULES = EntryRules()
VIEWS = ("", *CROPS, *DENSE_CROPS)


def texts(min_size: int = 0) -> st.SearchStrategy[str]:
    awkward = st.sampled_from(list(",;\t\"'%/=\\ {}[]:=+-@é日\u00a0\u200c𝄞"))
    return (
        st.text(awkward | st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=12)
        .map(str.strip)
        .filter(lambda text: len(text) >= min_size)
    )


@st.composite
def hashes(draw: st.DrawFn) -> EntryHash:
    algorithm = table()[draw(st.sampled_from(sorted(table())))]
    value = draw(st.binary(min_size=algorithm.size_bytes, max_size=algorithm.size_bytes))
    views = VIEWS if algorithm.kind is AlgorithmKind.PERCEPTUAL else [""]
    return EntryHash(algorithm.name, value, draw(st.none() | st.integers(50, 100)), draw(st.sampled_from(views)))


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    unique = draw(st.lists(hashes(), min_size=1, max_size=4, unique_by=lambda item: (item.algorithm, item.value)))
    moment = st.datetimes(dt.datetime(1600, 1, 1), timezones=st.just(dt.UTC))  # noqa: DTZ001 - hypothesis wants it bare
    opinions = st.builds(
        Opinion,
        who=texts(1),
        stance=st.sampled_from(Stance),
        reason=texts(),
        at=moment,
        algorithm=st.sampled_from(["", *table()]),
    )
    return Entry(
        draw(texts(1)),
        tuple(sorted(unique, key=lambda item: (item.algorithm, item.value))),
        tuple(draw(st.lists(st.builds(Label, texts(1), texts(), texts(1)), max_size=3))),
        Provenance(draw(texts()), draw(texts()), draw(texts()), draw(moment), draw(texts()), draw(texts())),
        draw(st.sampled_from(EntryStatus)),
        draw(texts()),
        tuple(draw(st.lists(opinions, max_size=2, unique_by=_whose).map(lambda some: sorted(some, key=_whose)))),
    )


def _whose(opinion: Opinion) -> tuple[str, str]:
    return opinion.who, opinion.algorithm


def without_what_csv_leaves_out(entry: Entry) -> Entry:
    opinions = (dataclasses.replace(item, reason="", at=None) for item in entry.opinions)
    return dataclasses.replace(entry, opinions=tuple(opinions))


WHOLE = ("csv", "jsonl", "misp", "stix")
"""Formats that carry an entry whole; csv but for why and since when of opinions."""


@pytest.mark.parametrize("name", WHOLE)
@given(originals=st.lists(entries(), max_size=5, unique_by=lambda entry: entry.entry_id))
@settings(max_examples=25, deadline=None)
def test_export_and_import_is_the_identity(name: str, originals: list[Entry]) -> None:
    assume(all(RULES.problem(entry) is None for entry in originals))
    chosen = FORMATS[name]
    with tempfile.TemporaryDirectory() as folder, SqliteCatalog.open(Path(folder) / "c") as catalog:
        for list_name in ("first", "second"):
            catalog.create_set(list_name, HarmDomain.OTHER)
        catalog.import_entries("first", originals)
        stream = io.BytesIO()
        assert chosen.write(catalog.entries("first"), stream) == len(originals)
        stream.seek(0)
        result = catalog.import_entries("second", chosen.read(stream))
        assert (result.added, result.rejections) == (len(originals), ())
        expected = sorted(originals, key=lambda entry: entry.entry_id)
        assert list(catalog.entries("first")) == expected
        again = list(catalog.entries("second"))
        if name == "csv":
            again, expected = (list(map(without_what_csv_leaves_out, some)) for some in (again, expected))
        assert again == expected


@given(labels=st.lists(st.builds(Label, texts(1), texts(), texts(1)), max_size=5).map(tuple))
def test_labels_as_text_are_the_same_labels(labels: tuple[Label, ...]) -> None:
    assert parse_labels(format_labels(labels)) == labels


HEADS = {
    "csv": b"algorithm,value,labels,status\n",
    "jsonl": b'{"algorithm": "md5", ',
    "icse": b";".join(name.encode() for name in icse.HEADER) + b"\n",
    "pytx": b"pdq ",
    "stix": b'{"type": "bundle", "objects": [{"type": "indicator", "pattern": ',
    "misp": b'{"Event": {"Object": [{"name": "file", "Attribute": [',
    "nsrl": b",".join(name.encode() for name in nsrl.HEADER) + b"\n",
    "nsrl-sqlite": nsrl.MAGIC,
    "vics": b'{"@odata.context": "/DataModels/2.0.xml/US/$metadata#Media", "value": [{"MD5": ',
    "ncmec": b'<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2"><images><image><id>1</id>',
    "stopncii": b'{"count": 1, "hashRecords": [{"signalType": "ImagePDQ", "hashValue": ',
    "tat": b'{"checkpoint": "1,2", "results": [{"algorithm": "PDQ", "hash_digest": ',
    "threatexchange": b'{"data": [{"id": "1", "type": "HASH_PDQ", "indicator": ',
    "caid": b'{"odata.metadata": "/DataModels/1.2.xml#Media", "value": [{"MD5": ',
}
BY_LINE = frozenset({"csv", "jsonl", "icse", "pytx", "nsrl"})
"""Formats whose positions are lines; those of the others are records."""

PIECES = st.sampled_from([b'"', b"{", b"[", b"}", b"]", b",", b":", b'"a"', b"null", b"17", b'"MD5"'])
LINES = st.lists(st.binary(max_size=60) | st.text(max_size=40).map(str.encode), max_size=6).map(b"\n".join) | st.lists(
    PIECES, max_size=20
).map(b"".join)


@pytest.mark.parametrize("name", sorted(FORMATS))
@given(data=LINES, with_head=st.booleans())
@example(data=b'"' * 200, with_head=True)
@example(data=b"[" * 100_000, with_head=True)
@example(data=b"{" + b'"a":{' * 50_000, with_head=True)
@settings(max_examples=60, deadline=None)
def test_any_bytes_give_entries_rejections_or_bad_file(name: str, data: bytes, with_head: bool) -> None:  # noqa: FBT001
    whole = HEADS[name] + data if with_head else data
    try:
        rows = list(FORMATS[name].read(io.BytesIO(whole)))
    except BadFile:
        return
    most = whole.count(b"\n") + 1 if name in BY_LINE else len(whole)
    positions = [row.position for row in rows]
    assert all(position is not None and 1 <= position <= most for position in positions)
    assert all(row.reason for row in rows if isinstance(row, Rejected))
