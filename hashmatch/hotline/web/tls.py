"""TLS: whom to trust, and what a connection showed.

Theory of operation
-------------------
Certificates of authorities are read into memory once, before the process loses its files: OpenSSL would look for some
of them only when it needs them. What a connection showed is recorded from the certificates as they were sent, whether
they verify or not.

What this module deliberately does not do: it fetches no missing intermediate certificate and asks nobody about
revocation, as both would be requests to hosts that nobody reported.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import ssl
from pathlib import Path

from cryptography import x509

from hashmatch.errors import BadConfig
from hashmatch.model.hotline import TlsSeen

_HOSTNAME_MISMATCH, _IP_MISMATCH = 62, 64  # X509_V_ERR_*; OpenSSL's own words would quote the host
_DER = 2  # of _ssl's ENCODING_DER
_LONGEST_NAME = 1_000
_MOST_CERTIFICATES = 20


def roots(path: str = "") -> str:
    """Certificates of the authorities that are trusted, as PEM.

    Parameters
    ----------
    path : str, optional
        ``hotline.ca_bundle``; empty: the system's, or those of certifi where the system has none.

    Raises
    ------
    BadConfig
        They cannot be read.

    """
    where = path or ssl.get_default_verify_paths().cafile or _certifi()
    try:
        return Path(where).read_text(encoding="ascii", errors="replace")
    except OSError as error:
        raise BadConfig(
            f"cannot read the certificates of {where}: {error.strerror}", field="hotline.ca_bundle"
        ) from error


def _certifi() -> str:
    import certifi

    return certifi.where()


def verifying(pem: str) -> ssl.SSLContext:
    """Return a context that takes only certificates of these authorities, for the host that is asked for.

    Raises
    ------
    BadConfig
        There is no certificate among the text.

    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=pem)
    except ssl.SSLError as error:
        raise BadConfig("hotline.ca_bundle holds no certificates", field="hotline.ca_bundle") from error
    context.set_alpn_protocols(["http/1.1"])
    return context


def looking() -> ssl.SSLContext:
    """Return a context that takes any certificate, to see which one it is."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def problem(error: ssl.SSLCertVerificationError) -> str:
    """Say why a certificate does not verify."""
    if error.verify_code in {_HOSTNAME_MISMATCH, _IP_MISMATCH}:
        return "it is of another name"
    return str(error.verify_message)[:200]


def seen(connection: ssl.SSLObject, why: str = "") -> TlsSeen:
    """Return what a connection showed; ``why`` is its problem."""
    chain = _chain(connection)[:_MOST_CERTIFICATES]
    issuer, subject, not_after = _leaf(chain[0]) if chain else ("", "", None)
    cipher = connection.cipher()
    return TlsSeen(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        issuer=issuer,
        subject=subject,
        not_after=not_after,
        chain_sha256=tuple(hashlib.sha256(certificate).hexdigest() for certificate in chain),
        problem=why,
    )


def _chain(connection: ssl.SSLObject) -> list[bytes]:
    """Return the certificates as they were sent, DER; Python 3.13 made public what 3.10 had."""
    if hasattr(connection, "get_unverified_chain"):
        return list(connection.get_unverified_chain())
    inner = getattr(connection, "_sslobj")  # noqa: B009 - private in Python 3.11 and 3.12
    return [certificate.public_bytes(_DER) for certificate in inner.get_unverified_chain() or ()]


def _leaf(untrusted_der: bytes) -> tuple[str, str, dt.datetime | None]:
    try:
        certificate = x509.load_der_x509_certificate(untrusted_der)
        return (
            certificate.issuer.rfc4514_string()[:_LONGEST_NAME],
            certificate.subject.rfc4514_string()[:_LONGEST_NAME],
            certificate.not_valid_after_utc,
        )
    except (ValueError, TypeError, x509.InvalidVersion):
        return "", "", None
