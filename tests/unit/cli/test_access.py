"""``hashmatch keys``: what is made, shown once, rotated and revoked."""

from __future__ import annotations

import datetime as dt
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cli.access import CALLER_FIELDS, MADE_FIELDS, moment
from hashmatch.cli.main import main
from hashmatch.errors import BadInput, Unauthenticated
from hashmatch.identity import Role, keyfile, tokens
from tests.support.identity import NOW


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run ``keys`` on a fresh data directory; return code, JSON rows and lines for people."""

    def run(*arguments: str) -> tuple[int, list[Any], str]:
        code = main(["--data", str(tmp_path), "--json", "keys", *arguments])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    return run


def later() -> dt.datetime:
    """Return a moment after everything that a test did."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)


def test_a_key_is_made_and_opens_what_was_said(run: Callable[..., Any], tmp_path: Path) -> None:
    code, [row], said = run(
        "create", "uploads", "--role", "detect", "--role", "detail", "--set", "a", "--quota", "calls_per_s=5"
    )
    assert (code, set(row)) == (0, set(MADE_FIELDS))
    assert said == f"uploads is known in {tmp_path}/keys.json, and this is the only time that its key is shown\n"
    found = keyfile.read(tmp_path / "keys.json")
    caller = found.by_key(tokens.parsed(row["key"]), later())
    assert (caller.name, caller.roles, caller.sets) == (
        "uploads",
        frozenset({Role.DETECT, Role.DETAIL}),
        frozenset({"a"}),
    )
    assert (caller.credential, dict(found.quota("uploads"))) == (row["key_id"], {"calls_per_s": 5})


def test_without_json_the_key_alone_is_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path), "keys", "create", "uploads", "--role", "detect"]) == 0
    text = capsys.readouterr().out
    assert text == tokens.parsed(text.removesuffix("\n")).text + "\n"


def test_a_key_that_goes_to_a_file_is_shown_nowhere_else(run: Callable[..., Any], tmp_path: Path) -> None:
    out = tmp_path / "uploads.key"
    code, [row], said = run("create", "uploads", "--role", "detect", "--out", str(out))
    assert (code, row["key"], stat.S_IMODE(out.stat().st_mode)) == (0, None, 0o600)
    assert out.read_text().strip()[21:] not in said
    assert said == f"uploads is known in {tmp_path}/keys.json, key in {out}\n"
    code, rows, said = run("create", "other", "--role", "detect", "--out", str(out))
    assert (code, rows) == (2, [])
    assert json.loads(said)["message"].startswith(f"out: {out} exists already")
    assert [one.name for one in keyfile.read(tmp_path / "keys.json").accounts] == ["uploads"]


def test_rotation_makes_a_key_and_ends_the_others(run: Callable[..., Any], tmp_path: Path) -> None:
    _, [first], _ = run("create", "uploads", "--role", "detect")
    _, [second], _ = run("rotate", "uploads", "--overlap", "1h")
    _, [third], _ = run("rotate", "uploads", "--overlap", "0", "--expires", "never")
    found = keyfile.read(tmp_path / "keys.json")
    assert found.by_key(tokens.parsed(third["key"]), later()).name == "uploads"
    assert third["expires_at"] is None
    for row in (first, second):
        with pytest.raises(Unauthenticated, match=f"the key {row['key_id']} is revoked"):
            found.by_key(tokens.parsed(row["key"]), later())


def test_one_key_or_the_whole_caller_is_revoked(run: Callable[..., Any]) -> None:
    _, [first], _ = run("create", "uploads", "--role", "detect")
    _, [second], _ = run("rotate", "uploads")
    assert run("revoke", "uploads", "--key", first["key_id"]) == (0, [], f"revoked: key {first['key_id']} of uploads\n")
    _, [shown], _ = run("show", "uploads")
    assert set(shown) == set(CALLER_FIELDS)
    assert [(key["id"], key["state"]) for key in shown["keys"]] == [
        (first["key_id"], "revoked"),
        (second["key_id"], "valid"),
    ]
    assert run("revoke", "uploads")[2] == "revoked: uploads\n"
    _, [listed], _ = run("list")
    assert listed["revoked_at"] is not None
    assert {key["state"] for key in listed["keys"]} == {"revoked"}
    assert json.loads(run("rotate", "uploads")[2])["message"] == "name: uploads is revoked; make another caller"


def test_a_caller_is_changed_and_keeps_its_key(run: Callable[..., Any], tmp_path: Path) -> None:
    _, [made], _ = run(
        "create", "uploads", "--role", "detect", "--set", "a", "--quota", "calls_per_s=5", "--quota", "calls_burst=7"
    )
    changes: list[tuple[tuple[str, ...], dict[str, object]]] = [
        (("--role", "detect", "--role", "report"), {"roles": ["detect", "report"]}),
        (("--set", "b", "--set", "c"), {"sets": ["b", "c"]}),
        (("--all-sets",), {"sets": None}),
        (("--quota", "calls_per_s=9"), {"quota": {"calls_burst": 7, "calls_per_s": 9}}),
        (("--usual-quota", "calls_per_s", "--quota", "calls_burst=8"), {"quota": {"calls_burst": 8}}),
        (("--description", "the path"), {"description": "the path"}),
    ]
    expected = run("show", "uploads")[1][0]
    for options, changed in changes:
        code, [row], _ = run("change", "uploads", *options)
        expected = {**expected, **changed, "changed_at": row["changed_at"]}
        assert (code, row) == (0, expected)
    assert run("show", "uploads")[1] == [expected]
    caller = keyfile.read(tmp_path / "keys.json").by_key(tokens.parsed(made["key"]), later())
    assert (caller.roles, caller.sets) == (frozenset({Role.DETECT, Role.REPORT}), None)


def test_what_changes_nothing_or_a_revoked_caller_is_refused(run: Callable[..., Any], tmp_path: Path) -> None:
    run("create", "uploads", "--role", "detect")
    before = (tmp_path / "keys.json").read_bytes()
    for options in ((), ("--role", "detect"), ("--all-sets",), ("--usual-quota", "calls_per_s")):
        code, rows, said = run("change", "uploads", *options)
        assert (code, rows) == (2, [])
        assert json.loads(said)["message"] == "name: that is what uploads has already; nothing was changed"
    assert (tmp_path / "keys.json").read_bytes() == before
    run("revoke", "uploads")
    said = run("change", "uploads", "--role", "report")[2]
    assert json.loads(said)["message"] == "name: uploads is revoked; make another caller"


def test_people_see_what_a_caller_is_now(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", str(tmp_path), "keys", "create", "uploads", "--role", "detect"])
    main(["--data", str(tmp_path), "keys", "change", "uploads", "--role", "report", "--set", "a"])
    assert capsys.readouterr().err.splitlines()[-1].split("\t")[:4] == ["uploads", "report", "a", "1 valid"]


def test_a_caller_that_is_known_by_its_certificate_has_no_key(run: Callable[..., Any]) -> None:
    _, [row], _ = run("create", "batch", "--role", "detect", "--certificate", "spiffe://example.org/batch", "--no-key")
    assert (row["key"], row["key_id"], row["expires_at"]) == (None, None, None)


def test_without_a_keys_file_nobody_is_listed(run: Callable[..., Any]) -> None:
    assert run("list") == (0, [], "there is no keys file: nobody is asked who they are, on this machine only\n")


def test_people_see_callers_and_keys(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--data", str(tmp_path), "keys", "create", "uploads", "--role", "detect", "--description", "the path"])
    capsys.readouterr()
    main(["--data", str(tmp_path), "keys", "show", "uploads"])
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].split("\t")[:5] == ["uploads", "detect", "all", "1 valid", ""]
    assert lines[2].split("\t") == ["key", "state", "created", "expires", "revoked"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("create", "Up", "--role", "detect"), "name: 'Up' is no name for a caller"),
        (("create", "a", "--role", "detect", "--no-key"), "no-key: a caller without a key needs a --certificate"),
        (("create", "a", "--role", "detect", "--quota", "calls=1"), "quota: 'calls=1'; expected NAME=NUMBER"),
        (("create", "a", "--role", "detect", "--quota", "calls_per_s=-1"), "quota: 'calls_per_s=-1'; expected"),
        (("create", "a", "--role", "detect", "--expires", "soon"), "expires: 'soon'; expected 90d"),
        (("rotate", "gone"), "name: nobody is called 'gone'"),
        (("revoke", "gone"), "name: nobody is called 'gone'"),
        (("change", "gone", "--role", "detect"), "name: nobody is called 'gone'"),
        (("change", "a", "--set", "x", "--all-sets"), "set: some sets or all of them, not both"),
        (
            ("change", "a", "--quota", "calls_per_s=1", "--usual-quota", "calls_per_s"),
            "quota: calls_per_s is both set and given back",
        ),
        (("rotate", "gone", "--overlap", "never"), "overlap: an old key has to end at some time"),
    ],
)
def test_what_is_wrong_is_said(run: Callable[..., Any], arguments: tuple[str, ...], message: str) -> None:
    code, rows, said = run(*arguments)
    assert (code, rows) == (2, [])
    assert json.loads(said)["message"].startswith(message)


def test_two_callers_of_one_name_are_refused(run: Callable[..., Any]) -> None:
    run("create", "uploads", "--role", "detect")
    code, _, said = run("create", "uploads", "--role", "report")
    assert (code, json.loads(said)["field"]) == (2, "name")


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("90d", dt.timedelta(days=90)),
        ("24h", dt.timedelta(hours=24)),
        ("30m", dt.timedelta(minutes=30)),
        ("2026-11-29", dt.timedelta(hours=12)),
        ("2026-11-28T14:00:00+01:00", dt.timedelta(hours=1)),
    ],
)
def test_when_something_ends_is_a_span_or_a_date(text: str, after: dt.timedelta) -> None:
    assert moment(text, NOW, "expires") == NOW + after


@pytest.mark.parametrize("text", ["", "0d", "1y", "-1d", "1.5h", "2026-11-28", "100000d"])
def test_other_ends_are_refused(text: str) -> None:
    with pytest.raises(BadInput) as raised:
        moment(text, NOW, "expires")
    assert raised.value.field == "expires"


def test_never_is_no_end() -> None:
    assert moment("never", NOW, "expires") is None
