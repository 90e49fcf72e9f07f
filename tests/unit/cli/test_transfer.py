"""Lists in and out: what is printed, what is kept, and which exit code that is."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.list_formats import FORMAT_FIELDS
from hashmatch.cli.main import main
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.signed import Trust
from hashmatch.cli.transfer import (
    IMPORT_FIELDS,
    REJECTED_FIELDS,
    REJECTED_SHOWN,
    Notation,
    Target,
    _Watched,
    import_file,
)
from hashmatch.errors import BadInput, SetNotFound
from hashmatch.exchange import nsrl
from hashmatch.exchange.formats import FORMATS
from hashmatch.model import HarmDomain, SetMode

GOOD = ["algorithm,value,quality", f"pdq,{'01' * 32},90", f"md5,{'02' * 16},"]
BAD = "md5,xyz,"


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Run ``hashset import`` on the lines in a fresh data directory; return code, rows and lines for people."""
    monkeypatch.setenv("HASHMATCH_DATA", str(tmp_path / "data"))

    def run(lines: list[str], *arguments: str, name: str | None = "list.csv") -> tuple[int, list[Any], list[str]]:
        file = [] if name is None else [str(tmp_path / name)]
        for path in file:
            Path(path).write_text("\n".join(lines), encoding="utf-8")
        code = main(["hashset", "import", "known", *file, *arguments])
        captured = capsys.readouterr()
        rows = [json.loads(line) for line in captured.out.splitlines()]
        return code, rows, captured.err.replace(str(tmp_path), "TMP").splitlines()

    return run


def test_a_list_makes_its_set_and_says_what_it_did(run: Callable[..., Any]) -> None:
    code, (row,), lines = run(GOOD, "--create", "--domain", "csam", "--json")
    assert (code, lines) == (0, [])
    assert set(row) == set(IMPORT_FIELDS)
    assert [row[key] for key in ("set", "entries", "added", "updated", "unchanged", "rejected")] == [
        "known",
        2,
        2,
        0,
        0,
        0,
    ]
    code, rows, lines = run([*GOOD, f"sha1,{'03' * 20},"])
    assert (code, rows) == (0, [])
    assert lines[0] == "set\tversion\tentries\tadded\tupdated\tunchanged\trejected"
    assert lines[1].startswith("known\t")
    assert lines[1].endswith("\t3\t1\t0\t2\t0")


def test_rejected_rows_are_named_and_the_others_taken_in(run: Callable[..., Any], tmp_path: Path) -> None:
    kept = tmp_path / "rejected.jsonl"
    code, _, lines = run([*GOOD, BAD], "--create", "--domain", "csam", "--rejected", str(kept))
    assert code == 3
    assert lines[0].startswith("TMP/list.csv:4: rejected: value: 'xyz' is not a md5 value")
    assert lines[2].endswith("\t2\t2\t0\t0\t1")
    (row,) = [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
    assert set(row) == set(REJECTED_FIELDS)
    assert (row["position"], row["field"]) == (4, "value")


def test_people_see_the_first_rejected_rows_and_the_file_keeps_all(run: Callable[..., Any], tmp_path: Path) -> None:
    kept = tmp_path / "rejected.jsonl"
    code, _, lines = run([*GOOD, *[BAD] * 30], "--create", "--domain", "csam", "--rejected", str(kept))
    assert code == 3
    assert sum(": rejected: " in line for line in lines) == REJECTED_SHOWN
    assert lines[REJECTED_SHOWN] == "... and 10 more; --rejected FILE keeps all of them"
    assert len(kept.read_text(encoding="utf-8").splitlines()) == 30


def test_what_hash_prints_can_be_imported_as_it_is(run: Callable[..., Any]) -> None:
    hashed = [
        {"path": "a.jpg", "algorithm": "pdq", "value": "01" * 32, "bits": 256, "quality": 90, "width": 9, "height": 9,
         "format": "JPEG", "frames": 1, "frame": 0, "degraded": False, "dihedral": {"orig": "01" * 32}},
        {"path": "a.jpg", "algorithm": "md5", "value": "02" * 16, "bits": 128, "quality": None, "width": None,
         "height": None, "format": None, "frames": None, "frame": None, "degraded": None},
    ]  # fmt: skip
    lines = [json.dumps(row) for row in hashed]
    code, (row,), _ = run(lines, "--create", "--domain", "other", "--json", name="hashes.jsonl")
    assert (code, row["added"], row["rejected"]) == (0, 2, 0)
    refused = json.dumps({"path": "b.jpg", "error": "corrupt", "detail": "nothing could be recovered"})
    code, (row,), _ = run([*lines, refused], "--json", name="hashes.jsonl")
    assert (code, row["unchanged"], row["rejected"]) == (3, 2, 1)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (GOOD[:1], "TMP/list.csv: nothing was imported: it holds no entries"),
        (
            [GOOD[0], BAD, BAD],
            "nothing was imported: all 2 rows were rejected, the first at 2: value: 'xyz' is not",
        ),
        (["\x89PNG"], "error: "),
    ],
)
def test_a_file_of_which_nothing_can_be_read_is_bad_input(
    lines: list[str], message: str, run: Callable[..., Any]
) -> None:
    code, _, told = run(lines, "--create", "--domain", "csam")
    assert code == 2
    assert message in told[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "xlsx"], "no list format 'xlsx'; there are "),
        (["--domain", "csam"], "the hash set 'known' is about other, not csam; nothing was imported"),
        (["--rejected", "/nowhere/x"], "cannot write /nowhere/x: No such file or directory"),
    ],
)
def test_a_wrong_argument_leaves_the_set_as_it_was(
    arguments: list[str], message: str, run: Callable[..., Any], tmp_path: Path
) -> None:
    assert run(GOOD, "--create", "--domain", "other")[0] == 0
    code, _, lines = run([*GOOD, f"sha1,{'03' * 20},"], *arguments)
    assert (code, len(lines)) == (2, 1)
    assert lines[0].startswith(f"error: {message}")
    with SqliteCatalog.open(tmp_path / "data" / CATALOG) as catalog:
        assert catalog.get_set("known").entries == 2


def test_a_set_is_made_only_when_asked_and_only_about_something(tmp_path: Path) -> None:
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        with pytest.raises(SetNotFound, match=r"^no hash set 'x'; add --create --domain DOMAIN to make it$"):
            Target("x", None, make=False).prepare(catalog)
        with pytest.raises(
            BadInput, match=r"^--create needs --domain: it decides where a report of a match in 'x' may go$"
        ):
            Target("x", None, make=True).prepare(catalog)
        assert catalog.sets() == ()
        Target("x", HarmDomain.TVEC, make=True).prepare(catalog)
        Target("x", HarmDomain.TVEC, make=True).prepare(catalog)
        Target("x", None, make=False).prepare(catalog)
        assert [item.domain for item in catalog.sets()] == [HarmDomain.TVEC]


def test_standard_input_is_imported_and_its_format_recognised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = json.dumps({"algorithm": "md5", "value": "02" * 16})
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(line.encode())))
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        target = Target("x", HarmDomain.OTHER, make=True)
        output = Output(GlobalOptions(quiet=True))
        assert (
            import_file(catalog, target, "-", output, notation=Notation("auto"), rejected_file=None, trust=Trust()) == 0
        )
        assert [entry.hashes[0].hex for entry in catalog.entries("x")] == ["02" * 16]


def test_a_compressed_list_is_unpacked(run: Callable[..., Any], tmp_path: Path) -> None:
    packed = tmp_path / "list.csv.gz"
    packed.write_bytes(gzip.compress("\n".join(GOOD).encode()))
    _, (row,), _ = run([], str(packed), "--create", "--domain", "csam", "--json", name=None)
    assert row["added"] == 2
    packed.write_bytes(packed.read_bytes()[:-12])
    code, _, lines = run([], str(packed), name=None)
    assert code == 2
    assert "the compressed file is damaged or breaks off" in lines[-1]


def test_an_option_belongs_to_a_format(run: Callable[..., Any]) -> None:
    new = ("--create", "--domain", "csam")
    _, _, lines = run(["ab" * 32], "--option", "signal=sha256", *new, "--json", name="values.txt")
    assert lines == []
    for options, message in (
        (["x=1"], "the format pytx has no option 'x'; there are signal"),
        (["signal"], "--option signal: expected NAME=VALUE"),
        (["signal=pdq", "signal=md5"], "--option signal=md5: given twice"),
        (["signal=crc32"], "signal: 'crc32' is not installed"),
    ):
        stated = [word for option in options for word in ("--option", option)]
        code, _, lines = run(["ab" * 32], *stated, name="values.txt")
        assert (code, message in lines[-1]) == (2, True)


def test_what_a_format_cannot_carry_is_said(run: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    run([*GOOD, f"pdq,{'03' * 32},"], "--create", "--domain", "other")
    assert main(["hashset", "export", "known", "--format", "pytx"]) == 3
    captured = capsys.readouterr()
    assert captured.out == f"pdq {'01' * 32}\npdq {'03' * 32}\n"
    assert captured.err.splitlines() == [
        "2 entries of known written",
        "pytx: 1 entry left out: none of its values is a PDQ or the MD5 of a video",
        "pytx: quality or view of 1 entry left out: a line holds a signal type and a value",
    ]


def test_what_is_only_read_is_not_exported(run: Callable[..., Any], tmp_path: Path) -> None:
    run(GOOD, "--create", "--domain", "other")
    assert main(["hashset", "export", "known", "--format", "icse", "--output", str(tmp_path / "x")]) == 2
    assert not (tmp_path / "x").exists()


def test_what_is_harmless_goes_into_allow_sets_only(run: Callable[..., Any], tmp_path: Path) -> None:
    header = ",".join(f'"{name}"' for name in nsrl.HEADER)
    lines = [header, f'"{"03" * 20}","{"02" * 16}","DB7F1ADB","icon.png",1234,1,"358",""']
    run(GOOD, "--create", "--domain", "other")
    code, _, told = run(lines, name="NSRLFile.txt")
    assert (code, len(told)) == (2, 1)
    assert told[0].startswith(
        "error: the list is of what is not harmful, and 'known' is enforced: nothing was imported."
    )
    with SqliteCatalog.open(tmp_path / "data" / CATALOG) as catalog:
        assert catalog.get_set("known").entries == 2
    file = str(tmp_path / "NSRLFile.txt")
    assert main(["hashset", "import", "harmless", file, "--create", "--domain", "other"]) == 0
    with SqliteCatalog.open(tmp_path / "data" / CATALOG) as catalog:
        assert (catalog.get_set("harmless").mode, catalog.get_set("harmless").entries) == (SetMode.ALLOW, 1)


def test_a_database_is_read_where_it_lies_and_its_rows_are_counted(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "rds.db")) as made:
        made.execute("CREATE TABLE FILE (sha1 TEXT, md5 TEXT, package_id INTEGER)")
        made.execute("INSERT INTO FILE VALUES (?, ?, 1)", ("03" * 20, "02" * 16))
        made.commit()
    with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
        target = Target("x", HarmDomain.OTHER, make=True)
        output = Output(GlobalOptions(quiet=True))
        file = str(tmp_path / "rds.db")
        assert (
            import_file(catalog, target, file, output, notation=Notation("auto"), rejected_file=None, trust=Trust())
            == 0
        )
        assert [[item.algorithm for item in entry.hashes] for entry in catalog.entries("x")] == [["md5", "sha1"]]


def test_the_formats_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hashset", "formats", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["name"] for row in rows] == list(FORMATS)
    assert all(set(row) == set(FORMAT_FIELDS) for row in rows)


def test_reading_is_progress_and_its_failure_is_the_callers_to_put_right() -> None:
    class Counting:
        """Adds up what it is told."""

        total = 0

        def start(self, description: str, total: int | None, unit: str = "items") -> None:
            """Ignore."""

        def advance(self, done: int) -> None:
            """Add."""
            self.total += done

        def finish(self) -> None:
            """Ignore."""

    class Broken(io.BytesIO):
        """A disk that gives out."""

        def read(self, size: int | None = -1, /) -> bytes:
            """Fail."""
            del size
            raise OSError(5, "Input/output error")

    progress = Counting()
    stream = io.BufferedReader(_Watched("x", io.BytesIO(b"12345"), progress), 2)
    assert stream.readline() == b"12345"
    assert progress.total == 5
    broken = _Watched("list.csv", Broken(), progress)
    with pytest.raises(BadInput, match=r"^cannot read list\.csv: Input/output error$"):
        broken.readinto(bytearray(2))


@pytest.mark.parametrize("format_name", ["csv", "jsonl"])
def test_what_is_exported_can_be_imported_and_is_the_same(
    format_name: str, run: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(GOOD, "--create", "--domain", "other")
    target = tmp_path / f"out.{format_name}"
    assert main(["hashset", "export", "known", "--format", format_name, "--output", str(target)]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", f"2 entries of known written to {target}\n")
    code, (row,), _ = run(target.read_text(encoding="utf-8").splitlines(), "--json", name=target.name)
    assert (code, row["unchanged"], row["added"], row["updated"]) == (0, 2, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "nothing"),
        (["known", "--format", "xml"], "no list format 'xml'; there are "),
        (["known", "--output", "/nowhere/x"], "cannot write /nowhere/x: No such file or directory"),
    ],
)
def test_an_export_that_cannot_be_made_writes_nothing(
    arguments: list[str], message: str, run: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run(GOOD, "--create", "--domain", "other")
    assert main(["hashset", "export", *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
