"""Ed25519 keys in files, and signatures over named payloads.

Theory of operation
-------------------
A signing key is PKCS #8 PEM, a verification key SubjectPublicKeyInfo PEM: `openssl pkey` and every library read both.
What is signed is not the payload but the pre-authentication encoding of DSSE, which binds the payload's type and both
lengths, so that no signature over one kind of document can be taken for one over another. Whoever verifies does so
before anything in the payload is parsed.

A key is named by its id, the SHA-256 of the 32 raw bytes of its public half. A signing key that others may read is
refused, as ssh does.

What this module deliberately does not do: it trusts nobody. Which key may speak for which list is decided elsewhere.

Source
------
RFC 8032 (Ed25519); Dead Simple Signing Envelope v1.0, protocol.md, "Signature definition".
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from hashmatch.errors import BadInput

_T = TypeVar("_T")

MAX_KEY_BYTES = 16_384
"""An Ed25519 key in PEM is 119 bytes; comments and other keys' sizes fit well."""

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed for ``payload``."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """Public half of a key."""

    public: Ed25519PublicKey

    @property
    def key_id(self) -> str:
        """64 hex digits that name the key."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def raw(self) -> bytes:
        """The 32 bytes of the key."""
        return self.public.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @classmethod
    def from_raw(cls, raw: bytes) -> VerifyKey:
        """Return the key of 32 bytes. Raises ValueError for any other number of them."""
        return cls(Ed25519PublicKey.from_public_bytes(raw))

    def to_pem(self) -> str:
        """Return the key as it stands in files."""
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifies(self, payload_type: str, payload: bytes, signature: bytes) -> bool:
        """Whether the other half of this key signed the payload."""
        try:
            self.public.verify(signature, pre_authentication_encoding(payload_type, payload))
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Both halves of a key; ``repr`` shows the id only."""

    private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"<SigningKey {self.verify_key.key_id[:16]}>"

    @classmethod
    def generate(cls) -> SigningKey:
        """Make a new key."""
        return cls(Ed25519PrivateKey.generate())

    @property
    def verify_key(self) -> VerifyKey:
        """The half that others need."""
        return VerifyKey(self.private.public_key())

    def to_pem(self) -> str:
        """Return the key as it stands in files, not encrypted."""
        return self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def sign(self, payload_type: str, payload: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self.private.sign(pre_authentication_encoding(payload_type, payload))


def verify_key_from_pem(text: str, where: str) -> VerifyKey:
    """Return a public key from its PEM text; ``where`` is for messages.

    Raises
    ------
    BadInput
        The text is no Ed25519 public key.

    """
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            f"{where} holds no public key in PEM; `hashmatch hashset keygen` writes one beside the signing key",
            field="issuer_key",
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(f"{where} holds a public key of another kind than Ed25519", field="issuer_key")
    return VerifyKey(key)


def load_verify_key(path: Path) -> VerifyKey:
    """Read a public key.

    Raises
    ------
    BadInput
        The file cannot be read or holds no Ed25519 public key.

    """
    return verify_key_from_pem(_read(path, "issuer_key"), str(path))


def load_signing_key(path: Path) -> SigningKey:
    """Read a signing key.

    Raises
    ------
    BadInput
        The file cannot be read, may be read by others, or holds no Ed25519 private key without a passphrase.

    """
    text = _read(path, "sign")
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise BadInput(f"others may read the signing key {path}; `chmod 600 {path}` keeps it to yourself", field="sign")
    try:
        key = load_pem_private_key(text.encode(), password=None)
    except TypeError as error:
        raise BadInput(f"the signing key {path} is encrypted; give one without a passphrase", field="sign") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadInput(
            f"{path} holds no private key in PEM; `hashmatch hashset keygen {path}` makes one", field="sign"
        ) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} holds a private key of another kind than Ed25519", field="sign")
    return SigningKey(key)


def write_secret(path: Path, text: str) -> None:
    """Write a new file that only its owner may read; it is there whole, or not at all.

    Raises
    ------
    BadInput
        There is such a file already, or it cannot be written.

    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(descriptor)
            os.link(unfinished, path)  # which, unlike a rename, never replaces
        finally:
            unfinished.unlink()
    except FileExistsError as error:
        raise BadInput(f"{path} exists already, and a key is never overwritten; give another name", field="file") from (
            error
        )
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}", field="file") from error


def read_secret(path: Path) -> str:
    """Return the text of a file that only its owner may read.

    Raises
    ------
    BadInput
        It cannot be read, is too long for a key, or others may read it.

    """
    text = _read(path, "file")
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise BadInput(f"others may read {path}; `chmod 600 {path}` keeps it to yourself", field="file")
    return text


def _read(path: Path, field: str) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_KEY_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read the key {path}: {error.strerror}", field=field) from error
    if len(data) > MAX_KEY_BYTES:
        raise BadInput(f"{path} has more than {MAX_KEY_BYTES} bytes; that is no key", field=field)
    return data.decode("ascii", "replace")


def kept(path: Path, make: Callable[[Path], None], load: Callable[[Path], _T]) -> _T:
    """Load a file, having made it where there is none. Raises BadInput."""
    if not path.exists():
        with contextlib.suppress(BadInput):  # another process was faster; if not, loading says what is wrong
            make(path)
    return load(path)


def kept_signing_key(path: Path) -> SigningKey:
    """Return the key in a file, having made one where there is none. Raises as :func:`load_signing_key`."""
    return kept(path, lambda new: write_secret(new, SigningKey.generate().to_pem()), load_signing_key)
