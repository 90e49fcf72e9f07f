"""The service's certificate, read again before a handshake when its files have changed.

Theory of operation
-------------------
gRPC asks for the certificate before every handshake, in a thread of its own. :class:`Certificates` then looks at the
stamps of its files; when those have changed it reads them and checks that they belong together: the key is that of the
certificate, the certificate is valid now, the roots are certificates. Files that do not pass leave everything as it is,
and the log says why, once per change: whoever replaces two files one after the other is not cut off in between.
Connections that are open keep what they were made with until ``server.connection_age_s``.

The oldest version is TLS 1.2, gRPC's own default (RFC 9325, §3.1.1), which tests/integration/test_service_tls.py pins.

What this module deliberately does not do: it decides nothing about a caller, and it never logs what a file holds.
"""

from __future__ import annotations

import datetime as dt
import logging
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import grpc
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from hashmatch.config import TlsConfig
from hashmatch.errors import BadConfig
from hashmatch.service.changes import Stamp, stamp

MAX_BYTES: Final = 4 << 20
"""Of one file; a bundle of all public roots has a quarter of a megabyte."""

_log = logging.getLogger("hashmatch.service")


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Certificates:
    """What the service shows of itself and which roots it trusts. Used by gRPC's threads."""

    def __init__(self, config: TlsConfig, *, now: Callable[[], dt.datetime] = _now) -> None:
        self._config = config
        self._now = now
        self._paths = [Path(name) for name in (config.certificate, config.key, config.client_ca) if name]
        self._lock = threading.Lock()
        self._seen: Stamp = ()

    def __repr__(self) -> str:
        asked = "asks callers for theirs" if self._config.client_ca else "asks callers for none"
        return f"<Certificates: {self._config.certificate}, {asked}>"

    def credentials(self) -> grpc.ServerCredentials:
        """Return what a server listens with.

        Raises
        ------
        BadConfig
            A file cannot be read, or they do not belong together.

        """
        self._seen = stamp(self._paths)
        changed: Any = self._changed  # gRPC's stubs do not know that None means no change
        return grpc.dynamic_ssl_server_credentials(
            self._read(), changed, require_client_authentication=bool(self._config.client_ca)
        )

    def _changed(self) -> grpc.ServerCertificateConfiguration | None:
        """Return what to go on with, None for what there is: gRPC asks before every handshake."""
        now = stamp(self._paths)
        with self._lock:
            if now == self._seen:
                return None
            self._seen = now
        try:
            fresh = self._read()
        except BadConfig as error:
            _log.error("the changed certificate cannot be used, and the one before still is: %s", error.message)
            return None
        _log.info("the certificate was read again")
        return fresh

    def _read(self) -> grpc.ServerCertificateConfiguration:
        chain, key = _bytes(self._config.certificate, "certificate"), _bytes(self._config.key, "key")
        _check_rights(self._config.key)
        _check_pair(chain, key, self._now())
        roots = None
        if self._config.client_ca:
            roots = _bytes(self._config.client_ca, "client_ca")
            _certificates(roots, "client_ca")
        return grpc.ssl_server_certificate_configuration([(key, chain)], root_certificates=roots)


def _bytes(name: str, setting: str) -> bytes:
    try:
        with Path(name).open("rb") as stream:
            found = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _bad(setting, f"cannot read {name}: {error.strerror}") from error
    if len(found) > MAX_BYTES:
        raise _bad(setting, f"{name} has more than {MAX_BYTES} bytes")
    return found


def _check_rights(name: str) -> None:
    mode = stat.S_IMODE(Path(name).stat().st_mode)
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise _bad("key", f"everybody may read {name} (mode {mode:04o}); chmod 600 it, or 640 for a group")


def _check_pair(chain: bytes, key: bytes, now: dt.datetime) -> None:
    """Refuse a key that is not that of the certificate, and a certificate that is not valid now."""
    certificate = _certificates(chain, "certificate")[0]
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _bad("key", "holds no private key in PEM without a passphrase") from error
    raw = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    if private.public_key().public_bytes(*raw) != certificate.public_key().public_bytes(*raw):
        raise _bad("key", "is not the key of the certificate")
    begin, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if not begin <= now <= end:
        raise _bad("certificate", f"is valid from {begin.isoformat()} to {end.isoformat()}, and not now")


def _certificates(pem: bytes, setting: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(pem)
    except ValueError as error:
        raise _bad(setting, "holds no certificate in PEM") from error


def _bad(setting: str, what: str) -> BadConfig:
    return BadConfig(f"server.tls.{setting}: {what}", field=f"server.tls.{setting}")
