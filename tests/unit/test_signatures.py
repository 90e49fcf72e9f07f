"""Keys in files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from hashmatch.errors import BadInput
from hashmatch.signatures import (
    MAX_KEY_BYTES,
    SigningKey,
    VerifyKey,
    kept,
    load_signing_key,
    load_verify_key,
    write_secret,
)


def test_a_key_survives_its_file_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    key, path = SigningKey.generate(), tmp_path / "key"
    write_secret(path, key.to_pem())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = load_signing_key(path)
    public = tmp_path / "key.pub"
    public.write_text(key.verify_key.to_pem(), encoding="ascii")
    assert load_verify_key(public).key_id == again.verify_key.key_id == key.verify_key.key_id
    assert load_verify_key(public).verifies("t", b"text", again.sign("t", b"text"))
    assert repr(key) == f"<SigningKey {key.verify_key.key_id[:16]}>"


def test_the_key_id_is_that_of_a_published_key() -> None:
    """RFC 8032, section 7.1, test 1."""
    raw = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    key = VerifyKey(Ed25519PrivateKey.from_private_bytes(raw).public_key())
    assert key.public.public_bytes(Encoding.Raw, PublicFormat.Raw) == public
    assert key.key_id == "21fe31dfa154a261626bf854046fd2271b7bed4b6abe45aa58877ef47f9721b9"


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, "first")
    with pytest.raises(BadInput, match="key exists already, and a key is never overwritten; give another name"):
        write_secret(path, "second")
    assert path.read_text(encoding="ascii") == "first"
    with pytest.raises(BadInput, match=r"cannot write .*: No such file or directory"):
        write_secret(tmp_path / "none" / "key", "x")


def test_a_signing_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    write_secret(path, SigningKey.generate().to_pem())
    path.chmod(0o640)
    with pytest.raises(BadInput, match=r"others may read the signing key .*key; `chmod 600 "):
        load_signing_key(path)


def test_what_is_no_key_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "key"
    other = Ed448PrivateKey.generate()
    sealed = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    for data, message in (
        (b"", "holds no private key in PEM; `hashmatch hashset keygen "),
        (b"\xff" * MAX_KEY_BYTES, "holds no private key in PEM"),
        (b"x" * (MAX_KEY_BYTES + 1), "more than 16384 bytes; that is no key"),
        (sealed, "is encrypted; give one without a passphrase"),
        (other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), "another kind than Ed25519"),
    ):
        path.unlink(missing_ok=True)
        write_secret(path, "")
        path.write_bytes(data)
        with pytest.raises(BadInput, match=message):
            load_signing_key(path)
    path.write_bytes(other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    with pytest.raises(BadInput, match="another kind than Ed25519"):
        load_verify_key(path)
    path.write_bytes(b"no key")
    with pytest.raises(BadInput, match="holds no public key in PEM"):
        load_verify_key(path)
    with pytest.raises(BadInput, match=r"cannot read the key .*: No such file or directory"):
        load_verify_key(tmp_path / "none")


def test_of_two_processes_that_make_a_key_at_once_both_have_that_of_the_faster_one(tmp_path: Path) -> None:
    faster, slower = SigningKey.generate(), SigningKey.generate()

    def make(path: Path) -> None:
        write_secret(path, faster.to_pem())
        write_secret(path, slower.to_pem())

    assert kept(tmp_path / "key", make, load_signing_key).to_pem() == faster.to_pem()
