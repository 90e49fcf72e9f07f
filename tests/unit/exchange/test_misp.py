from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import misp
from hashmatch.exchange.losses import Losses
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, HashSet, Label, Provenance, Rejected
from hashmatch.sharing import DOMAIN_TAGS, TAGS
from tests.unit.exchange.test_stix import ENTRIES, SET

MD5, SHA1, PDQ = "ab" * 16, "cd" * 20, "0123456789abcdef" * 4


def read(*objects: object, attributes: list[Any] | None = None, several: bool = False) -> list[Entry | Rejected]:
    event = {"Event": {"info": "x", "Attribute": attributes or [], "Object": objects}}
    whole = {"response": [event, {"Event": {}}]} if several else event
    return list(misp.read(io.BytesIO(json.dumps(whole).encode())))


def attribute(relation: str, value: object, **more: object) -> dict[str, object]:
    return {"object_relation": relation, "type": relation, "value": value, **more}


def file(*attributes: object, **more: object) -> dict[str, object]:
    return {"name": "file", "uuid": "f-1", "Attribute": list(attributes or [attribute("md5", MD5)]), **more}


def perceptual(**more: object) -> dict[str, object]:
    texts = {"algorithm": "pdq", "value": PDQ, "quality": "80"}
    stated = [attribute(name, text) for name, text in texts.items()]
    return {"name": "perceptual-hash", "uuid": "p-1", "Attribute": stated, **more}


def reference(identity: str) -> list[dict[str, str]]:
    return [{"referenced_uuid": identity, "relationship_type": "characterized-by"}]


def entry(*hashes: EntryHash, name: str = "f-1", **more: Any) -> Entry:
    return Entry(name, hashes, provenance=Provenance(external_id=name), **more)


A_MD5, A_SHA1 = EntryHash("md5", bytes.fromhex(MD5)), EntryHash("sha1", bytes.fromhex(SHA1))
A_PDQ = EntryHash("pdq", bytes.fromhex(PDQ), 80)


@pytest.mark.parametrize("hash_set", [SET, None])
def test_what_is_written_reads_back_whole(hash_set: HashSet | None) -> None:
    stream, losses = io.BytesIO(), Losses()
    assert misp.write(ENTRIES, stream, losses, hash_set) == 3
    assert list(losses) == []
    stream.seek(0)
    assert list(misp.read(stream)) == ENTRIES


def test_others_find_files_and_perceptual_hashes_that_nothing_correlates() -> None:
    stream = io.BytesIO()
    misp.write(ENTRIES, stream, Losses(), SET)
    event = json.loads(stream.getvalue())["Event"]
    assert {tag["name"] for tag in event["Tag"]} == {*TAGS, *DOMAIN_TAGS[HarmDomain.CSAM]}
    assert [item["name"] for item in event["Object"]] == [
        *("hashmatch-entry", "file", "perceptual-hash"),
        *("hashmatch-entry", "perceptual-hash"),
        *("hashmatch-entry", "file"),
    ]
    assert [item["deleted"] for item in event["Object"]] == [*[False] * 6, True]
    stated = [one for item in event["Object"] for one in item["Attribute"]]
    assert all(one["to_ids"] is False and one["disable_correlation"] is True for one in stated)
    assert len({item["uuid"] for item in event["Object"]}) == 7
    first, *others = event["Object"][:3]
    assert [item["referenced_uuid"] for item in first["ObjectReference"]] == [item["uuid"] for item in others]
    without_ours = [item for item in event["Object"] if item["name"] != "hashmatch-entry"]
    found = read(*without_ours)
    assert [[item.algorithm for item in row.hashes] for row in found if isinstance(row, Entry)] == [
        ["md5", "sha1", "sha256"],
        ["pdq"],
        ["pdq"],
        ["md5"],
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (file(ObjectReference=reference("p-1")), perceptual()),
        (file(), perceptual(ObjectReference=reference("f-1"))),
    ],
)
def test_a_file_and_the_perceptual_hash_behind_it_are_one_entry(first: object, second: object) -> None:
    assert read(first, second) == [entry(A_MD5, A_PDQ)]


def test_a_perceptual_hash_that_belongs_to_nothing_is_an_entry_of_its_own() -> None:
    assert read(file(), perceptual()) == [entry(A_MD5), entry(A_PDQ, name="p-1")]
    assert read(perceptual(ObjectReference=reference("f-1"))) == [entry(A_PDQ, name="p-1")]


def test_attributes_of_the_event_that_are_digests_are_entries() -> None:
    plain = {"uuid": "a-1", "type": "sha1", "value": SHA1}
    named = {"uuid": "a-2", "type": "filename|md5", "value": f"x.jpg|{MD5}", "Tag": [{"name": "tlp:red"}, {"x": 1}]}
    mail = {"uuid": "a-3", "type": "email-src", "value": "x@example.org"}
    found = read(file(), attributes=[plain, named, mail], several=True)
    assert found == [
        entry(A_SHA1, name="a-1"),
        entry(A_MD5, name="a-2", labels=(Label("misp", "", "tlp:red"),)),
        entry(A_MD5),
    ]


def test_what_is_deleted_is_withdrawn() -> None:
    (row,) = read(file(attribute("md5", MD5), attribute("sha1", SHA1, deleted=True), deleted=True))
    assert row == entry(A_MD5, status=EntryStatus.WITHDRAWN, status_reason="deleted in MISP")


def test_our_object_that_was_deleted_withdraws_the_entry() -> None:
    whole = Entry("a", (A_MD5,), provenance=Provenance(received_at=dt.datetime(2026, 1, 1, tzinfo=dt.UTC)))
    stream = io.BytesIO()
    misp.write([whole], stream, Losses(), None)
    objects = json.loads(stream.getvalue())["Event"]["Object"]
    objects[0]["deleted"] = True
    (row,) = read(*objects)
    assert isinstance(row, Entry)
    assert (row.entry_id, row.status) == ("a", EntryStatus.WITHDRAWN)


def test_hashes_that_are_not_installed_are_said_once_and_what_is_no_hash_passed_over() -> None:
    many = file(attribute("sha512", "x"), attribute("filename", "x"), attribute("md5", MD5))
    said, *found = read(many, many, file(attribute("size-in-bytes", "7")), {"name": "person", "uuid": "x"})
    assert said == Rejected(1, "sha512", "'sha512' is not installed; such values were left out of the whole file")
    assert found == [entry(A_MD5), entry(A_MD5)]


@pytest.mark.parametrize(
    ("found", "field", "reason"),
    [
        (7, "", "7 is no object"),
        (file(attribute("md5", "x")), "md5", "'x' is not a md5 value"),
        (file(attribute("md5", 7)), "md5", "7: expected a text"),
        ({"name": "file", "Attribute": {}}, "Attribute", "expected an array of at most 1000 objects"),
        ({"name": "file", "Attribute": [7]}, "Attribute", "expected an array of at most 1000 objects"),
        (perceptual(Attribute=[attribute("algorithm", "pdq")]), "value", "missing; a perceptual hash has"),
        (perceptual(Attribute=[attribute("value", PDQ)]), "algorithm", "missing; a perceptual hash has"),
        (
            perceptual(Attribute=[attribute("algorithm", "pdq"), attribute("value", PDQ), attribute("quality", "x")]),
            "quality",
            "'x' is not a quality",
        ),
        ({"name": "hashmatch-entry", "Attribute": [attribute("entry", "{")]}, "entry", "'{' is no JSON object"),
        ({"name": "hashmatch-entry", "Attribute": [attribute("entry", "[]")]}, "entry", "'[]' is no entry"),
        (
            {"name": "hashmatch-entry", "Attribute": [attribute("entry", '{"hashes": 1}')]},
            "hashes",
            "expected an array",
        ),
    ],
)
def test_a_bad_object_costs_only_itself(found: object, field: str, reason: str) -> None:
    bad, *good = sorted(read(file(), found, file()), key=lambda row: isinstance(row, Entry))
    assert isinstance(bad, Rejected)
    assert good == [entry(A_MD5), entry(A_MD5)]
    assert (bad.position, bad.field) == (2, field)
    assert reason in bad.reason


def test_a_bad_attribute_of_the_event_costs_only_itself() -> None:
    good = {"uuid": "f-1", "type": "md5", "value": MD5}
    assert [type(row) for row in read(attributes=[good, good | {"value": "x"}, good])] == [Entry, Rejected, Entry]


def test_an_event_that_breaks_off_is_refused() -> None:
    with pytest.raises(BadFile, match="the document breaks off, after 1 records"):
        list(misp.read(io.BytesIO(b'{"Event": {"Object": [{"name": "file", "Attribute": []}, {"na')))
