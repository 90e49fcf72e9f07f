"""Exit codes of ``hashmatch report``, and what it says where it may not write."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hashmatch.cases.receipt import KEY_FILE, issued, service_key
from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.outbox.store import DeliveryStore
from tests.support import cases
from tests.support.reporting import known, present

NOBODY = 65_534
OUTLETS = """
[reporter]
name = "Example"
email = "desk@example.org"
[outbox.outlets.drive]
kind = "folder"
environment = "test"
url = "file://{drive}"
[outbox.outlets.careful]
kind = "folder"
environment = "test"
url = "file://{drive}"
two_person = true
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Office:
    """A data directory with a list, a configuration, a match and facts."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run a command; return its code and what it printed."""
        general = ("--config", str(self.folder / "hashmatch.toml"), "--data", str(self.folder / "data"))
        code = main([*general, "report", *arguments])
        said = self.capsys.readouterr()
        return code, said.out, said.err

    def json(self, *arguments: str) -> dict[str, object]:
        """Run a command that succeeds and return its line of JSON."""
        code, out, err = self.run(*arguments, "--json")
        assert code == 0, err
        line: dict[str, object] = json.loads(out.splitlines()[0])
        return line


@pytest.fixture
def office(capsys: pytest.CaptureFixture[str]) -> Iterator[Office]:
    """Make one that others than its owner can look into."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    known(folder / "data")
    (folder / "drive").mkdir()
    (folder / "hashmatch.toml").write_text(OUTLETS.format(drive=folder / "drive"), encoding="utf-8")
    key = service_key(folder / "data" / KEY_FILE)
    report = dataclasses.replace(cases.report(cases.hit(set_name="known", entry_id="a1")), created_at=present())
    receipt = base64.b64encode(issued(report, key)).decode()
    (folder / "match.json").write_text(json.dumps({"receipt": receipt}), encoding="utf-8")
    facts = {
        "occurred_at": (present() - dt.timedelta(hours=1)).isoformat(),
        "viewed_by_human": False,
        "exif_viewed": False,
        "locator": {"content_ref": "p17"},
    }
    (folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")
    (folder / "bad.json").write_text(json.dumps({**facts, "platform": "\ud800"}), encoding="utf-8")
    (folder / "deep.json").write_text("[" * 100_000, encoding="utf-8")
    yield Office(folder, capsys)
    shutil.rmtree(folder)


def create(office: Office, facts: str = "facts.json") -> tuple[str, ...]:
    return ("create", "--match", str(office.folder / "match.json"), "--facts", str(office.folder / facts), "--by", "a")


def opened(office: Office) -> str:
    """Open a case and return its id."""
    case = office.json(*create(office))["case"]
    assert isinstance(case, dict)
    return str(case["case_id"])


TABLE = [
    (("list",), 0, ""),
    (("formats",), 0, ""),
    (("outbox",), 0, ""),
    (("deliver",), 0, "0 tries"),
    (("stats",), 0, ""),
    (("show", "nobody"), 2, "case_id: there is no case 'nobody'"),
    (("show",), 2, "Missing argument 'CASE_ID'"),
    (("list", "--state", "gone"), 2, "'gone' is not one of"),
    (("render", "CASE", "--format", "fax"), 2, "format 'fax' is unknown"),
    (("render", "CASE", "--format", "letter", "--language", "xx"), 2, "language: 'xx' is none of en, nl, fr, de"),
    (("render", "CASE", "--format", "stix"), 0, ""),
    (("send", "CASE", "--to", "nobody", "--environment", "test"), 2, "outlet: 'nobody' is not configured"),
    (("send", "CASE", "--to", "drive", "--environment", "production"), 2, "environment: the outlet drive is test"),
    (("send", "CASE", "--to", "drive", "--environment", "test", "--format", "stix"), 0, ""),
    (("decide", "nobody", "cancel"), 2, "delivery_id: there is no delivery 'nobody'"),
    (("close", "CASE", "--reason", "x" * 1_001), 2, "reason: 1001 characters are too many; at most 1000"),
    (("close", "CASE"), 0, ""),
    (("confirm", "CASE", "--reason", "seen"), 0, ""),
    (("reject", "CASE", "--reason", " "), 2, "reason: is required"),
    (("complaint", "CASE", "--reason", "no"), 0, ""),
    (("hold", "CASE", "store://17"), 0, ""),
    (("hold", "CASE", "store://17", "--days", "0"), 2, "days: 0 is not within 1 and 36500"),
    (("release", "CASE", "nobody", "--reason", "x"), 2, "hold_id: the case has no hold 'nobody'"),
]


@pytest.mark.parametrize(("arguments", "code", "message"), TABLE, ids=[" ".join(row[0])[:60] for row in TABLE])
def test_exit_codes(office: Office, arguments: tuple[str, ...], code: int, message: str) -> None:
    case_id = opened(office)
    found, _, said = office.run(*(case_id if word == "CASE" else word for word in arguments))
    assert (found, message in said) == (code, True), said


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("bad.json", "facts.platform: half of a surrogate pair at character 0; it is no text"),
        ("deep.json", "facts: not a JSON object: "),
    ],
)
def test_facts_that_are_none(office: Office, facts: str, message: str) -> None:
    code, _, said = office.run(*create(office, facts))
    assert (code, message in said) == (2, True), said


def test_what_waits_for_a_person_is_an_exit_code_and_can_be_ended(office: Office) -> None:
    case_id = opened(office)
    send = ("send", case_id, "--to", "drive", "--environment", "test", "--format", "stix", "--by", "a")
    delivery_id = str(office.json(*send)["delivery_id"])
    with SqliteCatalog.open(office.folder / "data" / CATALOG) as catalog, catalog.changing() as session:
        session.connection.execute("UPDATE delivery SET document = '{'")  # type: ignore[attr-defined]  # SQLite's
    code, out, said = office.run("deliver", "--json")
    assert (code, "1 tries" in said, "damaged in the database" in out) == (3, True, True)
    assert office.json("decide", delivery_id, "cancel", "--reason", "of no use", "--by", "a")["state"] == "cancelled"
    assert office.run("deliver")[0] == 0


def test_an_outlet_that_was_removed_is_pointed_out_and_its_deliveries_can_be_taken_back(office: Office) -> None:
    case_id = opened(office)
    send = ("send", case_id, "--to", "careful", "--environment", "test", "--format", "stix", "--by", "a")
    delivery_id = str(office.json(*send)["delivery_id"])
    config = office.folder / "hashmatch.toml"
    config.write_text(config.read_text(encoding="utf-8").partition("[outbox.outlets.careful]")[0], encoding="utf-8")
    code, out, said = office.run("outbox", "--outlet", "careful", "--json")
    assert (code, delivery_id in out) == (0, True)
    assert "1 wait for the outlet careful, which is not configured: configure it, or cancel them" in said
    assert office.json("decide", delivery_id, "cancel", "--by", "b")["state"] == "cancelled"
    assert "not configured" not in office.run("outbox")[2]


def test_what_a_person_has_to_decide_is_pointed_out_ahead(office: Office) -> None:
    config = office.folder / "hashmatch.toml"
    config.write_text("[cases]\nkeep_days = 20\n" + config.read_text(encoding="utf-8"), encoding="utf-8")
    before = present()
    case_id = opened(office)
    days = {(moment + dt.timedelta(days=20)).date().isoformat() for moment in (before, present())}
    send = ("send", case_id, "--to", "careful", "--environment", "test", "--format", "stix", "--by", "a")
    delivery_id = str(office.json(*send)["delivery_id"])
    told = " ".join(office.run("outbox")[2].split())
    assert any(f"{delivery_id} is held: decide before {day}, when its case is erased" in told for day in days), told


@contextlib.contextmanager
def unable_to_write(folder: Path) -> Iterator[None]:
    """Take the right to write into a directory from this process, also where root runs the tests."""
    for path in (folder, *folder.iterdir()):
        path.chmod(0o555 if path.is_dir() else 0o444)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.mark.parametrize("arguments", [("list",), ("outbox",), ("close", "CASE"), ("deliver",)], ids=" ".join)
def test_a_data_directory_without_the_right_to_write(office: Office, arguments: tuple[str, ...]) -> None:
    case_id = opened(office)
    data = office.folder / "data"
    (data / KEY_FILE).unlink()
    with unable_to_write(data):
        code, out, said = office.run(*(case_id if word == "CASE" else word for word in arguments))
    assert (code, out) == (4, "")
    assert said.startswith("error: ")
    assert str(data) in " ".join(said.split("\n"))
    with SqliteCatalog.open(data / CATALOG) as catalog:
        assert DeliveryStore(catalog).of_case(case_id) == ()
