from __future__ import annotations

import datetime as dt
import io
import json
from typing import Any

import pytest

from hashmatch.errors import BadFile
from hashmatch.exchange import jsonl
from hashmatch.model import Entry, EntryHash, EntryStatus, Label, Opinion, Provenance, Rejected, Stance

PDQ = "0123456789abcdef" * 4


def read(*lines: dict[str, Any] | str) -> list[Entry | Rejected]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    return list(jsonl.read(io.BytesIO(text.encode())))


def test_a_flat_row_and_an_entry_say_the_same() -> None:
    flat: dict[str, Any] = {"algorithm": "PDQ", "value": PDQ.upper(), "quality": 80, "entry_id": "a", "source": "s"}
    whole = {"entry_id": "a", "hashes": [{"algorithm": "pdq", "value": PDQ, "quality": 80}], "source": "s"}
    one, two = read(flat, whole)
    assert one == two == Entry("a", (EntryHash("pdq", bytes.fromhex(PDQ), 80),), (), Provenance("s"))
    assert (one.position, two.position) == (1, 2)


def test_null_is_the_same_as_absent() -> None:
    keys = sorted((jsonl.FLAT_KEYS | jsonl.IGNORED_KEYS) - {"algorithm", "value"})
    (row,) = read({"algorithm": "pdq", "value": PDQ} | dict.fromkeys(keys))
    assert row == Entry("", (EntryHash("pdq", bytes.fromhex(PDQ)),))


def test_labels_are_objects_or_text() -> None:
    objects = [{"scheme": "ncmec", "version": "2022", "value": "A1"}, {"scheme": "iwf", "value": "B"}]
    base = {"algorithm": "pdq", "value": PDQ}
    one, two = read(base | {"labels": objects}, base | {"labels": "ncmec/2022=A1; iwf=B"})
    assert isinstance(one, Entry)
    assert one == two
    assert one.labels == (Label("ncmec", "2022", "A1"), Label("iwf", "", "B"))


def test_what_describes_the_picture_is_ignored_but_not_in_an_entry() -> None:
    ignored = dict.fromkeys(sorted(jsonl.IGNORED_KEYS), 1)
    good, bad = read({"algorithm": "pdq", "value": PDQ} | ignored, {"hashes": [], "path": "x"})
    assert isinstance(good, Entry)
    assert isinstance(bad, Rejected)
    assert (bad.field, bad.reason[:18]) == ("path", "unknown key 'path'")


def rows_of(path: str, *hashes: tuple[str, str]) -> list[dict[str, str]]:
    return [{"path": path, "algorithm": name, "value": value} for name, value in hashes]


def test_rows_of_one_file_are_one_entry_named_by_its_sha_256() -> None:
    digest, other = "ab" * 32, "cd" * 32
    rows = [
        *rows_of("a.jpg", ("pdq", PDQ), ("phash", "a9d0f07eaf5742a0"), ("sha256", digest)),
        *rows_of("b.jpg", ("pdq", PDQ)),
        *rows_of("c.jpg", ("sha256", digest), ("sha256", other)),
        {"algorithm": "pdq", "value": PDQ},
        {"path": "d.jpg", "entry_id": "named", "algorithm": "sha256", "value": digest},
        *rows_of("a.jpg", ("sha256", other)),
    ]
    ids = [row.entry_id for row in read(*rows) if isinstance(row, Entry)]
    assert ids == [f"sha256:{digest}"] * 3 + [""] * 4 + ["named", f"sha256:{other}"]


def test_a_refused_row_of_a_file_does_not_keep_the_others_apart() -> None:
    digest = "ab" * 32
    first, second = rows_of("a.jpg", ("pdq", PDQ), ("sha256", digest))
    one, bad, two = read(first, first | {"value": "no hash"}, second)
    assert isinstance(bad, Rejected)
    assert isinstance(one, Entry)
    assert isinstance(two, Entry)
    assert one.entry_id == two.entry_id == f"sha256:{digest}"


def test_a_strangers_text_is_shortened_in_messages() -> None:
    (bad,) = read({"algorithm": "x" * 100_000, "value": PDQ})
    assert isinstance(bad, Rejected)
    assert len(bad.reason) < 250
    (bad,) = read({"k" * 100_000: 1})
    assert isinstance(bad, Rejected)
    assert (len(bad.field), len(bad.reason) < 400) == (80, True)


def test_an_error_line_says_what_the_hash_command_said() -> None:
    (bad,) = read({"path": "a.jpg", "error": "too_large", "detail": "60 megapixels"})
    assert bad == Rejected(1, "error", "there is no hash of this file: 'too_large', '60 megapixels'")


@pytest.mark.parametrize("head", [b"pdq", b'"text"\n', b"[1]\n", b"7\n"])
def test_what_is_no_object_at_all_is_refused_at_once(head: bytes) -> None:
    with pytest.raises(BadFile, match=r"line 1 begins .*; expected JSON Lines in UTF-8: one JSON object per line"):
        jsonl.read(io.BytesIO(head))


def test_a_damaged_first_line_is_a_rejected_row() -> None:
    bad, good = read('{"algorithm": ', {"algorithm": "pdq", "value": PDQ})
    assert bad == Rejected(1, "", "not a JSON object: Expecting value at character 15")
    assert isinstance(good, Entry)
    rows = list(jsonl.read(io.BytesIO(b"{\xff}\n" + json.dumps({"algorithm": "pdq", "value": PDQ}).encode())))
    assert [type(row).__name__ for row in rows] == ["Rejected", "Entry"]


def test_what_is_written_leaves_out_what_is_not_said() -> None:
    stream = io.BytesIO()
    entries = [
        Entry("a", (EntryHash("pdq", bytes.fromhex(PDQ)),)),
        Entry("ü", (EntryHash("pdq", bytes.fromhex(PDQ), 0),), status=EntryStatus.WITHDRAWN, status_reason="r"),
    ]
    assert jsonl.write(entries, stream) == 2
    assert stream.getvalue().decode().splitlines() == [
        f'{{"entry_id": "a", "hashes": [{{"algorithm": "pdq", "value": "{PDQ}"}}], "status": "active"}}',
        (
            f'{{"entry_id": "ü", "hashes": [{{"algorithm": "pdq", "value": "{PDQ}", "quality": 0}}], '
            '"status": "withdrawn", "status_reason": "r"}'
        ),
    ]


def test_a_tombstone_is_an_entry_or_a_flat_row_without_hash() -> None:
    tombstone = Entry("a", (), status=EntryStatus.WITHDRAWN)
    for text in ('{"entry_id": "a", "status": "withdrawn"}', '{"entry_id": "a", "status": "withdrawn", "hashes": []}'):
        assert read(text) == [tombstone]
    stream = io.BytesIO()
    jsonl.write([tombstone], stream)
    assert read(stream.getvalue().decode()) == [tombstone]
    (refused,) = read('{"entry_id": "a", "status": "withdrawn", "algorithm": "md5"}')
    assert isinstance(refused, Rejected)
    assert refused.field == "value"


def test_opinions_are_objects_or_text() -> None:
    row = '"algorithm": "md5", "value": "' + "ab" * 16 + '"'
    at = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    whole = '[{"who": "o", "stance": "Agree", "reason": "seen", "at": "2026-03-01T01:00:00+01:00", "algorithm": "md5"}]'
    (of_objects,) = read(f'{{{row}, "opinions": {whole}}}')
    (of_text,) = read(f'{{{row}, "opinions": "o/md5=agree;p=disagree"}}')
    assert isinstance(of_objects, Entry)
    assert isinstance(of_text, Entry)
    assert of_objects.opinions == (Opinion("o", Stance.AGREE, "seen", at, "md5"),)
    assert of_text.opinions == (Opinion("o", Stance.AGREE, algorithm="md5"), Opinion("p", Stance.DISAGREE))
