"""The rules for what may enter a catalog: one test per way to break them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any, cast

import pytest

from hashmatch.catalog.validate import MAX_HASHES, EntryRules, Problem
from hashmatch.model import (
    UNSTATED_QUALITY,
    Entry,
    EntryBlock,
    EntryHash,
    EntryStatus,
    Label,
    Opinion,
    Provenance,
    Stance,
)

RULES = EntryRules()
GOOD = EntryHash("pdq", bytes(range(32)), 90)


def problem(**parts: Any) -> Problem | None:
    return RULES.problem(Entry(**({"entry_id": "a", "hashes": (GOOD,)} | parts)))


def test_a_good_entry_has_no_problem() -> None:
    label = Label("ncmec", "2022", "A1")
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    origin = Provenance("s", "1", "x", moment)
    assert problem(labels=(label,), provenance=origin, status=EntryStatus.DISPUTED, status_reason="grund: ß") is None
    assert problem(entry_id="") is None


@pytest.mark.parametrize("name", ["md5", "sha1", "sha256"])
def test_digests_of_the_empty_file_are_refused(name: str) -> None:
    value = hashlib.new(name, b"", usedforsecurity=False).digest()
    found = problem(hashes=(EntryHash(name, value),))
    assert found is not None
    assert found.field == "value"
    assert found.reason.startswith(f"{name} the digest of the empty file: it would match every failed upload")


@pytest.mark.parametrize("name", ["pdq", "pdq-nearest512", "phash", "dhash", "ahash", "whash"])
@pytest.mark.parametrize(("byte", "said"), [(0x00, "all bits are 0"), (0xFF, "all bits are 1")])
def test_flat_perceptual_values_are_refused(name: str, byte: int, said: str) -> None:
    size = 32 if name.startswith("pdq") else 8
    found = problem(hashes=(EntryHash(name, bytes([byte]) * size),))
    assert found is not None
    assert found[0] == "value"
    assert f"{name} {said}" in found.reason


def test_digests_may_be_all_zeros() -> None:
    assert problem(hashes=(EntryHash("md5", bytes(16)),)) is None


@pytest.mark.parametrize(
    ("quality", "said"),
    [
        (49, "pdq of quality 49 matches unrelated pictures, 50 is the least"),
        (0, "pdq of quality 0 matches unrelated pictures"),
        (101, "101 is not a quality: expected 0 to 100"),
        (-1, "-1 is not a quality: expected 0 to 100"),
    ],
)
def test_qualities(quality: int, said: str) -> None:
    found = problem(hashes=(EntryHash("pdq", GOOD.value, quality),))
    assert found is not None
    assert found.field == "quality"
    assert found.reason.startswith(said)


def test_quality_fifty_and_unknown_quality_pass() -> None:
    assert problem(hashes=(EntryHash("pdq", GOOD.value, 50),)) is None
    assert problem(hashes=(EntryHash("pdq", GOOD.value),)) is None
    assert problem(hashes=(EntryHash("phash", b"abcdefgh", 3),)) is None, "only algorithms with a quality have a least"


@pytest.mark.parametrize(
    ("parts", "field", "said"),
    [
        ({"hashes": ()}, "hashes", "an entry has 1 to 256 hashes, this one has 0"),
        ({"hashes": (GOOD,) * (MAX_HASHES + 1)}, "hashes", "this one has 257"),
        (
            {"hashes": (EntryHash("neuralhash", b"x"),)},
            "algorithm",
            "'neuralhash' is not installed; known are ahash, dhash",
        ),
        ({"hashes": (EntryHash("pdq", b"x"),)}, "value", "1 bytes are not a pdq value: expected 32"),
        ({"entry_id": "x" * 257}, "entry_id", "257 characters; at most 256"),
        ({"entry_id": "a\tb"}, "entry_id", "control character U+0009 at 1; remove it"),
        ({"entry_id": "a\x85b"}, "entry_id", "control character U+0085 at 1; remove it"),
        ({"entry_id": "a\u2028b"}, "entry_id", "control character U+2028 at 1; remove it"),
        ({"entry_id": "a\ud800"}, "entry_id", "control character U+D800 at 1; remove it"),
        ({"entry_id": " a"}, "entry_id", "begins or ends with a space; remove it"),
        ({"entry_id": "a\u00a0"}, "entry_id", "begins or ends with a space; remove it"),
        ({"labels": (Label("", "", "x"),)}, "labels", "a label needs a scheme and a value, got '' = 'x'"),
        ({"labels": (Label("s", "", ""),)}, "labels", "a label needs a scheme and a value, got 's' = ''"),
        ({"labels": (Label("s", "v\n", "x"),)}, "labels", "control character U+000A at 1"),
        ({"labels": (Label("s", "", "x" * 257),)}, "labels", "257 characters; at most 256"),
        ({"labels": (Label("s", "", "x"),) * 65}, "labels", "65 labels; at most 64"),
        ({"provenance": Provenance(source="x" * 1_025)}, "source", "1025 characters; at most 1024"),
        ({"provenance": Provenance(list_version="\x00")}, "list_version", "control character U+0000 at 0"),
        ({"provenance": Provenance(external_id="x ")}, "external_id", "begins or ends with a space"),
        (
            {"provenance": Provenance(received_at=dt.datetime(2026, 1, 1))},  # noqa: DTZ001 - that is the mistake
            "received_at",
            "2026-01-01T00:00:00 has no time zone; append Z for UTC",
        ),
        ({"status": "gone"}, "status", "'gone' is no status: expected active, disputed, quarantined, withdrawn"),
        ({"status_reason": "\x1b[2J"}, "status_reason", "control character U+001B at 0"),
        ({"provenance": Provenance(terms="a\nb")}, "terms", "control character U+000A at 1"),
        ({"provenance": Provenance(jurisdiction=" DE")}, "jurisdiction", "begins or ends with a space"),
        ({"opinions": (Opinion("", Stance.AGREE),)}, "opinions", "an opinion needs the party that holds it"),
        (
            {"opinions": (Opinion("o", cast("Stance", "up")),)},
            "opinions",
            "'up' is no stance: expected agree, disagree",
        ),
        ({"opinions": (Opinion("o\n", Stance.AGREE),)}, "opinions", "control character U+000A at 1"),
        ({"opinions": (Opinion("o", Stance.AGREE, "x" * 1_025),)}, "opinions", "1025 characters; at most 1024"),
        ({"opinions": (Opinion("o", Stance.AGREE),) * 65}, "opinions", "65 opinions; at most 64"),
        ({"opinions": (Opinion("o", Stance.AGREE, algorithm="dna"),)}, "opinions", "'dna' is not installed; known are"),
        (
            {"opinions": (Opinion("o", Stance.AGREE, at=dt.datetime(2026, 1, 1)),)},  # noqa: DTZ001 - that is the mistake
            "opinions",
            "2026-01-01T00:00:00 has no time zone; append Z for UTC",
        ),
        ({"entry_id": "", "hashes": (), "status": EntryStatus.WITHDRAWN}, "entry_id", "without hashes needs the id"),
    ],
)
def test_problems(parts: dict[str, Any], field: str, said: str) -> None:
    found = problem(**parts)
    assert found is not None
    assert found.field == field
    assert said in found.reason


def test_text_in_any_script_passes() -> None:
    for text in ("日本語", "نیم‌فاصله", "Straße nº 7", "e\u0301", "👩‍👩‍👧"):
        assert problem(entry_id=text, status_reason=text) is None


def test_repr_names_the_algorithms() -> None:
    assert repr(RULES).startswith("EntryRules(ahash, dhash")


@pytest.mark.parametrize(
    ("algorithm", "view", "reason"),
    [
        ("pdq", "crop-left-4", "'crop-left-4' is no view that an original is enrolled with; leave it blank"),
        ("pdq", "rot90", "'rot90' is no view that an original is enrolled with"),
        ("md5", "crop-left-3", "md5 is of the whole file, not of crop-left-3: leave the view blank"),
    ],
)
def test_views_are_a_closed_list_and_not_of_digests(algorithm: str, view: str, reason: str) -> None:
    size = 16 if algorithm == "md5" else 32
    found = problem(hashes=(EntryHash(algorithm, bytes(range(size)), view=view),))
    assert found is not None
    assert found.field == "view"
    assert found.reason.startswith(reason)
    assert problem(hashes=(EntryHash("pdq", bytes(range(32)), view="crop-left-3"),)) is None


def test_rows_of_a_block_that_a_rule_may_object_to_are_doubtful() -> None:
    values = [bytes([number]) * 32 for number in range(1, 10)]
    values[2], values[3] = bytes(32), b"\xff" * 32
    qualities = bytes([50, 49, 60, 60, 100, 101, UNSTATED_QUALITY, 254, 70])
    ids = ["a", "b", "c", "d", "e e", "ø", "g", "h", "x" * 257]
    block = EntryBlock("pdq", b"".join(values), range(9), ids, qualities)
    assert list(RULES.doubtful(block)) == [1, 2, 3, 4, 5, 7, 8]
    assert all(RULES.problem(block.entry(row)) is None for row in (0, 6))
    assert all(RULES.problem(block.entry(row)) for row in (1, 2, 3, 5, 7, 8))


def test_a_refused_value_is_found_where_a_value_begins_and_nowhere_else() -> None:
    shifted = b"\x01" + bytes(31), bytes(31) + b"\x01"
    for values, doubtful in ((shifted, []), ((*shifted, bytes(32)), [2]), ((bytes(32), *shifted), [0])):
        assert list(RULES.doubtful(EntryBlock("pdq", b"".join(values), range(len(values))))) == doubtful


@pytest.mark.parametrize(
    "block",
    [
        EntryBlock("nonsense", bytes(32), [0]),
        EntryBlock("pdq", b"\x01" * 31, [0]),
        EntryBlock("photodna", b"\x01" * 144, [0]),
        EntryBlock("photodna", b"\x01" * 144, [0], [""]),
    ],
)
def test_a_block_of_which_nothing_fits_is_doubtful_altogether(block: EntryBlock) -> None:
    assert list(RULES.doubtful(block)) == [0]
