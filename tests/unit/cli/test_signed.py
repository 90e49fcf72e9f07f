"""Signed lists from the issuer's command line to the follower's: what is taken, what is refused, what is remembered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cli.keys import KEY_FIELDS, MANIFEST_FIELDS
from hashmatch.cli.main import main

Run = Callable[..., tuple[int, list[Any], str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run ``hashset`` as ``issuer`` or ``follower``; return code, JSON rows and lines for people."""
    monkeypatch.chdir(tmp_path)

    def run(who: str, *arguments: str) -> tuple[int, list[Any], str]:
        code = main(["--data", str(tmp_path / who), "--json", "hashset", *arguments])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def entry(number: int, **facts: object) -> str:
    return json.dumps({"entry_id": f"e{number}", "hashes": [{"algorithm": "md5", "value": f"{number:032x}"}], **facts})


def fill(run: Run, *numbers: int) -> None:
    Path("more.jsonl").write_text("\n".join(entry(number) for number in numbers), encoding="utf-8")
    assert run("issuer", "import", "known", "more.jsonl")[0] == 0


@pytest.fixture
def issuer(run: Run) -> Run:
    """Return ``run`` once there are a key, a set with three entries, and its first signed list ``v1.jsonl``."""
    assert run("issuer", "keygen", "key")[0] == 0
    create = ("create", "known", "--domain", "wildlife", "--owner", "Example hotline", "--terms", "takedown_only")
    assert run("issuer", *create, "--jurisdiction", "NL")[0] == 0
    fill(run, 1, 2, 3)
    assert export(run, "v1.jsonl") == 0
    return run


def export(run: Run, file: str, *more: str) -> int:
    return run("issuer", "export", "known", "--output", file, "--sign", "key", *more)[0]


def follow(run: Run, file: str, *more: str) -> tuple[int, list[Any], str]:
    return run("follower", "import", "known", file, *more)


FIRST = ("--create", "--issuer-key", "key.pub")


def test_a_signed_list_makes_the_set_that_its_manifest_describes(issuer: Run) -> None:
    code, (row,), _ = follow(issuer, "v1.jsonl", *FIRST)
    assert (code, row["added"]) == (0, 3)
    _, (shown,), _ = issuer("follower", "show", "known")
    told = [shown[name] for name in ("harm_domain", "owner", "terms", "jurisdiction", "source")]
    assert told == ["wildlife", "Example hotline", "takedown_only", "NL", "known"]
    code, (row,), _ = follow(issuer, "v1.jsonl")
    assert (code, row["added"], row["unchanged"]) == (0, 0, 3)


def test_lists_follow_each_other_and_corrections_travel(issuer: Run) -> None:
    follow(issuer, "v1.jsonl", *FIRST)
    issuer("issuer", "withdraw", "known", "e2", "--reason", "a mistake", "--by", "ann")
    fill(issuer, 4)
    assert export(issuer, "v2.jsonl") == 0
    code, (row,), _ = follow(issuer, "v2.jsonl")
    assert (code, row["added"], row["updated"], row["unchanged"]) == (0, 1, 1, 2)
    fill(issuer, 5)
    assert export(issuer, "v3.jsonl", "--since", "v1.jsonl.manifest.json") == 0
    assert len(Path("v3.jsonl").read_text(encoding="utf-8").splitlines()) == 3  # e2, e4, e5
    code, (row,), _ = follow(issuer, "v3.jsonl")
    assert (code, row["added"], row["unchanged"]) == (0, 1, 2)


def test_a_rollback_a_gap_and_a_forgery_are_refused_and_nothing_is_imported(issuer: Run) -> None:
    fill(issuer, 4)
    export(issuer, "v2.jsonl")
    fill(issuer, 5)
    export(issuer, "v3.jsonl")
    follow(issuer, "v1.jsonl", *FIRST)
    code, rows, told = follow(issuer, "v3.jsonl")
    assert (code, rows) == (5, [])
    assert "lists between them were not seen. This one is full, so nothing is missing from it; --accept-gap" in told
    assert follow(issuer, "v3.jsonl", "--accept-gap")[0] == 0
    code, rows, told = follow(issuer, "v2.jsonl")
    assert (code, rows) == (5, [])
    assert "was imported already; nothing was imported: get the issuer's newest list" in told
    issuer("follower", "keygen", "other")
    fill(issuer, 6)
    issuer("issuer", "export", "known", "--output", "v4.jsonl", "--sign", "other")
    code, rows, told = follow(issuer, "v4.jsonl")
    assert (code, rows) == (5, [])
    assert "ask the issuer, over another channel, before you accept another key" in told
    _, (shown,), _ = issuer("follower", "show", "known")
    assert shown["entries"] == 5


@pytest.mark.parametrize("change", ["one digit", "a line more", "a line less"])
def test_a_list_that_was_changed_is_refused_as_a_whole(issuer: Run, change: str) -> None:
    lines = Path("v1.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    changed = {
        "one digit": [lines[0], lines[1].replace("0002", "0003"), lines[2]],
        "a line more": [*lines, entry(9) + "\n"],
        "a line less": lines[:-1],
    }
    Path("v1.jsonl").write_text("".join(changed[change]), encoding="utf-8")
    code, rows, told = follow(issuer, "v1.jsonl", *FIRST)
    assert (code, rows) == (5, [])
    assert "v1.jsonl is not the list that was signed" in told
    assert issuer("follower", "show", "known")[1][0]["entries"] == 0
    assert follow(issuer, "v1.jsonl", "--issuer-key", "key.pub")[0] == 5


def test_a_manifest_is_never_passed_over_without_a_word(issuer: Run) -> None:
    code, _, told = follow(issuer, "v1.jsonl", "--create")
    assert code == 2
    key_id = issuer("issuer", "manifest", "v1.jsonl.manifest.json")[1][0]["issuer"]["key_id"]
    assert f"v1.jsonl.manifest.json is signed with the key {key_id}. Compare that with the issuer" in told
    assert follow(issuer, "v1.jsonl", "--create", "--domain", "wildlife", "--unsigned")[0] == 0
    assert follow(issuer, "v1.jsonl", "--issuer-key", "key.pub")[0] == 0


def test_a_set_that_took_a_signed_list_takes_no_other(issuer: Run) -> None:
    follow(issuer, "v1.jsonl", *FIRST)
    Path("plain.jsonl").write_text(entry(7), encoding="utf-8")
    code, _, told = follow(issuer, "plain.jsonl")
    assert code == 2
    assert "takes signed lists only, and there is no plain.jsonl.manifest.json; name the manifest" in told
    assert follow(issuer, "plain.jsonl", "--unsigned")[0] == 0
    assert follow(issuer, "plain.jsonl", "--manifest", "v1.jsonl.manifest.json")[0] == 5


def test_a_list_about_something_else_is_refused(issuer: Run) -> None:
    issuer("follower", "create", "known", "--domain", "csam")
    code, _, told = follow(issuer, "v1.jsonl", "--issuer-key", "key.pub")
    assert code == 5
    assert "is about wildlife, and the hash set 'known' about csam; nothing was imported" in told


def test_one_release_in_two_formats_is_one_release(issuer: Run) -> None:
    assert export(issuer, "v1.csv", "--format", "csv") == 0
    follow(issuer, "v1.jsonl", *FIRST)
    code, (row,), _ = follow(issuer, "v1.csv")
    assert (code, row["unchanged"]) == (0, 3)
    fill(issuer, 4)
    export(issuer, "v2.csv", "--format", "csv")
    assert follow(issuer, "v2.csv")[0] == 0


def test_a_list_is_encrypted_to_whoever_may_read_it(issuer: Run) -> None:
    issuer("follower", "keygen", "partner.age", "--encryption")
    assert export(issuer, "v1.age", "--encrypt-to", "partner.age.pub") == 0
    assert b"entry_id" not in Path("v1.age").read_bytes()
    code, _, told = follow(issuer, "v1.age", *FIRST)
    assert (code, "name the file that holds your identity with --identity" in told) == (2, True)
    code, _, told = follow(issuer, "v1.jsonl", *FIRST, "--identity", "partner.age")
    assert (code, "v1.jsonl is not encrypted; leave out --identity" in told) == (2, True)
    code, (row,), _ = follow(issuer, "v1.age", *FIRST, "--identity", "partner.age")
    assert (code, row["added"]) == (0, 3)
    Path("cut.age").write_bytes(Path("v1.age").read_bytes()[:-1])
    code, _, told = follow(issuer, "cut.age", "--manifest", "v1.age.manifest.json", "--identity", "partner.age")
    assert (code, "for another recipient, damaged or cut off" in told) == (2, True)


def test_what_does_not_go_together_is_said_before_anything_is_written(issuer: Run) -> None:
    for arguments, message in (
        (("--issuer", "me"), "--since and --issuer belong to signed lists; add --sign KEY"),
        (("--sign", "key"), "a signed list needs a name, because its manifest lies beside it; add --output"),
        (("--sign", "none", "--output", "x"), "cannot read the key none"),
        (("--encrypt-to", "age1x", "--output", "x"), "'age1x' is not a recipient"),
        (("--sign", "key", "--output", "x", "--since", "v1.jsonl"), "v1.jsonl is no signed manifest"),
    ):
        code, rows, told = issuer("issuer", "export", "known", *arguments)
        assert (code, rows) == (2, [])
        assert message in told
    assert not Path("x").exists()
    issuer("issuer", "create", "other", "--domain", "other")
    since = ("--since", "v1.jsonl.manifest.json")
    code, _, told = issuer("issuer", "export", "other", "--sign", "key", "--output", "x", *since)
    assert (code, "v1.jsonl.manifest.json is the manifest of another set than 'other'" in told) == (2, True)


def test_keys_and_manifests_are_shown(issuer: Run) -> None:
    _, (row,), _ = issuer("issuer", "keygen", "second")
    assert set(row) == set(KEY_FIELDS)
    code, _, told = issuer("issuer", "keygen", "second")
    assert (code, "second exists already, and a key is never overwritten" in told) == (2, True)
    _, (shown,), _ = issuer("issuer", "manifest", "v1.jsonl.manifest.json", "--issuer-key", "key.pub")
    assert set(shown) == set(MANIFEST_FIELDS)
    assert (shown["verified"], shown["kind"], shown["counts"]) == (
        True,
        "full",
        {"entries": {"active": 3}, "hashes": {"md5": 3}},
    )
    _, (shown,), told = issuer("issuer", "manifest", "v1.jsonl.manifest.json")
    assert (shown["verified"], "the signature was not checked" in told) == (False, True)
    assert issuer("issuer", "manifest", "v1.jsonl.manifest.json", "--issuer-key", "second.pub")[0] == 5
