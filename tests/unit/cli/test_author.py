"""What a picture becomes in a list, what is refused and why, and which options contradict each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hashmatch.cli.author import ALGORITHMS, FIELDS, Authored, Terms, entry_of, record
from hashmatch.cli.hash import SKIPPED_FIELDS, Looked, choose
from hashmatch.cli.main import main
from hashmatch.cli.paths import Skipped
from hashmatch.hashing.digests import digest
from hashmatch.model import ComputedHash, Enrolment, HashOptions, Label, MediaInfo, Picture, Provenance, Refusal

DIGESTS = digest(b"image")
SHA256 = DIGESTS.sha256.hex()
TERMS = Terms(50)
WANTED = choose(ALGORITHMS, HashOptions(enrolment=Enrolment.CROPS))


def pdq(number: int, quality: int = 100, view: str = "orig", frame: int = 0) -> ComputedHash:
    return ComputedHash("pdq", number.to_bytes(32), quality, view, frame)


def looked(*hashes: ComputedHash, degraded: bool = False) -> Looked:
    return Looked(DIGESTS, Picture(MediaInfo("JPEG", 320, 200, degraded=degraded), hashes))


def authored(seen: Looked, terms: Terms = TERMS, names: str = ALGORITHMS) -> Authored:
    made = entry_of("a.jpg", seen, choose(names, HashOptions()), terms)
    assert isinstance(made, Authored), made
    return made


def refused(seen: Looked, terms: Terms = TERMS, names: str = ALGORITHMS) -> Skipped:
    made = entry_of("a.jpg", seen, choose(names, HashOptions()), terms)
    assert isinstance(made, Skipped), made
    return made


def test_all_values_of_a_file_are_one_entry_with_what_the_list_states() -> None:
    terms = Terms(50, "case-17", (Label("ncmec", "2022", "A1"),), "hotline")
    made = authored(looked(pdq(1), pdq(2, 90, "crop-left-3")), terms)
    assert made.entry.entry_id == f"case-17:{SHA256}"
    assert [(item.algorithm, item.quality, item.view) for item in made.entry.hashes] == [
        ("pdq", 100, ""),
        ("pdq", 90, "crop-left-3"),
        ("md5", None, ""),
        ("sha1", None, ""),
        ("sha256", None, ""),
    ]
    assert made.entry.labels == (Label("ncmec", "2022", "A1"),)
    assert made.entry.provenance == Provenance(source="hotline")
    row = record("a.jpg", made)
    assert tuple(row) == tuple(FIELDS)
    assert (row["entry_id"], row["values"], row["views"], row["left_out"]) == (f"case-17:{SHA256}", 5, 1, 0)
    assert (row["quality"], row["width"], row["height"], row["format"]) == (100, 320, 200, "JPEG")


def test_flat_parts_are_left_out_and_counted_and_values_stand_once() -> None:
    made = authored(looked(pdq(1), pdq(2, 49, "crop-left-3"), pdq(1, 80, "crop-left-6"), pdq(3, 50, "crop-top-3")))
    found = [(item.value[-1], item.view) for item in made.entry.hashes if item.algorithm == "pdq"]
    assert found == [(1, ""), (3, "crop-top-3")]
    assert made.left_out == 1


def test_a_flat_frame_has_no_value_of_any_algorithm() -> None:
    flat = pdq(1, 30, frame=0), ComputedHash("phash", b"flat----", frame=0)
    busy = pdq(2, 80, frame=1), ComputedHash("phash", b"pictures", frame=1)
    made = authored(looked(*flat, *busy), names="pdq,phash")
    assert [(item.algorithm, item.value) for item in made.entry.hashes] == [
        ("pdq", (2).to_bytes(32)),
        ("phash", b"pictures"),
    ]
    assert (made.quality, made.left_out) == (80, 2)


def test_a_flat_picture_is_refused_unless_its_digests_are_wanted() -> None:
    flat = looked(pdq(1, 49))
    no = refused(flat)
    assert no.reason is Refusal.LOW_QUALITY
    assert no.detail == "PDQ quality 49 is below 50: it would match strangers; --flat takes its digests alone"
    assert tuple(record("a.jpg", no)) == tuple(SKIPPED_FIELDS)
    taken = authored(flat, Terms(50, flat=True))
    assert [item.algorithm for item in taken.entry.hashes] == ["md5", "sha1", "sha256"]
    assert refused(flat, Terms(50, flat=True), names="pdq").reason is Refusal.LOW_QUALITY


def test_a_damaged_file_is_refused_unless_told_otherwise() -> None:
    damaged = looked(pdq(1), degraded=True)
    assert refused(damaged).reason is Refusal.DEGRADED
    assert "--damaged takes" in refused(damaged).detail
    assert len(authored(damaged, Terms(50, damaged=True)).entry.hashes) == 4


def test_a_refused_picture_keeps_its_reason() -> None:
    seen = Looked(DIGESTS, Picture(refusal=Refusal.BOMB, detail="too much"))
    assert refused(seen) == Skipped("a.jpg", Refusal.BOMB, "too much")


def test_what_no_catalog_would_take_is_refused_here_already() -> None:
    zeros = refused(looked(pdq(0)))
    assert zeros.reason is Refusal.NO_USABLE_HASH
    assert zeros.detail.startswith("value: pdq all bits are 0")
    assert refused(looked(pdq(1)), Terms(50, "x" * 300)).detail == "entry_id: 365 characters; at most 256"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "field", "message"),
    [
        (["a.jpg", "--json"], "output", "--json prints what became of each file"),
        (["a.jpg", "--into", "own", "--output", "x"], "output", "give --output or --into"),
        (["a.jpg", "--output", "x", "--create"], "into", "--create and --domain are about the set of --into"),
        (["-", "--from", "-", "--output", "x"], "from", "either a picture or a list of paths"),
        (["--from", "empty", "--output", "x"], "from", "empty lists no path; expected one a line"),
        (["missing.jpg", "--output", "x"], "path", "no such file or directory: missing.jpg"),
        (["a.jpg", "--output", "x", "--views", "crops", "--algorithm", "md5"], "views", "--views are values of pdq"),
        (["a.jpg", "--output", "x", "--label", "nothing"], "labels", "'nothing' is no label: expected scheme=value"),
        (["a.jpg", "--into", "own"], "data", "holds no catalog"),
        (["a.jpg", "--into", "own", "--create"], "domain", "--create needs --domain"),
    ],
)
def test_contradictions_are_refused_before_anything_is_started(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], field: str, message: str
) -> None:
    (here / "a.jpg").write_bytes(b"no picture")
    (here / "empty").write_bytes(b"\n")
    assert main(["--data", "data", "hashset", "author", *arguments, "--json"]) == 2
    said: dict[str, Any] = json.loads(capsys.readouterr().err)
    assert said["field"] == field
    assert message in said["message"]
    assert not (here / "x").exists()


def test_digests_alone_need_no_worker(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "a.bin").write_bytes(b"image")
    (here / "list").write_text("a.bin\nmissing\n\n", encoding="utf-8")
    arguments = ["hashset", "author", "--from", "list", "--algorithm", "sha256", "--output", "out.csv", "--json"]
    assert main(arguments) == 3
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row.get("error", row.get("values")) for row in rows] == [1, "not_found"]
    assert (here / "out.csv").read_text(encoding="utf-8").splitlines()[1] == (
        f"sha256,{SHA256},,sha256:{SHA256},,,,,active,,,,,,"
    )
