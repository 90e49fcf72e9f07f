"""A certificate authority of a test, which gives out good and bad certificates."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """Signs for any name; ``pem`` is its own certificate."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("Test Authority")
        self._serial = 1
        self.certificate = self._signed(self._name, self._key, self._name, self._key, ca=True)
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self._leaves: dict[str, bytes] = {}

    def file(self, directory: str) -> str:
        """Write the certificate of the authority; return where."""
        path = Path(directory, "authority.pem")
        path.write_text(self.pem, encoding="ascii")
        return str(path)

    def context(self, host: str) -> ssl.SSLContext:
        """Return the server's side for a host.

        Its first label may say what is wrong: ``wrong-name``, ``expired``, ``self-signed``.
        """
        if host not in self._contexts:
            self._contexts[host] = self._made(host)
        return self._contexts[host]

    def leaf(self, host: str) -> bytes:
        """Return the certificate that a host was given, DER."""
        return self._leaves[host]

    def _made(self, host: str) -> ssl.SSLContext:
        kind = host.partition(".")[0]
        key = ec.generate_private_key(ec.SECP256R1())
        name = "other.test" if kind == "wrong-name" else host
        issuer, signer = (_name(name), key) if kind == "self-signed" else (self._name, self._key)
        ends = -2 * DAY if kind == "expired" else 30 * DAY
        leaf = self._signed(_name(name), key, issuer, signer, names=(name,), ends=ends)
        self._leaves[host] = leaf.public_bytes(serialization.Encoding.DER)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory, "leaf.pem")
            path.write_bytes(
                key.private_bytes(
                    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
                + leaf.public_bytes(serialization.Encoding.PEM)
            )
            context.load_cert_chain(path)
        return context

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        issuer: x509.Name,
        signer: ec.EllipticCurvePrivateKey,
        *,
        names: tuple[str, ...] = (),
        ends: dt.timedelta = 30 * DAY,
        ca: bool = False,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        self._serial += 1
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(self._serial)
            .not_valid_before(now - 10 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
            )
        return builder.sign(signer, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
