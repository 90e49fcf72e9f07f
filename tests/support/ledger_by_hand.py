"""A second verifier of ledgers, from the description in docs/guide/audit.md: standard library and openssl alone.

    python tests/support/ledger_by_hand.py DIRECTORY PUBLIC_KEY_PEM

It imports nothing of hashmatch, so that a mistake there is not repeated here. It stops at the first thing that is
wrong, prints it and returns 1; otherwise it prints the number of records and of heads.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path

PAYLOAD_TYPE = b"application/vnd.hashmatch.ledger-head.v1+json"


class Wrong(Exception):
    """What is wrong."""


def digests(directory: Path) -> tuple[int, dict[int, str], dict[int, int]]:
    """Return the first number, the digest of every record by its number, having followed the chain, and removals.

    Of a removal: the number of the record that says so, and the last record that it names.
    """
    paths = sorted(directory.glob("[0-9]*.jsonl"))
    first = int(paths[0].name.removesuffix(".jsonl"))
    found: dict[int, str] = {}
    removals: dict[int, int] = {}
    previous = "0" * 64
    for path in paths:
        if int(path.name.removesuffix(".jsonl")) != first + len(found):
            raise Wrong(f"{path.name} does not begin with record {first + len(found)}")
        data = path.read_bytes()
        if not data.endswith(b"\n"):
            raise Wrong(f"{path.name} is torn")
        for line in data[:-1].split(b"\n"):
            record = json.loads(line)
            seq = first + len(found)
            if record["seq"] != seq or (record["previous"] != previous and (found or not first)):
                raise Wrong(f"record {seq} does not follow")
            if record["kind"] == "ledger.removed":
                removals[seq] = record["body"]["to"]
            previous = hashlib.sha256(b"\x00" + line).hexdigest()
            found[seq] = previous
    return first, found, removals


def signed_by(key: Path, payload: bytes, signature: bytes) -> bool:
    """Ask openssl whether a key signed a payload in a DSSE envelope."""
    message = b"DSSEv1 %d %b %d %b" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE, len(payload), payload)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "message").write_bytes(message)
        (Path(name) / "signature").write_bytes(signature)
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(key), "-rawin", "-in", f"{name}/message"]
        return (
            subprocess.run([*command, "-sigfile", f"{name}/signature"], capture_output=True, check=False).returncode
            == 0
        )


def check(directory: Path, key: Path) -> tuple[int, int]:
    """Return how many records and heads there are. Raises Wrong."""
    (first, records, removals), heads, vouched = digests(directory), 0, -1
    for line in (directory / "heads.jsonl").read_bytes().splitlines():
        envelope = json.loads(line)
        payload = base64.b64decode(envelope["payload"])
        if not signed_by(key, payload, base64.b64decode(envelope["signatures"][0]["sig"])):
            raise Wrong(f"head {heads} is not signed with {key.name}")
        head = json.loads(payload)
        if head["seq"] >= first and records.get(head["seq"]) != head["digest"]:
            raise Wrong(f"head {heads} is of another record {head['seq']}")
        heads, vouched = heads + 1, max(vouched, head["seq"])
    if first and not any(seq <= vouched and last >= first - 1 for seq, last in removals.items()):
        raise Wrong(f"the ledger begins with record {first}, and nothing that is signed says why")
    return len(records), heads


def main() -> int:
    """Verify what the command line names."""
    try:
        records, heads = check(Path(sys.argv[1]), Path(sys.argv[2]))
    except (Wrong, ValueError, KeyError) as wrong:
        sys.stdout.write(f"{wrong}\n")
        return 1
    sys.stdout.write(f"{records} records, {heads} heads\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
