"""The keys file: what goes in comes out, and what is broken is named."""

from __future__ import annotations

import json
import stat
import threading
from pathlib import Path
from typing import Any

import pytest

from hashmatch.errors import BadConfig
from hashmatch.identity import keyfile
from hashmatch.identity.accounts import Directory
from tests.support.identity import HOUR, NOW, account, keyed, write


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    one, token = keyed(
        account(sets=frozenset({"b", "a"}), quota={"calls_per_s": 5}, description="the upload path"),
        expires_at=NOW + HOUR,
    )
    one = one.without_key(token.key_id, NOW)
    two = account("other", certificates=("spiffe://example.org/x",)).revoked(NOW)
    path = write(tmp_path / "keys.json", one, two)
    assert keyfile.read(path).accounts == (two, one)


def test_the_file_holds_no_key_and_is_its_owners(tmp_path: Path) -> None:
    one, token = keyed(account())
    path = write(tmp_path / "keys.json", one)
    assert token.text[21:] not in path.read_text()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("mode", [0o602, 0o620, 0o666])
def test_a_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "keys.json", account())
    path.chmod(mode)
    with pytest.raises(BadConfig, match=rf"others may write the keys file .* \(mode {mode:04o}\)"):
        keyfile.read(path)


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o444, 0o644])
def test_a_file_that_others_may_read_is_taken(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "keys.json", account())
    path.chmod(mode)
    assert [one.name for one in keyfile.read(path).accounts] == ["uploads"]


def test_an_edit_that_fails_leaves_the_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path / "keys.json", account())
    before = path.read_bytes()
    with pytest.raises(BadConfig, match="two callers named uploads"):
        write(path, account(), account())
    assert path.read_bytes() == before
    assert sorted(item.name for item in tmp_path.iterdir()) == [".keys.json.lock", "keys.json"]


def test_a_directory_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"cannot write the keys file .*: No such file or directory"):
        write(tmp_path / "gone" / "keys.json", account())


def test_edits_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"

    def add(number: int) -> None:
        keyfile.change(path, lambda found: (*found.accounts, account(f"c{number}")))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.name for one in keyfile.read(path).accounts} == {f"c{number}" for number in range(12)}


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"cannot read the keys file .*gone: No such file"):
        keyfile.read(tmp_path / "gone")


def broken(**changes: Any) -> str:
    """Return the text of a keys file with fields of its caller changed; an ellipsis removes one."""
    tree = json.loads(keyfile.rendered([account()]))
    row = tree["callers"][0] | changes
    tree["callers"] = [{name: value for name, value in row.items() if value is not ...}]
    return json.dumps(tree)


MOMENT = "2026-11-28T12:00:00+00:00"
KEY = {"id": "x", "digest": "00" * 32, "created_at": MOMENT, "expires_at": None, "revoked_at": None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "F is not valid JSON"),
        ("[" * 100_000, "F is not valid JSON"),
        ("[]", "F is no keys file of format 1"),
        ('{"format": 2, "callers": []}', "F is no keys file of format 1"),
        ('{"format": 1}', "F is no keys file of format 1"),
        ('{"format": 1, "callers": [7]}', r"callers\[0\] is not valid: 'int' object is not iterable"),
        (broken(roles=...), r"callers\[0\] is not valid: 'roles'"),
        (broken(roles=["root"]), r"callers\[0\] is not valid: 'root' is not a valid Role"),
        (broken(roles=[]), r"callers\[0\].role: uploads has none; there are detect, detail, hashset-read"),
        (broken(roles="detect"), "expected a list, got str"),
        (broken(sets="known"), "expected a list, got str"),
        (broken(role=["detect"]), "there is no field 'role'"),
        (broken(name="Up"), r"callers\[0\].name: 'Up' is no name for a caller"),
        (broken(quota={"calls": 1}), "there is no quota 'calls'; there are bytes_burst, bytes_per_day"),
        (broken(quota={"calls_per_s": True}), "quota.calls_per_s: expected a whole number"),
        (broken(quota={"calls_per_s": -1}), "quota.calls_per_s: -1 is out of range; at least 0"),
        (broken(quota={"calls_burst": 0}), "quota.calls_burst: 0 is out of range; at least 1"),
        (broken(created_at="2026-11-28T12:00:00"), "has no time zone"),
        (broken(keys=[KEY | {"digest": "00"}]), "a digest has 32 bytes, not 1"),
        (broken(keys=[KEY | {"digest": "zz"}]), "non-hexadecimal"),
        (broken(keys=[KEY, KEY]), "two keys of the id x"),
    ],
)
def test_what_is_broken_is_named(text: str, message: str) -> None:
    with pytest.raises(BadConfig, match=message) as raised:
        keyfile.parsed(text, "F")
    assert raised.value.field == "keys"


def test_a_file_without_anybody_is_one() -> None:
    assert keyfile.parsed('{"format": 1, "callers": []}', "F").accounts == Directory(()).accounts == ()
