"""Keyed digests, and the file of their secret."""

from __future__ import annotations

import hashlib
import hmac
import stat
from pathlib import Path

import pytest

from hashmatch.audit.digests import Pseudonyms, load_pseudonyms, make_secret
from hashmatch.errors import BadInput
from hashmatch.model import EntryHash

SECRET = bytes(range(32))
HASHES = (EntryHash("pdq", b"\1" * 32, 90), EntryHash("md5", b"\2" * 16))


def test_a_digest_is_hmac_over_purpose_lengths_and_parts() -> None:
    sha256 = hashlib.sha256(b"picture").digest()
    expected = hmac.new(SECRET, b"image\0" + b"\0\0\0\x20" + sha256, "sha256").hexdigest()
    assert Pseudonyms(SECRET).of_image(sha256) == expected


def test_digests_depend_on_secret_purpose_and_every_part() -> None:
    ours, theirs = Pseudonyms(SECRET), Pseudonyms(bytes(32))
    made = [
        ours.of_image(b"ab"),
        theirs.of_image(b"ab"),
        ours.of_image(b"ac"),
        ours.of_entry("a", "b"),
        ours.of_entry("ab", ""),
        ours.of_entry("", "ab"),
        ours.of_hashes(HASHES),
        ours.of_hashes(HASHES[:1]),
        ours.of_hashes(()),
    ]
    assert len(set(made)) == len(made)
    assert ours.of_hashes(HASHES) == ours.of_hashes(HASHES[::-1])
    assert repr(ours) == "Pseudonyms()"


def test_a_secret_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "digest.key"
    make_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_pseudonyms(path).of_image(b"") == load_pseudonyms(path).of_image(b"")
    with pytest.raises(BadInput, match="exists already, and a key is never overwritten"):
        make_secret(path)
    path.chmod(0o640)
    with pytest.raises(BadInput, match=rf"^others may read {path}; `chmod 600 {path}` keeps it to yourself$"):
        load_pseudonyms(path)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_what_is_no_secret_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "digest.key"
    path.write_text(text, encoding="ascii")
    path.chmod(0o600)
    with pytest.raises(BadInput, match=rf"^{path} holds no secret of 32 bytes in hex$"):
        load_pseudonyms(path)
