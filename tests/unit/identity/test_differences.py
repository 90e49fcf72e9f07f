"""What differs between two keys files: every field that decides something, and no secret."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import pytest

from hashmatch.identity import Role, keyfile, tokens
from hashmatch.identity.accounts import Account, Directory
from hashmatch.identity.differences import Difference, differences, fingerprint
from tests.support.identity import HOUR, NOW, account, keyed, write

ONE, TOKEN = keyed(account(sets=frozenset({"b", "a"}), quota={"calls_per_s": 5}), expires_at=NOW + HOUR)
KEY = {"id": TOKEN.key_id, "expires_at": "2026-11-28T13:00:00+00:00", "revoked_at": None}


def told(before: list[Account], after: list[Account]) -> list[Difference]:
    return list(differences(Directory(before), Directory(after)))


def test_a_caller_comes_with_everything_that_it_may_and_goes_by_name() -> None:
    assert told([], [ONE]) == [
        {
            "name": "uploads",
            "change": "added",
            "roles": ["detect"],
            "sets": ["a", "b"],
            "quota": {"calls_per_s": 5},
            "certificates": [],
            "revoked_at": None,
            "keys": [KEY],
        }
    ]
    assert told([ONE], []) == [{"name": "uploads", "change": "removed"}]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"roles": frozenset({Role.REPORT})}, {"roles": {"before": ["detect"], "after": ["report"]}}),
        ({"sets": None}, {"sets": {"before": ["a", "b"], "after": None}}),
        ({"quota": {}}, {"quota": {"before": {"calls_per_s": 5}, "after": {}}}),
        ({"certificates": ("x.example",)}, {"certificates": {"before": [], "after": ["x.example"]}}),
    ],
)
def test_what_a_caller_was_and_is_stands_side_by_side(change: dict[str, object], expected: Difference) -> None:
    after = dataclasses.replace(ONE, **change)  # type: ignore[arg-type]
    assert told([ONE], [after]) == [{"name": "uploads", "change": "changed", **expected}]


def test_keys_are_told_by_their_ids_and_ends() -> None:
    other = tokens.made()
    longer = ONE.with_key(other, NOW, None)
    (more,) = told([ONE], [longer])
    assert more["keys"] == [{"id": other.key_id, "expires_at": None, "revoked_at": None}]
    (ended,) = told([longer], [longer.without_key(TOKEN.key_id, NOW)])
    assert ended["keys"] == [{**KEY, "revoked_at": "2026-11-28T12:00:00+00:00"}]
    (gone,) = told([longer], [dataclasses.replace(longer, keys=longer.keys[:1])])
    assert gone["keys"] == [{"id": other.key_id, "removed": True}]
    exchanged = dataclasses.replace(ONE, keys=(dataclasses.replace(ONE.keys[0], digest=bytes(32)),))
    (swapped,) = told([ONE], [exchanged])
    assert swapped["keys"] == [{**KEY, "exchanged": True}]
    (revoked,) = told([ONE], [ONE.revoked(NOW)])
    assert revoked["revoked_at"] == {"before": None, "after": "2026-11-28T12:00:00+00:00"}


def test_what_decides_nothing_is_no_difference() -> None:
    later = dataclasses.replace(ONE, description="the upload path", changed_at=NOW + HOUR)
    assert told([ONE], [later]) == []
    assert told([ONE], [ONE]) == []


def test_no_secret_and_no_digest_of_one_is_told() -> None:
    text = str(told([], [ONE]))
    assert TOKEN.text[21:] not in text
    assert ONE.keys[0].digest.hex() not in text


def test_a_file_is_known_by_its_digest(tmp_path: Path) -> None:
    path = write(tmp_path / "keys.json", ONE)
    assert fingerprint(keyfile.read(path)) == hashlib.sha256(path.read_bytes()).hexdigest()
