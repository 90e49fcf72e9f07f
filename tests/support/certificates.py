"""Certificates for tests, made where they are needed; valid for a day around now."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """A root, and what it certifies."""

    def __init__(self, name: str = "root") -> None:
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._root = self._signed(self._name, self._key, (), is_ca=True, shift=dt.timedelta())

    @property
    def pem(self) -> bytes:
        """The root."""
        return self._root.public_bytes(Encoding.PEM)

    def issue(self, *names: x509.GeneralName, shift: dt.timedelta = dt.timedelta()) -> tuple[bytes, bytes]:
        """Return certificate and key in PEM; ``shift`` moves the time in which it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        leaf = self._signed(subject, key, names, is_ca=False, shift=shift)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return leaf.public_bytes(Encoding.PEM), pem

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        names: tuple[x509.GeneralName, ...],
        *,
        is_ca: bool,
        shift: dt.timedelta,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC) + shift
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - DAY)
            .not_valid_after(now + DAY)
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def server_names() -> tuple[x509.GeneralName, ...]:
    """Return what a service on loopback is called."""
    return (x509.DNSName("localhost"),)


def write(path: Path, content: bytes) -> str:
    """Replace a file that its owner alone may read, and return its name."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(0o600)
    fresh.replace(path)
    return str(path)
