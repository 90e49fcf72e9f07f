"""Verifies evidence with hashlib and the ``openssl`` command, and imports nothing of what it verifies.

    python tests/support/hotline/evidence_by_hand.py DIRECTORY KEY.pub

What it knows is in docs/explain/evidence.md. It prints what is wrong, one line each, and ends with 1 if anything is.
"""
# ruff: noqa: T201 - a command; openssl is the one of the machine

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path


def digest(line: bytes) -> str:
    return hashlib.sha256(b"\x00" + line).hexdigest()


def canonical(document: object) -> bytes:
    """RFC 8785 for whole numbers and member names in ASCII, which is all there is."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(key: Path, payload_type: str, payload: bytes, signature: bytes) -> bool:
    kind = payload_type.encode()
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    with tempfile.TemporaryDirectory() as room:
        for name, data in (("message", message), ("signature", signature)):
            (Path(room) / name).write_bytes(data)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin"]
        command += ["-in", f"{room}/message", "-sigfile", f"{room}/signature"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def chain(directory: Path, digests: list[str]) -> Iterator[str]:
    """Yield what is wrong with the records, and collect their digests."""
    previous = "0" * 64
    for path in sorted(directory.glob("[0-9]*.jsonl")):
        for line in path.read_bytes().splitlines():
            number, record = len(digests), json.loads(line)
            if canonical(record) != line:
                yield f"record {number} is not canonical"
            if record["seq"] != number:
                yield f"record {record['seq']} stands where {number} belongs"
            if record["previous"] != previous:
                yield f"record {number} does not follow the one before"
            previous = digest(line)
            digests.append(previous)


def problems(directory: Path, key: Path) -> Iterator[str]:
    """Yield what is wrong with the evidence in a directory."""
    digests: list[str] = []
    yield from chain(directory, digests)
    vouched = -1
    for line in (directory / "heads.jsonl").read_bytes().splitlines():
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        head = json.loads(payload)
        if not signed(key, envelope["payloadType"], payload, base64.b64decode(envelope["signatures"][0]["sig"])):
            yield f"the head of record {head['seq']} is not signed with this key"
        elif head["seq"] >= len(digests):
            yield f"record {head['seq']} is missing"
        elif digests[head["seq"]] != head["digest"]:
            yield f"record {head['seq']} is not the one that was signed"
        else:
            vouched = max(vouched, head["seq"])
    if vouched < len(digests) - 1:
        yield f"nothing vouches for the records after {vouched}"


if __name__ == "__main__":
    found = list(problems(Path(sys.argv[1]), Path(sys.argv[2])))
    print(*found, sep="\n")
    sys.exit(bool(found))
