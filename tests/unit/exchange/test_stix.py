from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest
import stix2

from hashmatch.errors import BadFile
from hashmatch.exchange import stix
from hashmatch.exchange.losses import Losses
from hashmatch.model import (
    Entry,
    EntryHash,
    EntryStatus,
    HarmDomain,
    HashSet,
    Label,
    Opinion,
    Provenance,
    Rejected,
    Stance,
)
from hashmatch.sharing import ENTRY_EXTENSION, TLP_AMBER_STRICT

MD5, SHA1, SHA256 = "ab" * 16, "cd" * 20, "ef" * 32
MOMENT = dt.datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=dt.UTC)
ENTRIES = [
    Entry(
        "a",
        (
            EntryHash("md5", bytes.fromhex(MD5)),
            EntryHash("pdq", bytes(range(32)), 80, "crop-left-3"),
            EntryHash("sha1", bytes.fromhex(SHA1), 70),
            EntryHash("sha256", bytes.fromhex(SHA256)),
        ),
        (Label("ncmec", "2022", "A1"), Label("iwf", "", 'é"\\')),
        Provenance("hotline", "7", "x-1", MOMENT, "stop_transmission_only", "NL"),
        opinions=(Opinion("b", Stance.DISAGREE, "no", MOMENT, "pdq"),),
    ),
    Entry("b", (EntryHash("pdq", bytes(range(32))),), status=EntryStatus.DISPUTED, status_reason="why"),
    Entry("c", (EntryHash("md5", bytes(range(16))),), status=EntryStatus.WITHDRAWN, status_reason="mistake"),
]
SET = HashSet("s1", "known", HarmDomain.CSAM, owner="Example hotline")


def read(*objects: object, kind: str = "bundle") -> list[Entry | Rejected]:
    return list(stix.read(io.BytesIO(json.dumps({"type": kind, "id": "bundle--1", "objects": objects}).encode())))


def written(hash_set: HashSet | None = SET) -> bytes:
    stream, losses = io.BytesIO(), Losses()
    assert stix.write(ENTRIES, stream, losses, hash_set) == 3
    assert list(losses) == []
    return stream.getvalue()


def indicator(pattern: object = f"[file:hashes.MD5 = '{MD5}']", **more: object) -> dict[str, object]:
    return {"type": "indicator", "id": "indicator--1", "pattern": pattern, "pattern_type": "stix", **more}


@pytest.mark.parametrize("hash_set", [SET, None])
def test_the_strict_parser_of_oasis_takes_what_we_write(hash_set: HashSet | None) -> None:
    bundle: Any = stix2.parse(written(hash_set).decode(), allow_custom=False)
    assert [item.type for item in bundle.objects] == ["identity", "extension-definition", *["indicator"] * 3]
    first, second, third = bundle.objects[2:]
    assert first.pattern == (
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.'SHA-1' = '{SHA1}' OR file:hashes.'SHA-256' = '{SHA256}']"
    )
    assert (second.pattern_type, second.confidence, third.revoked) == ("hashmatch", stix.LOW_CONFIDENCE, True)
    assert all(item.object_marking_refs == [TLP_AMBER_STRICT] for item in (first, second, third))


def test_what_is_written_reads_back_whole() -> None:
    assert list(stix.read(io.BytesIO(written()))) == ENTRIES


def test_a_bundle_that_is_written_again_speaks_of_the_same_indicators_and_another_set_does_not() -> None:
    one, two, other = (
        [item["id"] for item in json.loads(written(hash_set))["objects"][2:]] for hash_set in (SET, SET, None)
    )
    assert one == two
    assert not set(one) & set(other)


@pytest.mark.parametrize(
    "pattern",
    [
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.'SHA-1' = '{SHA1}']",
        f"[ file:hashes.'MD5'='{MD5.upper()}' AND file:hashes.\"SHA-1\" = '{SHA1}' ]",
        f"[file:hashes.MD5 = '{MD5}'] OR ([file:hashes.'SHA-1' = '{SHA1}'])",
        f"[file:hashes.MD5 = '{MD5}' OR file:hashes.MD5 = '{MD5}' OR file:hashes.'SHA-1' = '{SHA1}']",
    ],
)
def test_an_indicator_of_others_is_an_entry_known_by_its_id(pattern: str) -> None:
    (entry,) = read(indicator(pattern, labels=["x"], valid_until="2999-01-01T00:00:00Z"))
    assert entry == Entry(
        "indicator--1",
        (EntryHash("md5", bytes.fromhex(MD5)), EntryHash("sha1", bytes.fromhex(SHA1))),
        (Label("stix", "", "x"),),
        Provenance(external_id="indicator--1"),
    )


def test_what_its_author_takes_back_is_withdrawn() -> None:
    revoked, expired = read(indicator(revoked=True), indicator(valid_until="2020-01-01T00:00:00Z"))
    assert isinstance(revoked, Entry)
    assert isinstance(expired, Entry)
    assert (revoked.status, revoked.status_reason) == (EntryStatus.WITHDRAWN, "revoked by its author")
    assert (expired.status, expired.status_reason) == (EntryStatus.WITHDRAWN, "not valid since 2020-01-01T00:00:00Z")


def test_a_hash_that_is_not_installed_is_said_once_and_the_others_taken() -> None:
    pattern = f"[file:hashes.'SHA-512' = 'x' OR file:hashes.MD5 = '{MD5}']"
    said, one, two = read(indicator(pattern), indicator(pattern))
    assert said == Rejected(1, "pattern", "'SHA-512' is not installed; such values were left out of the whole file")
    assert isinstance(one, Entry)
    assert one == two


def test_objects_that_describe_others_are_passed_over() -> None:
    assert read(*({"type": kind} for kind in sorted(stix.DESCRIBING))) == []


@pytest.mark.parametrize(
    ("found", "field", "reason"),
    [
        (7, "type", "7 is no STIX object"),
        ({"id": "x"}, "type", "is no STIX object"),
        ({"type": "file"}, "type", "a file that was seen; only an indicator says that it is harmful"),
        ({"type": "malware"}, "type", "'malware': only indicators can be entries"),
        (indicator("x", pattern_type="yara"), "pattern", "no STIX pattern"),
        (indicator(7), "pattern", "no STIX pattern"),
        (indicator("[file:name = 'x']"), "pattern", "asks for more than hashes of a file"),
        (indicator(f"[file:hashes.MD5 != '{MD5}']"), "pattern", "asks for more than hashes of a file"),
        (indicator(f"[file:hashes.MD5 = '{MD5}'] FOLLOWEDBY [file:size = 1]"), "pattern", "asks for more"),
        (indicator("[file:hashes.MD5 = 'x']"), "pattern", "'x' is not a md5 value"),
        (indicator("[]"), "pattern", "it holds no hash that is installed"),
        (indicator(labels="x"), "labels", "'x': expected an array of texts"),
        (indicator(id=None), "id", "None is no id"),
        (indicator(valid_until="soon"), "valid_until", "'soon' is not a time"),
        (indicator(valid_until=7), "valid_until", "7 is no time"),
        (indicator(extensions={ENTRY_EXTENSION: {"entry": 1}}), "extensions", "holds no entry"),
        (indicator(extensions={ENTRY_EXTENSION: {"entry": {"hashes": 1}}}), "hashes", "expected an array of objects"),
    ],
)
def test_what_cannot_be_an_entry_is_rejected(found: object, field: str, reason: str) -> None:
    bad, good = read(found, indicator())
    assert isinstance(bad, Rejected)
    assert isinstance(good, Entry)
    assert (bad.position, bad.field) == (1, field)
    assert reason in bad.reason


def test_another_document_is_no_bundle() -> None:
    with pytest.raises(BadFile, match=r"the document is no bundle; expected a STIX 2.1 bundle"):
        read(kind="report")


def test_a_hostile_pattern_takes_no_time() -> None:
    for pattern in ("[" * 60_000, "file:hashes." * 5_000, "OR " * 20_000 + "!", "file:hashes.a=" + " " * 60_000):
        (bad,) = read(indicator(pattern))
        assert isinstance(bad, Rejected)
