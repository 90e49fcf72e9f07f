"""What a foreign format was given comes back unless the losses name it; and what came back loses nothing more."""

from __future__ import annotations

import dataclasses
import io

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hashmatch.catalog.validate import EntryRules
from hashmatch.exchange.formats import FORMATS, Format, written
from hashmatch.exchange.losses import Losses
from hashmatch.exchange.pytx import VIDEO_LABEL
from hashmatch.hashing.algorithms import table
from hashmatch.model import AlgorithmKind, Entry, EntryHash, EntryStatus, Label, Provenance, Rejected
from tests.property.test_catalog_exchange import VIEWS, WHOLE, texts

RULES = EntryRules()
FOREIGN = [name for name in written() if name not in WHOLE]
READ_OPTIONS = {"vics": {"categories": "0,1,2,3,none"}}
KNOWN_LABELS = [
    VIDEO_LABEL,
    *(Label("vics", version, number) for version in ("2.0/US", "2.0/UK", "1.3") for number in ("0", "1", "x")),
    *(Label(f"vics:{name}", "", value) for name in ("IsDistributed", "Series") for value in ("true", "x", "y")),
]


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    """Entries of the kind that other formats have a place for, more often than not."""
    names = st.sampled_from(["md5", "sha1", "sha256", "photodna", "pdq", "phash"])
    hashes = []
    for name in draw(st.lists(names, min_size=1, max_size=3)):
        size, kind = table()[name].size_bytes, table()[name].kind
        value = draw(st.binary(min_size=size, max_size=size))
        view = draw(st.sampled_from(VIEWS)) if kind is AlgorithmKind.PERCEPTUAL and draw(st.booleans()) else ""
        hashes.append(EntryHash(name, value, draw(st.none() | st.integers(50, 100)), view))
    unique = {(item.algorithm, item.value): item for item in hashes}
    sorted_hashes = tuple(unique[key] for key in sorted(unique))
    made = f"{sorted_hashes[0].algorithm}:{sorted_hashes[0].hex}"
    labels = st.sampled_from(KNOWN_LABELS) | st.builds(Label, texts(1), texts(), texts(1))
    return Entry(
        draw(st.just(made) | texts(1)),
        sorted_hashes,
        tuple(draw(st.lists(labels, max_size=3, unique=True))),
        Provenance(draw(texts()), draw(texts()), draw(st.sampled_from(["", "7", "07"]) | texts())),
        draw(st.sampled_from([EntryStatus.ACTIVE, *EntryStatus])),
        draw(texts()),
    )


def through(chosen: Format, originals: list[Entry]) -> tuple[list[Entry], Losses]:
    """Write entries and read what was written, as a catalog would hold it."""
    stream, losses = io.BytesIO(), Losses()
    count = chosen.write(originals, stream, losses)
    assert count == len(originals) - losses.entries
    stream.seek(0)
    rows = list(chosen.read(stream, READ_OPTIONS.get(chosen.name, {})))
    assert [row for row in rows if isinstance(row, Rejected)] == []
    return [held(row) for row in rows if isinstance(row, Entry)], losses


def held(entry: Entry) -> Entry:
    """With the id that a catalog makes, in its order of hashes, and without when the entry was received."""
    first = entry.hashes[0]
    return dataclasses.replace(
        entry,
        entry_id=entry.entry_id or f"{first.algorithm}:{first.hex}",
        hashes=tuple(sorted(entry.hashes, key=lambda item: (item.algorithm, item.value))),
        labels=tuple(sorted(entry.labels, key=lambda label: (label.scheme, label.version, label.value))),
        provenance=dataclasses.replace(entry.provenance, received_at=None),
        position=None,
    )


@pytest.mark.parametrize("name", FOREIGN)
@given(original=entries())
@settings(max_examples=40, deadline=None)
def test_an_entry_comes_back_unless_the_losses_say_otherwise(name: str, original: Entry) -> None:
    assume(RULES.problem(original) is None)
    found, losses = through(FORMATS[name], [original])
    if not list(losses):
        assert found == [held(original)]
    elif losses.entries:
        assert found == []
    else:
        assert found != [held(original)]
        values = {(item.algorithm, item.value) for item in original.hashes}
        assert all((item.algorithm, item.value) in values for entry in found for item in entry.hashes)


@pytest.mark.parametrize("name", FOREIGN)
@given(originals=st.lists(entries(), max_size=4, unique_by=lambda entry: entry.entry_id))
@settings(max_examples=25, deadline=None)
def test_what_came_back_loses_nothing_more(name: str, originals: list[Entry]) -> None:
    assume(all(RULES.problem(entry) is None for entry in originals))
    once, _ = through(FORMATS[name], originals)
    twice, losses = through(FORMATS[name], once)
    assert (twice, list(losses)) == (once, [])
