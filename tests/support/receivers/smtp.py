"""A mail server: keeps what it took, over TLS or not, with AUTH or not, and misbehaves as planned.

Theory of operation
-------------------
aiosmtpd on a free loopback port, in the loop of the test. ``plan(step, what)`` plans one fault: ``what`` is an answer
such as ``450 4.7.1 Greylisted``, or one of

======  ==============================================================================================================
drop    the connection is cut instead of an answer; at ``message`` after 354 and before anything is read, at ``answer``
        once the message was taken
held    nothing is answered until the server is closed
slow    the same, and ``LATE_S`` pass at once on the clock of the loop, which is less than what aiosmtpd waits for
======  ==============================================================================================================

Certificates are made anew: an authority that clients may trust, and a server's that it signed.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import warnings
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.support.clock import LATE_S, leap, rounds

USERNAME, PASSWORD = "reporter", "made-up-pässword"
QUEUED: Final = "250 2.0.0 Ok: queued as 4Zz1Yx2Wv3"


@dataclass(frozen=True, slots=True)
class Taken:
    """One message that was taken."""

    sender: str
    recipients: tuple[str, ...]
    options: tuple[str, ...]
    content: bytes
    tls: bool
    user: str


@dataclass(frozen=True, slots=True)
class Authority:
    """Who signed a server's certificate: the context of a server that has it, and its own as PEM."""

    server: ssl.SSLContext
    pem: str

    def trusted(self) -> ssl.SSLContext:
        """Return a client's context that trusts this authority and no other."""
        return ssl.create_default_context(cadata=self.pem)


class MailServer:
    """Use as an async context manager; ``port`` is where it listens."""

    def __init__(
        self, *, starttls: Authority | None = None, implicit: Authority | None = None, auth: tuple[str, ...] = (),
        utf8: bool = True,
    ) -> None:  # fmt: skip
        self.port = 0
        self.taken: list[Taken] = []
        self.commands: list[str] = []
        self.faults: deque[tuple[str, str]] = deque()
        self.released = asyncio.Event()
        self._starttls, self._implicit, self._auth, self._utf8 = starttls, implicit, auth, utf8
        self._server: asyncio.Server | None = None
        self._connections: list[Faulty] = []

    def __repr__(self) -> str:
        return f"<MailServer {self.port}: {len(self.taken)} messages, faults {list(self.faults)}>"

    @property
    def url(self) -> str:
        """Its address as an outlet has it."""
        return f"smtp{'s' if self._implicit else ''}://127.0.0.1:{self.port}"

    def plan(self, step: str, what: str) -> None:
        """Plan a fault."""
        self.faults.append((step, what))

    def fault(self, step: str) -> str:
        """Return what is planned for a step, once."""
        if self.faults and self.faults[0][0] == step:
            return self.faults.popleft()[1]
        return ""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        context = self._implicit.server if self._implicit else None
        self._server = await loop.create_server(self._connection, "127.0.0.1", 0, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.released.set()
        assert self._server is not None
        self._server.close()
        self.cut()
        await rounds(20)  # whoever serves a connection that was cut is told, and ends

    def cut(self) -> None:
        """Cut every connection."""
        for connection in self._connections:
            connection.cut()

    def _connection(self) -> Faulty:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # AUTH without TLS, which is what some tests are about
            made = Faulty(
                self, hostname="mail.example.org", loop=asyncio.get_running_loop(), enable_SMTPUTF8=self._utf8,
                tls_context=self._starttls.server if self._starttls else None, authenticator=_authenticate,
                auth_required=bool(self._auth), auth_require_tls=False, data_size_limit=1 << 28,
                auth_exclude_mechanism={"PLAIN", "LOGIN"}.difference(self._auth),
            )  # fmt: skip
        self._connections.append(made)
        return made

    async def handle_DATA(self, server: Faulty, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a message; aiosmtpd calls this once the dot came."""
        content = envelope.original_content
        assert content is not None
        user = session.auth_data.login.decode() if isinstance(session.auth_data, LoginPassword) else ""
        tls = session.ssl is not None or self._implicit is not None
        taken = Taken(
            envelope.mail_from or "", tuple(envelope.rcpt_tos), tuple(envelope.mail_options), content, tls, user
        )
        what = self.fault("answer")
        if what[:1] not in {"4", "5"}:
            self.taken.append(taken)
        return await server.misbehave(what) or QUEUED


class Faulty(SMTP):
    """One connection."""

    def __init__(self, handler: MailServer, **given: Any) -> None:
        super().__init__(handler, **given)
        self._plans = handler

    def cut(self) -> None:
        """Cut the connection, if there still is one."""
        if isinstance(self.transport, asyncio.WriteTransport):
            self.transport.abort()

    async def misbehave(self, what: str) -> str:
        """Do what is planned; return an answer where one is planned."""
        if what == "drop":
            self.cut()
            return ""
        if what in {"held", "slow"}:
            if what == "slow":
                await rounds(100)  # the client, which is not yet told that it is connected, has to begin to wait
                leap(LATE_S)
            await self._plans.released.wait()
            return ""
        return what

    async def _instead(self, step: str, go_on: Callable[[Any], Any], arg: Any) -> None:
        self._plans.commands.append(step)
        what = self._plans.fault(step)
        if not what:
            await go_on(arg)
        elif answer := await self.misbehave(what):
            await self.push(answer)

    async def _handle_client(self) -> None:
        self._plans.commands.append("connect")
        what = self._plans.fault("connect")
        if not what:
            await super()._handle_client()
            return
        if answer := await self.misbehave(what):
            await self.push(answer)
        assert self.transport is not None
        self.transport.close()

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        """Greet, unless something else is planned."""
        await self._instead("EHLO", super().smtp_EHLO, hostname)

    async def smtp_AUTH(self, arg: str) -> None:  # noqa: N802
        """Log in, unless something else is planned."""
        await self._instead("AUTH", super().smtp_AUTH, arg)

    async def smtp_QUIT(self, arg: str) -> None:  # noqa: N802
        """Say goodbye, unless something else is planned."""
        await self._instead("QUIT", super().smtp_QUIT, arg)

    async def smtp_MAIL(self, arg: str | None) -> None:  # noqa: N802
        """Take the sender, unless something else is planned."""
        await self._instead("MAIL", super().smtp_MAIL, arg)

    async def smtp_RCPT(self, arg: str | None) -> None:  # noqa: N802
        """Take the recipient, unless something else is planned."""
        await self._instead("RCPT", super().smtp_RCPT, arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Take the message, or hang up once it is asked for, unless something else is planned."""
        if self._plans.fault("message"):
            self._plans.commands.append("DATA")
            await self.push("354 go on")
            assert self.transport is not None
            self.transport.close()
            return
        await self._instead("DATA", super().smtp_DATA, arg)


def _authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    del server, session, envelope, mechanism
    good = isinstance(data, LoginPassword) and data == LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=good, handled=False, auth_data=data)


def authority(folder: Path, name: str = "127.0.0.1", *, expired: bool = False) -> Authority:
    """Make an authority and a certificate for an address of this machine."""
    now = dt.datetime.now(dt.UTC)
    signer, holder = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made-up authority")])
    root = _certificate((issuer, issuer), signer, now + dt.timedelta(days=1), signer, x509.BasicConstraints(True, None))  # noqa: FBT003
    alternative: x509.GeneralName
    alternative = x509.IPAddress(ipaddress.ip_address(name)) if name[0].isdigit() else x509.DNSName(name)
    ends = now - dt.timedelta(hours=1) if expired else now + dt.timedelta(days=1)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made-up server")])
    leaf = _certificate((subject, issuer), holder, ends, signer, x509.SubjectAlternativeName([alternative]))
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(leaf.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        holder.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return Authority(context, root.public_bytes(serialization.Encoding.PEM).decode())


def _certificate(
    names: tuple[x509.Name, x509.Name], key: ec.EllipticCurvePrivateKey, ends: dt.datetime,
    signer: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType,
) -> x509.Certificate:  # fmt: skip
    subject, issuer = names
    is_root = isinstance(extension, x509.BasicConstraints)
    usage = x509.KeyUsage(
        digital_signature=not is_root, key_cert_sign=is_root, crl_sign=is_root, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(ends - dt.timedelta(days=2))
        .not_valid_after(ends)
        .add_extension(extension, critical=is_root)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if not is_root:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    return builder.sign(signer, hashes.SHA256())
