"""``hashmatch report`` as people type it: from a picture to a report in a folder, and what goes wrong on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import images

FACTS = {
    "occurred_at": "2026-11-27T10:00:00+01:00",
    "viewed_by_human": False,
    "exif_viewed": False,
    "platform": "Example Pictures",
    "locator": {"urls": ["https://pictures.example.org/p/17"]},
}
CONFIG = """
[sandbox]
workers = 1
allow_degraded = true
deadline_ms = 120000
queue_ms = 600000
[reporter]
name = "Example"
email = "desk@example.org"
domain = "example.org"
[outbox.outlets.drive]
kind = "folder"
environment = "test"
url = "file://{folder}"
two_person = true
"""


class Shell:
    """Commands over one data directory and one configuration."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.out = folder / "drive"
        self.out.mkdir(exist_ok=True)
        (folder / "hashmatch.toml").write_text(CONFIG.format(folder=self.out), encoding="utf-8")

    def run(self, *arguments: str, code: int = 0) -> tuple[list[dict[str, Any]], str]:
        """Run one command; return the lines of its JSON and what it said."""
        done = subprocess.run(
            [sys.executable, "-m", "hashmatch", "--config", "hashmatch.toml", "--data", "data", "--json", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "MPLBACKEND": "agg"},
        )
        assert done.returncode == code, done.stderr
        lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines] if arguments[1] != "render" else [], done.stderr

    def write(self, name: str, value: object) -> str:
        """Write a JSON file and return its name."""
        (self.folder / name).write_text(json.dumps(value), encoding="utf-8")
        return name


@pytest.fixture(scope="module")
def matched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a directory in which a picture was found, once for all tests."""
    folder = tmp_path_factory.mktemp("matched")
    made = Shell(folder)
    (folder / "upload.png").write_bytes(images.encoded(images.photo(3), "PNG"))
    hashes, _ = made.run("hash", "upload.png")
    made.write("hashes.jsonl", hashes[0])
    made.run("hashset", "import", "known", "hashes.jsonl", "--domain", "csam", "--create")
    (match,), _ = made.run("detect", "upload.png", code=1)
    made.write("match.json", match)
    made.write("facts.json", FACTS)
    return folder


@pytest.fixture
def shell(matched: Path, tmp_path: Path) -> Shell:
    """Return a shell in a copy of that directory."""
    shutil.copytree(matched, tmp_path, dirs_exist_ok=True)
    return Shell(tmp_path)


def test_from_a_picture_to_a_report_in_a_folder(shell: Shell) -> None:
    create = ("report", "create", "--match", "match.json", "--facts", "facts.json", "--key", "k", "--by", "anna")
    (opened,), _ = shell.run(*create)
    (again,), _ = shell.run(*create)
    case_id = opened["case"]["case_id"]
    assert again["case"]["case_id"] == case_id
    assert opened["case"]["viewed_by_human"] is False
    (listed,), _ = shell.run("report", "list", "--state", "open", "--domain", "csam")
    assert listed == opened
    names = [row["format"] for row in shell.run("report", "formats", "--case", case_id)[0]]
    assert "cybertip" in names
    send = ("report", "send", case_id, "--to", "drive", "--environment", "test", "--format", "misp", "--by", "anna")
    (held,), _ = shell.run(*send)
    assert held["state"] == "held"
    _, said = shell.run("report", "decide", held["delivery_id"], "release", "--by", "anna", code=2)
    assert json.loads(said)["field"] == "actor"
    shell.run("report", "decide", held["delivery_id"], "release", "--by", "ben")
    assert shell.run("report", "deliver")[0] == []
    (delivered,), _ = shell.run("report", "outbox", "--state", "delivered")
    (folder,) = shell.out.iterdir()
    assert json.loads((folder / "manifest.json").read_text())
    assert delivered["delivery_id"] == held["delivery_id"]
    (finding,), _ = shell.run("report", "confirm", case_id, "--reason", "seen", "--by", "anna")
    assert finding["case"]["case_id"] == case_id
    (hold,), _ = shell.run("report", "hold", case_id, "store://17", "--days", "30", "--by", "anna")
    shell.run("report", "release", case_id, hold["hold_id"], "--reason", "handed over", "--by", "anna")
    (shown,), _ = shell.run("report", "show", case_id)
    assert [event["what"] for event in shown["events"]] == [
        *("opened", "held", "release", "arrive", "confirm", "hold", "hold released"),
    ]
    (month,), _ = shell.run("report", "stats", "--csv", "stats.csv", "--plot", "plots")
    assert [month[name] for name in ("checked", "match", "cases", "reported", "confirmed")] == [1, 1, 1, 1, 1]
    assert (shell.folder / "stats.csv").read_text().startswith("period,")
    assert sorted(path.name for path in (shell.folder / "plots").iterdir()) == [
        *("distances.svg", "funnel.svg", "trend.svg"),
    ]
    shell.run("report", "close", case_id, "--reason", "done", "--by", "anna")
    _, said = shell.run(*send, code=2)
    assert json.loads(said)["message"] == "case_id: the case is closed; reopen it to send it"
    shell.run("report", "reopen", case_id, "--by", "anna")


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"viewed_by_human": None}, "facts.viewed_by_human", "is required, and has no default"),
        ({"occurred_at": "2026-11-27T10:00:00"}, "facts.occurred_at", "has no zone"),
        ({"domain": "wildlife"}, "domain", "a case cannot claim a match that was not made"),
        ({"urgant": "x"}, "facts.urgant", "no such field; did you mean urgent?"),
    ],
)
def test_what_is_wrong_with_the_facts(shell: Shell, change: dict[str, object], field: str, message: str) -> None:
    facts = {name: value for name, value in (FACTS | change).items() if value is not None}
    shell.write("facts.json", facts)
    _, said = shell.run("report", "create", "--match", "match.json", "--facts", "facts.json", code=2)
    assert json.loads(said)["field"] == field
    assert message in json.loads(said)["message"]
    assert shell.run("report", "list")[0] == []


def test_what_is_no_match_opens_no_case(shell: Shell) -> None:
    (shell.folder / "other.png").write_bytes(images.encoded(images.photo(99), "PNG"))
    (match,), _ = shell.run("detect", "other.png")
    shell.write("match.json", match)
    _, said = shell.run("report", "create", "--match", "match.json", "--facts", "facts.json", code=2)
    assert json.loads(said)["message"] == "match: has no receipt; only a match or a possible match has one"
    (shell.folder / "match.json").write_text("not json", encoding="utf-8")
    _, said = shell.run("report", "create", "--match", "match.json", "--facts", "facts.json", code=2)
    assert json.loads(said)["message"].startswith("match: not a JSON object: ")


def test_a_document_is_written_with_its_parts(shell: Shell) -> None:
    (opened,), _ = shell.run("report", "create", "--match", "match.json", "--facts", "facts.json", "--by", "anna")
    case_id = opened["case"]["case_id"]
    shell.run("report", "render", case_id, "--format", "cybertip", "--output", "tip")
    names = sorted(path.name for path in (shell.folder / "tip").iterdir())
    assert [name.rpartition(".")[2] for name in names] == ["xml", "fileDetails", "manifest"]
    assert b"<fileViewedByEsp>false</fileViewedByEsp>" in (shell.folder / "tip" / names[1]).read_bytes()
    _, said = shell.run("report", "render", case_id, "--format", "dsa18", "--output", "/proc/nowhere", code=2)
    assert "cannot write into /proc/nowhere" in json.loads(said)["message"]


def test_several_cases_are_written_as_one_document(shell: Shell) -> None:
    decision = {
        "visibility": "removed",
        "legal_basis": "the law of the country",
        "explanation": "It matches a list.",
        "decided_at": "2026-11-27T11:00:00+01:00",
    }
    shell.write("facts.json", FACTS | {"decision": decision, "territorial_scope": ["NL"]})
    create = ("report", "create", "--match", "match.json", "--facts", "facts.json", "--by", "anna", "--key")
    ids = [shell.run(*create, key)[0][0]["case"]["case_id"] for key in "ab"]
    alone = {}
    for case_id in ids:
        shell.run("report", "render", case_id, "--format", "dsa-sor", "--output", case_id)
        (written,) = (shell.folder / case_id).iterdir()
        alone[case_id] = json.loads(written.read_bytes())
    for name, asked in (("one", ids), ("other", ids[::-1])):
        shell.run("report", "render", *asked, "--format", "dsa-sor", "--output", name)
        (written,) = (shell.folder / name).iterdir()
        assert json.loads(written.read_bytes())["statements"] == [alone[case_id] for case_id in asked]
    shell.write("subject.json", {"screen_name": "somebody"})
    for arguments, field, message in (
        (
            ("--format", "misp"),
            "format",
            "format: misp tells one case at a time; cybertip, dsa16, dsa-sor, iccam, letter take several",
        ),
        ((ids[0], "--format", "dsa-sor"), "cases[2]", "cases[2]: is cases[0] again"),
        (
            ("--format", "dsa-sor", "--subject", "subject.json"),
            *("subject", "subject: is of one case; render that one alone"),
        ),
    ):
        _, said = shell.run("report", "render", *ids, *arguments, code=2)
        assert (json.loads(said)["field"], json.loads(said)["message"]) == (field, message)
