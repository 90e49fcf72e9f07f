"""Hash sets by hand: what each command prints, changes and refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.hashset import ENTRY_FIELDS, EVENT_FIELDS, SET_FIELDS, login_name
from hashmatch.cli.main import main
from hashmatch.model import Entry, EntryHash, HarmDomain, Label, Provenance, SetMode


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory whose catalog holds the set ``known`` with two entries."""
    entries = (
        Entry("a", (EntryHash("pdq", b"\x01" * 32, 90),), (Label("ncmec", "2022", "B2"),), Provenance("hotline")),
        Entry("b", (EntryHash("md5", b"\x02" * 16), EntryHash("sha1", b"\x03" * 20))),
    )
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        catalog.create_set("known", HarmDomain.OTHER, owner="us")
        catalog.import_entries("known", entries)
    return tmp_path


class Shell:
    """Runs commands on a data directory and reads what they print."""

    def __init__(self, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self._data = data
        self._capsys = capsys

    def json(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """Rows on stdout of a command with ``--json``."""
        assert main(["--data", str(self._data), "hashset", *arguments, "--json"]) == code
        return [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]

    def text(self, *arguments: str, code: int = 0) -> list[str]:
        """Lines on stderr of a command without ``--json``."""
        assert main(["hashset", *arguments, "--data", str(self._data)]) == code
        captured = self._capsys.readouterr()
        assert captured.out == ""
        return captured.err.splitlines()


@pytest.fixture
def shell(data: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Return a shell on ``data``."""
    return Shell(data, capsys)


def test_a_set_is_made_with_all_that_was_said_of_it(shell: Shell) -> None:
    details = ("--owner", "o", "--source", "s", "--jurisdiction", "NL", "--terms", "t", "--description", "d")
    (row,) = shell.json("create", "trial", "--domain", "tvec", "--shadow", *details)
    assert set(row) == set(SET_FIELDS)
    said = ("name", "harm_domain", "mode", "owner", "source", "jurisdiction", "terms", "description", "entries")
    assert [row[key] for key in said] == ["trial", "tvec", "shadow", "o", "s", "NL", "t", "d", 0]
    assert shell.text("create", "trial", "--domain", "tvec", code=2)[0].startswith("error: ")


def test_a_set_is_made_with_a_mode(shell: Shell) -> None:
    assert shell.json("create", "reviewed", "--domain", "csam", "--mode", "allow")[0]["mode"] == "allow"
    assert shell.json("create", "trial", "--domain", "csam", "--mode", "shadow", "--shadow")[0]["mode"] == "shadow"
    both = shell.text("create", "x", "--domain", "csam", "--mode", "allow", "--shadow", code=2)
    assert both == ["error: --shadow and --mode allow are two answers to one question; give one of them"]


def test_the_first_set_makes_the_catalog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(tmp_path / "new" / "data", capsys)
    assert shell.json("create", "first", "--domain", "csam")[0]["mode"] == "enforced"
    assert (tmp_path / "new" / "data").stat().st_mode & 0o077 == 0
    assert [row["name"] for row in shell.json("list")] == ["first"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("list",), ("show", "x"), ("export", "x"), ("history", "x"), ("withdraw", "x", "y", "--reason", "z"),
        ("import", "x", "-"), ("mode", "x", "shadow", "--reason", "z"),
    ],
)  # fmt: skip
def test_without_a_catalog_everything_else_is_an_error_and_makes_none(
    arguments: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = Shell(tmp_path, capsys).text(*arguments, code=2)
    assert line.startswith(f"error: {tmp_path} holds no catalog; `hashmatch hashset create NAME --domain DOMAIN`")
    assert list(tmp_path.iterdir()) == []


def test_sets_are_listed(shell: Shell) -> None:
    (row,) = shell.json("list")
    assert set(row) == set(SET_FIELDS)
    assert (row["name"], row["entries"], row["withdrawn"]) == ("known", 2, 0)
    header, line = shell.text("list")
    assert header == "name\tdomain\tmode\tversion\tentries\twithdrawn\towner\tsource"
    assert line.startswith("known\tother\tenforced\t")
    assert line.endswith("\t2\t0\tus\t")


def test_a_catalog_without_sets_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    SqliteCatalog.open(tmp_path / CATALOG).close()
    shell = Shell(tmp_path, capsys)
    assert shell.json("list") == []
    assert shell.text("list") == ["no hash sets yet; `hashmatch hashset create NAME --domain DOMAIN` makes one"]
    assert shell.text("list", "--quiet") == []


def test_a_set_is_shown_and_with_entries_the_first_of_them(shell: Shell) -> None:
    assert [row["name"] for row in shell.json("show", "known")] == ["known"]
    _, first = shell.json("show", "known", "--entries", "1")
    assert set(first) == set(ENTRY_FIELDS)
    assert first["entry_id"] == "a"
    assert first["hashes"] == [{"algorithm": "pdq", "value": "01" * 32, "quality": 90, "view": ""}]
    lines = shell.text("show", "known", "--entries", "9")
    assert lines[2:] == [
        "entry\tstatus\thashes\tlabels\tsource\tterms\topinions",
        f"a\tactive\tpdq {'01' * 32}\tncmec/2022/B2\thotline\t\t",
        f"b\tactive\tmd5 {'02' * 16}, sha1 {'03' * 20}\t\t\t\t",
    ]
    assert shell.text("show", "unknown", code=2)[0].startswith("error: ")


def test_decisions_are_taken_and_remembered(shell: Shell) -> None:
    (row,) = shell.json("dispute", "known", "a", "--reason", "a painting", "--by", "J. Doe")
    assert (row["entries"], row["withdrawn"]) == (2, 0)
    (row,) = shell.json("withdraw", "known", "a", "--reason", "case 17", "--by", "J. Doe")
    assert (row["entries"], row["withdrawn"]) == (1, 1)
    (row,) = shell.json("reinstate", "known", "a", "--reason", "appeal", "--by", "A. Nother")
    assert (row["entries"], row["withdrawn"]) == (2, 0)
    events = shell.json("history", "known", "a")
    assert all(set(event) == set(EVENT_FIELDS) for event in events)
    assert [(event["actor"], event["reason"], event["before"], event["after"]) for event in events[-3:]] == [
        ("J. Doe", "a painting", "active", "disputed"),
        ("J. Doe", "case 17", "disputed", "withdrawn"),
        ("A. Nother", "appeal", "withdrawn", "active"),
    ]
    assert shell.text("history", "known", "a")[0] == "\t".join(EVENT_FIELDS)


def test_a_decision_needs_a_reason_and_an_entry(shell: Shell) -> None:
    assert shell.text("withdraw", "known", "a", code=2) == [
        "error: Missing option '--reason'. See `hashmatch hashset withdraw --help`."
    ]
    assert shell.text("withdraw", "known", "zzz", "--reason", "r", code=2)[0].startswith("error: ")


def test_who_decides_is_the_login_name_unless_said(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "someone")
    shell.json("withdraw", "known", "b", "--reason", "r")
    assert shell.json("history", "known", "b")[-1]["actor"] == "someone"


@pytest.mark.parametrize("error", [KeyError("uid"), OSError("no name")])
def test_a_user_without_a_name_has_a_number(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise error

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.setattr("os.getuid", lambda: 10_001)
    assert login_name() == "uid 10001"


def test_a_set_changes_its_mode(shell: Shell) -> None:
    (row,) = shell.json("mode", "known", "shadow", "--reason", "a trial", "--by", "J. Doe")
    assert row["mode"] == SetMode.SHADOW
    event = shell.json("history", "known")[-1]
    assert (event["actor"], event["reason"], event["after"]) == ("J. Doe", "a trial", "shadow")


def test_votes_are_kept_shown_and_told(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    (row,) = shell.json("vote", "known", "a", "agree", "--reason", "reviewed", "--by", "hotline.example")
    assert (row["version"], row["entries"]) == (3, 2)
    shell.json("vote", "known", "a", "disagree", "--reason", "another picture", "--algorithm", "pdq")
    _, entry = shell.json("show", "known", "a")
    assert set(entry) == set(ENTRY_FIELDS)
    assert (entry["entry_id"], entry["status"]) == ("a", "active")
    assert [(said["who"], said["stance"], said["algorithm"]) for said in entry["opinions"]] == [
        ("ann", "disagree", "pdq"),
        ("hotline.example", "agree", ""),
    ]
    events = shell.json("history", "known", "a")
    assert [(event["actor"], event["who"], event["before"], event["after"]) for event in events] == [
        ("ann", "hotline.example", "", "agree"),
        ("ann", "ann", "", "disagree"),
    ]
    lines = shell.text("show", "known", "a")
    assert lines[3].split("\t")[-1] == "1 agree, 1 disagree"
    today = entry["opinions"][0]["at"][:10]
    assert lines[4:] == [
        f"ann disagrees with its pdq since {today}: another picture",
        f"hotline.example agrees with it since {today}: reviewed",
    ]


def test_a_vote_needs_a_stance_a_reason_and_a_hash_that_there_is(shell: Shell) -> None:
    maybe = shell.text("vote", "known", "a", "maybe", "--reason", "r", code=2)
    assert "'maybe' is not one of 'agree', 'disagree'" in maybe[0]
    assert "Missing option '--reason'" in shell.text("vote", "known", "a", "agree", code=2)[0]
    refused = shell.text("vote", "known", "a", "agree", "--reason", "r", "--algorithm", "md5", code=2)
    assert refused[0].startswith("error: the entry has no 'md5' value to have an opinion of, only pdq")


def test_one_entry_or_the_first_ones_are_shown(shell: Shell) -> None:
    assert shell.text("show", "known", "a", "--entries", "2", code=2)[0].startswith("error: give either ENTRY or")
    assert "no entry 'c'" in shell.text("show", "known", "c", code=2)[-1]
