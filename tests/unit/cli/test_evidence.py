from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from hashmatch.cli.main import main
from hashmatch.errors import ExitCode
from hashmatch.signatures import SigningKey
from tests.support.hotline import evidence as made
from tests.support.hotline.jobs import job_of

Run = tuple[int, list[dict[str, object]], str]


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


@pytest.fixture
def public(tmp_path: Path, key: SigningKey) -> str:
    path = tmp_path / "evidence.key.pub"
    path.write_text(key.verify_key.to_pem(), encoding="ascii")
    return str(path)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    code = main(["evidence", *arguments, "--json"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def test_sound_evidence_is_clean(
    tmp_path: Path, key: SigningKey, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = made.keep(tmp_path / "e", key)
    code, (summary,), err = run(capsys, "verify", str(tmp_path / "e"), "--key", public)
    assert code == ExitCode.CLEAN
    assert summary == {
        "ledger": summary["ledger"],
        "records": 4,
        "last": 3,
        "digest": digests[-1],
        "heads": 1,
        "unvouched": 0,
        "own_keys_only": False,
        "findings": 0,
    }
    assert err == "4 records, 1 signed heads that fit, 0 findings\n"
    _, _, err = run(capsys, "verify", str(tmp_path / "e"))
    assert "no --key was given: whoever wrote this could have chosen the key that it names" in err


def test_what_is_wrong_is_named_and_ends_with_5(
    tmp_path: Path, key: SigningKey, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made.keep(tmp_path / "e", key)
    (segment,) = (tmp_path / "e").glob("[0-9]*.jsonl")
    segment.write_bytes(segment.read_bytes().replace(b"slow.jpg", b"fast.jpg"))
    code, (finding, _), _ = run(capsys, "verify", str(tmp_path / "e"), "--key", public)
    assert code == ExitCode.INTEGRITY
    assert finding == {
        "wrong": "broken_chain",
        "where": "00000000000000000000.jsonl",
        "line": 4,
        "seq": 3,
        "digest": "",
        "detail": finding["detail"],
    }
    assert str(finding["detail"]).startswith("record 3 follows a record with another digest than ")


def test_heads_that_were_kept_elsewhere(
    tmp_path: Path, key: SigningKey, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made.keep(tmp_path / "e", key)
    made.keep(tmp_path / "again", key)
    heads = str(tmp_path / "e" / "heads.jsonl")
    assert run(capsys, "verify", str(tmp_path / "e"), "--key", public, "--against", heads)[0] == ExitCode.CLEAN
    code, rows, _ = run(capsys, "verify", str(tmp_path / "again"), "--key", public, "--against", heads)
    assert (code, [row.get("wrong") for row in rows]) == (ExitCode.INTEGRITY, ["foreign_head", None])


def test_a_job_that_says_something_else(
    tmp_path: Path, key: SigningKey, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = made.keep(tmp_path / "e", key)
    items = [dataclasses.replace(item, evidence=digest) for item, digest in zip(made.ITEMS, digests, strict=True)]
    sound = job_of(tmp_path / "sound.job", made.SUBMISSION, "https://example.org/advert", items)
    arguments = ("verify", str(tmp_path / "e"), "--key", public, "--job")
    assert run(capsys, *arguments, sound)[0] == ExitCode.CLEAN
    items[2] = dataclasses.replace(items[2], evidence="0" * 64)
    changed = job_of(tmp_path / "changed.job", made.SUBMISSION, "https://example.org/advert", items)
    code, (finding, summary), _ = run(capsys, *arguments, changed)
    assert (code, summary["findings"]) == (ExitCode.INTEGRITY, 1)
    assert finding == {
        "wrong": "no_record",
        "where": "",
        "line": 7,
        "seq": -1,
        "digest": "0" * 64,
        "detail": "the evidence has no such record",
    }


def test_records_are_shown_by_digest(tmp_path: Path, key: SigningKey, capsys: pytest.CaptureFixture[str]) -> None:
    digests = made.keep(tmp_path / "e", key)
    code, rows, _ = run(capsys, "show", str(tmp_path / "e"), digests[1][:8], digests[0])
    assert code == ExitCode.CLEAN
    assert [row["digest"] for row in rows] == [digests[1], digests[0]]
    record = rows[0]["record"]
    assert isinstance(record, dict)
    assert (record["seq"], record["kind"], record["body"]["response"]["outcome"]) == (2, "hotline.item", "timeout")
    code, rows, err = run(capsys, "show", str(tmp_path / "e"), "0" * 64)
    assert (code, rows) == (ExitCode.BAD_INPUT, [])
    assert json.loads(err)["message"] == f"no record in {tmp_path / 'e'} begins with {'0' * 64}"


def test_what_is_exported_is_verified_and_read(
    tmp_path: Path, key: SigningKey, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made.keep(tmp_path / "e", key)
    lines, archive = tmp_path / "e.jsonl", tmp_path / "e.warc"
    for form, path in (("jsonl", lines), ("warc", archive)):
        code, rows, err = run(capsys, "export", str(tmp_path / "e"), "--format", form, "-o", str(path))
        assert (code, rows) == (ExitCode.CLEAN, [])
        assert err == f"{path}: written, not verified; `hashmatch evidence verify {tmp_path / 'e'}` does that\n"
    heads = str(tmp_path / "e" / "heads.jsonl")
    assert run(capsys, "verify", str(lines), "--key", public, "--against", heads)[0] == ExitCode.CLEAN
    with archive.open("rb") as stream:
        kinds = [record.rec_type for record in ArchiveIterator(stream)]
    assert kinds == ["warcinfo", "metadata", "revisit", "metadata", "metadata", "metadata"]
    assert made.BODY not in archive.read_bytes()
