from __future__ import annotations

import ast
import dataclasses
import hashlib
import json
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rfc8785

from hashmatch.errors import BadInput, LedgerUnavailable
from hashmatch.hotline.proof import evidence, evidence_store
from hashmatch.hotline.proof.clock import Trust, trust
from hashmatch.hotline.proof.evidence_store import Disagreement, Mismatch
from hashmatch.ledger import Options, Writer, Wrong
from hashmatch.model import Verdict
from hashmatch.model.hotline import Fetched, Hop, Item
from hashmatch.sections import HotlineConfig, PolicyConfig
from hashmatch.signatures import SigningKey
from tests.support.hotline import evidence as made
from tests.support.hotline import evidence_by_hand

BY_HAND = Path(evidence_by_hand.__file__)


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.generate()


def wrongs(place: Path, *keys: SigningKey, against: list[Path] | None = None) -> list[tuple[Wrong, int]]:
    _, findings = evidence_store.checked(place, keys=[key.verify_key for key in keys], against=against or [])
    return [(finding.wrong, finding.seq) for finding in findings]


def by_hand(directory: Path, key: SigningKey) -> list[str]:
    """Run the other verifier in a process of its own."""
    public = directory.parent / "public.pem"
    public.write_text(key.verify_key.to_pem(), encoding="ascii")
    done = subprocess.run(
        [sys.executable, "-I", str(BY_HAND), str(directory), str(public)], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    found = done.stdout.splitlines() if done.stdout.strip() else []
    assert done.returncode == bool(found)
    return found


def test_what_a_record_says() -> None:
    record = evidence.record_of(made.MATCHED, made.SUBMISSION, made.CONTEXT, made.CLOCK)
    assert record["format"] == "hashmatch-evidence/1"
    assert record["why"] == {
        "job": "monday",
        "operator": "Example Hotline",
        "legal_basis": "Article 1 of an example",
        "purpose": "check",
    }
    assert record["tool"] == {"name": "hashmatch", "version": "1.2.3", "config_sha256": "c" * 64}
    assert record["clock"] == {"source": "CLOCK_REALTIME", "synchronised": True, "max_error_us": 1_500}
    assert record["reported"] == {"number": 7, "url": "hxxps://Example[.]org/advert"}
    assert record["request"] == {
        "method": "GET",
        "url": "https://example.org/a.jpg",
        "found_via": "img",
        "page_url": "https://example.org/advert",
        "headers": [
            ["User-Agent", "hashmatch (https://hotline.example.org/)"],
            ["Accept", "text/html,application/xhtml+xml,image/*,*/*;q=0.5"],
            ["Accept-Encoding", "gzip, deflate"],
        ],
        "route": "direct",
        "vantage": "direct",
    }
    assert record["body"] == {
        "size_bytes": len(made.BODY),
        "md5": hashlib.md5(made.BODY, usedforsecurity=False).hexdigest(),
        "sha1": hashlib.sha1(made.BODY, usedforsecurity=False).hexdigest(),
        "sha256": hashlib.sha256(made.BODY).hexdigest(),
    }
    first, last = json.loads(json.dumps(record["hops"]))
    assert (first["status"], first["names"], first["headers"]) == (
        302, ["cdn.example.net"], [["Location", "https://cdn.example.net/a.jpg"]]
    )  # fmt: skip
    assert last["headers"][1:] == [["Set-Cookie", "id=1; Secure"], ["set-cookie", "b=\xe9"], ["X-Empty", ""]]
    assert last["ip"] == "2001:db8::7"
    assert last["tls"]["chain_sha256"] == ["a" * 64, "b" * 64]
    assert last["answered_at"] == "2026-11-28T12:00:00.250000+00:00"
    (match,) = json.loads(json.dumps(record["matches"]))
    assert {name: match[name] for name in ("set", "set_version", "entry", "distance", "max_distance", "verdict")} == {
        "set": "known", "set_version": 3, "entry": "e7", "distance": 4, "max_distance": 31, "verdict": "match"
    }  # fmt: skip
    assert record["picture"] == {
        "media": {"format": "jpeg", "width": 640, "height": 480, "frames": 1, "frames_hashed": 1, "degraded": False,
                  "fidelity": "exact"},
        "quality": 91,
        "hashes": [{"algorithm": "pdq", "value": bytes(range(32)).hex(), "quality": 91}],
    }  # fmt: skip
    assert record["decision"] == {
        "by": "policy",
        "verdict": "match",
        "rule": "pdq_near",
        "reason": None,
        "generation": "12.3",
        "request_id": "r1",
        "at": "2026-11-28T12:00:00.000000+00:00",
    }


def test_a_referer_is_in_the_record_where_it_is_sent() -> None:
    context = dataclasses.replace(made.CONTEXT, send_referer=True)
    request = evidence.record_of(made.MATCHED, made.SUBMISSION, context, made.CLOCK)["request"]
    assert isinstance(request, dict)
    assert request["headers"][-1] == ["Referer", "https://example.org/advert"]


def test_what_was_not_looked_at_has_a_record_too() -> None:
    record = evidence.record_of(made.TIMED_OUT, made.SUBMISSION, made.CONTEXT, Trust())
    assert record["picture"] is record["decision"] is record["place"] is None
    assert record["body"] == {"size_bytes": 0}
    assert record["response"] == {
        "outcome": "timeout",
        "detail": "no answer within 10 s",
        "declared_type": "",
        "wire_bytes": 0,
        "robots": "",
        "ended_at": None,
    }
    refused = dataclasses.replace(made.MATCHED, report=made.report(Verdict.NOT_CHECKED))
    decision = evidence.record_of(refused, made.SUBMISSION, made.CONTEXT, Trust())["decision"]
    assert isinstance(decision, dict)
    assert (decision["verdict"], decision["reason"]) == ("not_checked", "corrupt")


@pytest.mark.parametrize("item", made.ITEMS)
def test_nothing_of_a_body_and_nothing_of_who_reported_is_in_it(item: Item) -> None:
    text = rfc8785.dumps(evidence.record_of(item, made.SUBMISSION, made.CONTEXT, made.CLOCK))  # type: ignore[arg-type]
    for secret in (b"a made-up picture", made.BODY.hex().encode(), b"who told us", b"abuse@example.net", b"elapsed"):
        assert secret not in text


def test_records_are_chained_signed_canonical_and_found_by_digest(tmp_path: Path, key: SigningKey) -> None:
    digests = made.keep(tmp_path / "evidence", key)
    kept = list(evidence_store.read(tmp_path / "evidence"))
    assert [one.digest for one in kept] == digests
    for one, item in zip(kept, made.ITEMS, strict=True):
        assert one.digest == hashlib.sha256(b"\x00" + one.line).hexdigest()
        document = json.loads(one.line)
        assert rfc8785.dumps(document) == one.line
        expected = evidence.record_of(item, made.SUBMISSION, made.CONTEXT, made.CLOCK)
        assert {**document["body"], "clock": None} == {**json.loads(json.dumps(expected)), "clock": None}
        assert evidence_store.found(tmp_path / "evidence", one.digest) == one
        assert evidence_store.found(tmp_path / "evidence", one.digest[:8].upper()) == one
    assert wrongs(tmp_path / "evidence", key) == []
    assert by_hand(tmp_path / "evidence", key) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("0" * 8, "no record in {place} begins with 00000000"),
        ("0" * 7, "'0000000' names no record: expected 8 to 64 hex digits"),
        ("nothex!!", "'nothex!!' names no record: expected 8 to 64 hex digits"),
    ],
)
def test_a_digest_that_names_nothing(tmp_path: Path, key: SigningKey, name: str, message: str) -> None:
    made.keep(tmp_path / "evidence", key)
    with pytest.raises(BadInput) as refused:
        evidence_store.found(tmp_path / "evidence", name)
    assert refused.value.message == message.format(place=tmp_path / "evidence")


def tampered(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def apply(directory: Path) -> None:
        (path,) = directory.glob("[0-9]*.jsonl")
        path.write_bytes(b"".join(line + b"\n" for line in change(path.read_bytes().splitlines())))

    return apply


ATTACKS: list[tuple[str, Callable[[list[bytes]], list[bytes]], set[tuple[Wrong, int]]]] = [
    (
        "an address changed",
        lambda lines: [line.replace(b"192.0.2.7", b"192.0.2.8") for line in lines],
        {(Wrong.BROKEN_CHAIN, 2), (Wrong.BROKEN_CHAIN, 3)},
    ),
    ("a record taken out", lambda lines: [*lines[:2], *lines[3:]], {(Wrong.MISSING, 3)}),
    ("the last one cut off", lambda lines: lines[:-1], {(Wrong.TRUNCATED, 3)}),
    ("two exchanged", lambda lines: [lines[0], lines[2], lines[1], lines[3]],
     {(Wrong.MISSING, 2), (Wrong.REORDERED, 1), (Wrong.MISSING, 3)}),
    ("written with a space", lambda lines: [lines[0], lines[1].replace(b",", b", ", 1), *lines[2:]],
     {(Wrong.NOT_CANONICAL, -1), (Wrong.MISSING, 2)}),
    ("one added at the end", lambda lines: [*lines, lines[-1]], {(Wrong.DUPLICATE, 3)}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "expected"), [row[1:] for row in ATTACKS], ids=[row[0] for row in ATTACKS])
def test_both_verifiers_see_it(
    change: Callable[[list[bytes]], list[bytes]], expected: set[tuple[Wrong, int]], tmp_path: Path, key: SigningKey
) -> None:
    made.keep(tmp_path / "evidence", key)
    tampered(change)(tmp_path / "evidence")
    assert set(wrongs(tmp_path / "evidence", key)) == expected
    assert by_hand(tmp_path / "evidence", key) != []


def test_evidence_made_anew_by_another_is_seen_by_the_key_and_by_a_kept_head(tmp_path: Path, key: SigningKey) -> None:
    made.keep(tmp_path / "evidence", key)
    kept_head = tmp_path / "kept.jsonl"
    kept_head.write_bytes((tmp_path / "evidence" / "heads.jsonl").read_bytes())
    forger = SigningKey.generate()
    made.keep(tmp_path / "forged", forger)
    assert wrongs(tmp_path / "forged", forger) == []
    assert wrongs(tmp_path / "forged", key) == [(Wrong.UNKNOWN_KEY, 3)]
    assert by_hand(tmp_path / "forged", key) == ["the head of record 3 is not signed with this key",
                                                 "nothing vouches for the records after -1"]  # fmt: skip
    assert (Wrong.FOREIGN_HEAD, 3) in wrongs(tmp_path / "forged", key, against=[kept_head])
    assert wrongs(tmp_path / "evidence", key, against=[kept_head]) == []


def test_an_exported_file_is_verified_like_its_directory(tmp_path: Path, key: SigningKey) -> None:
    directory = tmp_path / "evidence"
    with Writer.open(directory, key, about={}, options=Options(rotate_bytes=4_096)) as writer:
        for n in range(20):
            record = evidence.record_of(made.MATCHED, made.SUBMISSION, made.CONTEXT, made.CLOCK)
            writer.append(evidence.KIND, {**record, "n": n})
    assert len(list(directory.glob("[0-9]*.jsonl"))) > 3
    exported = tmp_path / "evidence.jsonl"
    exported.write_bytes(b"".join(line + b"\n" for line in evidence_store.lines(directory)))
    heads = [directory / "heads.jsonl"]
    assert wrongs(exported, key, against=heads) == []
    assert [one.digest for one in evidence_store.read(exported)] == [
        one.digest for one in evidence_store.read(directory)
    ]
    exported.write_bytes(exported.read_bytes().replace(b'"n":7', b'"n":8'))
    assert wrongs(exported, key, against=heads)[0][0] is Wrong.BROKEN_CHAIN
    exported.write_bytes(exported.read_bytes() + b"x" * (2 << 20))
    assert Wrong.TOO_LONG in {wrong for wrong, _ in wrongs(exported, key, against=heads)}


def test_a_head_that_is_too_large_is_kept_as_a_digest(tmp_path: Path, key: SigningKey) -> None:
    headers = tuple((f"X-{n}", "\x01" * 1_000) for n in range(100))
    item = dataclasses.replace(made.TIMED_OUT, fetched=Fetched((Hop("https://example.org/", headers=headers),)))
    (digest,) = made.keep(tmp_path / "evidence", key, [item])
    (hop,) = json.loads(evidence_store.found(tmp_path / "evidence", digest).line)["body"]["hops"]
    text = rfc8785.dumps([list(pair) for pair in headers])
    assert hop["headers"] == {
        "omitted": 100,
        "canonical_bytes": len(text),
        "sha256": hashlib.sha256(text).hexdigest(),
    }


def test_an_address_that_is_no_text_is_kept_escaped(tmp_path: Path, key: SigningKey) -> None:
    item = dataclasses.replace(made.TIMED_OUT, url="https://example.org/\ud800")
    (digest,) = made.keep(tmp_path / "evidence", key, [item])
    record = evidence_store.found(tmp_path / "evidence", digest).record
    assert json.loads(json.dumps(record.body))["request"]["url"] == "https://example.org/\\ud800"


def test_a_job_is_held_against_its_evidence(tmp_path: Path, key: SigningKey) -> None:
    digests = made.keep(tmp_path / "evidence", key)
    rows = [dataclasses.replace(item, evidence=digest) for item, digest in zip(made.ITEMS, digests, strict=True)]
    assert list(evidence_store.compared(tmp_path / "evidence", enumerate(rows))) == []
    assert list(evidence_store.compared(tmp_path / "evidence", enumerate(made.ITEMS))) == []
    rows[1] = dataclasses.replace(rows[1], url="https://example.org/other.jpg")
    rows[2] = dataclasses.replace(rows[2], evidence="f" * 64)
    assert list(evidence_store.compared(tmp_path / "evidence", enumerate(rows))) == [
        Mismatch(
            Disagreement.DIFFERS,
            7,
            1,
            digests[1],
            "request.url is 'https://example.org/other.jpg' in the job and 'https://example.org/slow.jpg' in the "
            "evidence",
        ),
        Mismatch(Disagreement.NO_RECORD, 7, 2, "f" * 64, "the evidence has no such record"),
    ]


def test_evidence_has_one_writer_at_a_time(tmp_path: Path, key: SigningKey) -> None:
    with evidence.Evidence.open(tmp_path / "evidence", key, made.CONTEXT) as first:
        assert repr(first).startswith("<Evidence of 'monday' in <Writer of ")
        with pytest.raises(LedgerUnavailable, match="another process writes this ledger"):
            evidence.Evidence.open(tmp_path / "evidence", key, made.CONTEXT)
        other = first.of(dataclasses.replace(made.CONTEXT, purpose="recheck"))
        assert repr(other) == repr(first)


def test_the_key_is_made_once_and_its_public_half_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / evidence.KEY_FILE
    first = evidence.evidence_key(path)
    assert evidence.evidence_key(path).verify_key.key_id == first.verify_key.key_id
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_name("evidence.key.pub").read_text(encoding="ascii") == first.verify_key.to_pem()


def test_the_digest_of_the_configuration_follows_the_settings() -> None:
    one = evidence.config_digest(HotlineConfig(), PolicyConfig())
    assert one == evidence.config_digest(HotlineConfig(), PolicyConfig())
    assert one != evidence.config_digest(HotlineConfig(max_images=7), PolicyConfig())
    assert len(one) == 64


def test_the_kernel_is_asked_about_its_clock() -> None:
    told = trust()
    assert told.synchronised in {True, False}
    assert told.max_error_us >= 0


def test_a_place_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        list(evidence_store.read(tmp_path / "nothing"))
    assert refused.value.message == f"cannot read {tmp_path / 'nothing'}: No such file or directory"


def test_the_other_verifier_knows_nothing_of_this_one() -> None:
    tree = ast.parse(BY_HAND.read_text(encoding="utf-8"))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        )
    }  # fmt: skip
    assert imported <= {*sys.stdlib_module_names}
