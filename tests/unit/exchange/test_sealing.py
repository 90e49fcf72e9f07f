"""Encrypted lists: what comes out is what went in, or an error."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from hashmatch.errors import BadFile, BadInput
from hashmatch.exchange.sealing import (
    MAGIC,
    MAX_KEYS_BYTES,
    generate_identity,
    load_identities,
    parse_recipients,
    sealed,
    unsealed,
)

PLAIN = bytes(range(256)) * 1_024  # four of age's chunks


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, str]:
    """Return a file with an identity, and its recipient."""
    identity, recipient = generate_identity()
    path = tmp_path / "identity"
    path.write_text(f"# made by a test\n\n{identity}\n", encoding="ascii")
    return path, recipient


def encrypted(*recipients: str, data: bytes = PLAIN) -> bytes:
    out = io.BytesIO()
    with sealed(out, parse_recipients(recipients)) as stream:
        for at in range(0, len(data), 10_000):
            stream.write(data[at : at + 10_000])
    return out.getvalue()


def decrypted(data: bytes, identity: Path) -> bytes:
    with unsealed(io.BytesIO(data), load_identities(identity)) as stream:
        return stream.read()


def test_every_recipient_reads_what_was_written(pair: tuple[Path, str], tmp_path: Path) -> None:
    identity, recipient = pair
    other_identity, other = generate_identity()
    (tmp_path / "other").write_text(other_identity, encoding="ascii")
    (tmp_path / "recipients").write_text(f"{recipient}\n{other}\n", encoding="ascii")
    data = encrypted(str(tmp_path / "recipients"))
    assert data.startswith(MAGIC)
    assert PLAIN[:64] not in data
    assert decrypted(data, identity) == decrypted(data, tmp_path / "other") == PLAIN
    assert decrypted(encrypted(recipient, data=b""), identity) == b""


def test_a_file_cut_anywhere_or_damaged_is_an_error_and_no_end(pair: tuple[Path, str]) -> None:
    identity, recipient = pair
    data = encrypted(recipient)
    for cut in (0, 10, 100, 70_000, len(data) - 65_552, len(data) - 1):
        with pytest.raises(BadFile, match="for another recipient, damaged or cut off"):
            decrypted(data[:cut], identity)
    for at in (30, 400, 100_000, len(data) - 1):
        with pytest.raises(BadFile, match="cannot be decrypted"):
            decrypted(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :], identity)


def test_nobody_else_reads_it(pair: tuple[Path, str]) -> None:
    identity, _ = pair
    _, other = generate_identity()
    with pytest.raises(BadFile, match=r"cannot be decrypted \(No matching keys found\)"):
        decrypted(encrypted(other), identity)


def test_a_reader_may_stop_early(pair: tuple[Path, str]) -> None:
    identity, recipient = pair
    with unsealed(io.BytesIO(encrypted(recipient)), load_identities(identity)) as stream:
        assert stream.read(10) == PLAIN[:10]


class _Full(io.RawIOBase):
    def writable(self) -> bool:
        return True

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def test_a_full_disk_is_the_writers_error(pair: tuple[Path, str]) -> None:
    _, recipient = pair
    with pytest.raises(OSError, match="No space left on device"), sealed(_Full(), parse_recipients([recipient])) as out:  # type: ignore[arg-type]
        out.write(PLAIN)


def test_what_is_no_key_is_bad_input_and_a_secret_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("AGE-SECRET-KEY-1WRONG", encoding="ascii")
    with pytest.raises(BadInput, match=r"^a line is not an identity; it begins with AGE-SECRET-KEY-1$"):
        load_identities(path)
    with pytest.raises(BadInput, match="'age1wrong' is not a recipient; it begins with age1 or ssh-ed25519"):
        parse_recipients(["age1wrong"])
    with pytest.raises(BadInput, match="cannot read recipients from bob: No such file or directory"):
        parse_recipients(["bob"])
    path.write_text("# nothing\n", encoding="ascii")
    with pytest.raises(BadInput, match="holds no identities"):
        load_identities(path)
    path.write_bytes(b"a" * (MAX_KEYS_BYTES + 1))
    with pytest.raises(BadInput, match="more than 65536 bytes"):
        load_identities(path)
