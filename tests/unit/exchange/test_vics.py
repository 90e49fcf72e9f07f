from __future__ import annotations

import base64
import io
import itertools
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange import vics
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, Label, Provenance, Rejected

MD5 = "0123456789abcdef" * 2
SHA1 = "a9" * 20
PHOTODNA = bytes(range(144))
V2 = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{}/$metadata#Media"
V1 = "http://github.com/ICMEC/ProjectVic/DataModels/{}.xml#Media"


def document(*records: object, context: str = V2.format("Default"), key: str = "@odata.context") -> bytes:
    return json.dumps({key: context, "value": records}).encode()


def record(number: int = 1, category: object = 1, **more: object) -> dict[str, object]:
    return {"MediaID": number, "Category": category, "MD5": f"{number:032X}", **more}


def read(data: bytes, categories: str = "") -> list[Entry | Rejected]:
    return list(vics.read(io.BytesIO(data), categories))


def taken(data: bytes, categories: str = "") -> list[str]:
    return [row.provenance.external_id for row in read(data, categories) if isinstance(row, Entry)]


def test_a_record_is_an_entry_named_by_its_md5() -> None:
    whole = record(
        7,
        2,
        SHA1=SHA1.upper(),
        PhotoDNA=base64.b64encode(PHOTODNA).decode(),
        VictimIdentified="True",
        IsDistributed=True,
        OffenderIdentified="false",
        IsPrecategorized="true",
        Series=" Synthetic ",
        Tags="a;b",
        Comments="not read",
        MediaFiles=[{"FileName": "not read"}],
    )
    (entry,) = read(document(whole, context=V2.format("US")))
    assert entry == Entry(
        "",
        (
            EntryHash("md5", (7).to_bytes(16, "big")),
            EntryHash("sha1", bytes.fromhex(SHA1)),
            EntryHash("photodna", PHOTODNA),
        ),
        (
            Label("vics", "2.0/US", "2"),
            Label("vics:IsDistributed", "", "true"),
            Label("vics:VictimIdentified", "", "true"),
            Label("vics:Series", "", "Synthetic"),
            Label("vics:Tags", "", "a;b"),
        ),
        Provenance(external_id="7"),
    )
    assert entry.position == 1


def test_the_label_names_the_data_model_and_its_country() -> None:
    for context, key, version in (
        (V2.format("UK"), "@odata.context", "2.0/UK"),
        (V2.format("CUSTOM"), "odata.metadata", "2.0/CUSTOM"),
        (V1.format("1.3"), "odata.metadata", "1.3"),
        (V1.format("1.3").replace("#", "/$metadata#"), "odata.metadata", "1.3"),
    ):
        (entry,) = read(document(record(), context=context, key=key))
        assert isinstance(entry, Entry)
        assert entry.labels == (Label("vics", version, "1"),)


@pytest.mark.parametrize(
    ("categories", "default", "us", "old"),
    [
        ("", "12", "12", "12"),
        ("1", "1", "1", "1"),
        ("0, 5,none", "05n", "05n", "05n"),
        ("US:1,2,3;1", "1", "123", "1"),
        ("1.3:3", "12", "12", "3"),
        ("2.0:3;US:none", "3", "n", "12"),
    ],
)
def test_what_is_taken_is_said_by_context(categories: str, default: str, us: str, old: str) -> None:
    records = [record(number, number) for number in range(6)] + [record(9, None), {"MD5": MD5, "MediaID": 8}]
    names = {"0": "0", "1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "n": "98"}

    def ids(letters: str) -> list[str]:
        return list("".join(names[letter] for letter in letters))

    assert taken(document(*records), categories) == ids(default)
    assert taken(document(*records, context=V2.format("US")), categories) == ids(us)
    assert taken(document(*records, context=V1.format("1.3"), key="odata.metadata"), categories) == ids(old)


@pytest.mark.parametrize("categories", ["a", "1,,2", "US:", "1;2;x:y", "\u0661"])
def test_what_is_no_choice_of_categories(categories: str) -> None:
    with pytest.raises(BadInput, match="expected numbers and none, as 1,2 or US:1,2,3;UK:1,2"):
        read(document(), categories)


def test_a_list_of_known_good_files_is_never_read_as_harmful_and_the_other_way_round() -> None:
    good = document({"MD5": MD5}, context=V1.format("1.2"), key="odata.metadata")
    with pytest.raises(BadFile, match="known good files, not of harmful ones; import it into an allow-list"):
        read(good)
    (entry,) = vics.read_known_good(io.BytesIO(good))
    assert entry == Entry("", (EntryHash("md5", bytes.fromhex(MD5)),))
    with pytest.raises(BadFile, match=r"a document of the data model 2.0 says nothing of harmless files"):
        vics.read_known_good(io.BytesIO(document(record())))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"value": []}', "the document names no data model"),
        (b'{"@odata.context": 7, "value": []}', "the document names the data model 7"),
        (document(context="urn:x"), "the document names the data model 'urn:x'"),
        (document(context=V1.format("1.0")), "VICS '1.0' is not read"),
        (b'{"value": [], "@odata.context": "' + V2.format("US").encode() + b'"}', "the document names no data model"),
    ],
)
def test_without_a_data_model_nothing_is_read(data: bytes, reason: str) -> None:
    with pytest.raises(BadFile) as caught:
        vics.read(io.BytesIO(data))
    assert reason in caught.value.message


def test_an_import_of_a_document_that_breaks_off_changes_nothing(tmp_path: Path) -> None:
    data = document(*(record(number) for number in range(1, 5_000)))
    with SqliteCatalog.open(tmp_path / "c") as catalog:
        catalog.create_set("x", HarmDomain.OTHER)
        with pytest.raises(BadFile, match=r"the document breaks off, after \d+ records"):
            catalog.import_entries("x", vics.read(io.BytesIO(data[:-2_000])))
        assert (catalog.get_set("x").entries, catalog.get_set("x").version) == (0, 1)
        assert catalog.import_entries("x", vics.read(io.BytesIO(data))).added == 4_999


def made(megabytes: int) -> Iterator[bytes]:
    """Yield a document of about so many megabytes, made while it is read."""
    padding = [{"PropertyName": "x", "PropertyValue": "y" * 1_000}] * 40
    one = json.dumps(record(1, Series="Synthetic", Exifs=padding)).encode()
    yield b'{"@odata.context": "' + V2.format("Default").encode() + b'", "value": ['
    yield from itertools.repeat(one + b",\n", (megabytes << 20) // len(one))
    yield one + b"]}"


class Made(io.RawIOBase):
    """A file that is never whole."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, size: int = -1) -> bytes:
        """Return at least as much as was asked for, or what is left."""
        data = bytearray()
        while len(data) < size and (part := next(self._parts, b"")):
            data += part
        return bytes(data)


@pytest.mark.parametrize("megabytes", [104, pytest.param(1_024, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_file(megabytes: int) -> None:
    tracemalloc.start()
    try:
        rows = vics.read(Made(made(megabytes)))  # type: ignore[arg-type]  # all that is used is read
        count = sum(isinstance(row, Entry) for row in rows)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count > megabytes * 20
    assert peak < 8_000_000


def entry(entry_id: str = "", **more: Any) -> Entry:
    return Entry(entry_id or f"md5:{MD5}", (EntryHash("md5", bytes.fromhex(MD5)),), **more)


def written(*entries: Entry) -> tuple[dict[str, Any], list[str]]:
    stream, losses = io.BytesIO(), Losses()
    count = vics.write(entries, stream, losses)
    whole = json.loads(stream.getvalue())
    assert len(whole["value"]) == count
    return whole, [f"{loss.what} {loss.count}: {loss.reason}" for loss in losses]


def test_what_is_written_states_nothing_that_the_entry_does_not() -> None:
    whole, losses = written(entry())
    assert whole == {"@odata.context": V2.format("Default"), "value": [{"Category": None, "MD5": MD5.upper()}]}
    assert losses == []


def test_the_context_is_that_of_the_categories() -> None:
    of = {name: entry(name, labels=(Label("vics", f"2.0/{name}", "1"),)) for name in ("US", "UK")}
    whole, losses = written(entry(), of["US"], of["UK"], entry(labels=(Label("vics", "1.3", "1"),)))
    assert whole["@odata.context"] == V2.format("US")
    assert [item["Category"] for item in whole["value"]] == [None, 1, None]
    assert losses == [
        f"the id 1: {vics.REASON}",
        "entry 1: its category is of another context than US; a document has one",
        f"labels 1: {vics.REASON}",
    ]


def test_what_vics_has_no_place_for_is_said() -> None:
    pdq = EntryHash("pdq", bytes(range(32)), 80)
    whole, losses = written(
        entry(status=EntryStatus.WITHDRAWN),
        Entry("b", (pdq,)),
        Entry(
            f"md5:{MD5}",
            (EntryHash("md5", bytes.fromhex(MD5)), EntryHash("md5", bytes(15) + b"\1"), pdq),
            (Label("vics:Series", "", "s"), Label("vics:IsSuspected", "", "no"), Label("iwf", "", "A")),
            Provenance(source="x", external_id="007"),
        ),
    )
    assert whole["value"] == [{"Category": None, "MD5": MD5.upper(), "Series": "s"}]
    assert losses == [
        "entry 1: the format cannot say that an entry is withdrawn",
        "entry 1: VICS needs an MD5",
        f"md5 values 1: {vics.REASON}",
        f"pdq values 1: {vics.REASON}",
        f"labels 1: {vics.REASON}",
        f"provenance 1: {vics.REASON}",
    ]
