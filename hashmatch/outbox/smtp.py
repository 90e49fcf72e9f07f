"""The one wall around SMTP: one message in, and what became of it, step by step.

Theory of operation
-------------------
``aiosmtplib`` speaks the protocol; its ``send_message`` does not say how far it came, so the steps are taken here one
after another, and the message is sent in two pieces: everything, and then the line with the dot that ends it. Until
that dot is written a receiver has nothing (RFC 5321 §4.1.1.4), and the connection may break without doubt; from then
on only its answer tells. Between the two pieces the caller is asked to write down that it comes to that.

==========  ==========================================================================================================
connect     the greeting, over TLS from the first byte where the server is so configured
EHLO        again after TLS, as RFC 3207 §4.2 has it
STARTTLS    where it is offered; where it must be and is not, nothing more is said
AUTH        PLAIN, else LOGIN, once; not CRAM-MD5, for which a server has to keep passwords as they are
MAIL, RCPT  one sender, one recipient
DATA        until the server says 354
message     without its dot
answer      to the dot
==========  ==========================================================================================================

The certificate is verified against the name of the server. What a server says is data: it is cut off and made printable
before it goes anywhere.

What this module deliberately does not do: it tries nothing twice, keeps no connection, and judges no answer.

Source
------
RFC 5321, RFC 3207, RFC 4954, RFC 6531, RFC 8314.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from aiosmtplib import SMTP, SMTPException, SMTPResponseException, SMTPServerDisconnected

MAX_WORDS_CHARS: Final = 200
"""Of what a server says; an answer has 512 octets (RFC 5321 §4.5.3.1.5), the reason in the front."""

_GO_AHEAD: Final = 354
_DRAIN_S: Final = 0.01
_LEADING_DOT: Final = re.compile(rb"(?m)^\.")


class Step(enum.StrEnum):
    """How far it came."""

    CONNECT = "connect"
    GREETING = "EHLO"
    TLS = "STARTTLS"
    LOGIN = "AUTH"
    SENDER = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"
    MESSAGE = "message"
    ANSWER = "answer"


class Encryption(enum.Enum):
    """When TLS begins."""

    OFFERED = enum.auto()
    """With STARTTLS, where the server offers it."""
    REQUIRED = enum.auto()
    """With STARTTLS, or nothing is sent."""
    IMPLICIT = enum.auto()
    """With the connection."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to, and how long to wait: for a connection, and for each answer."""

    host: str
    port: int
    encryption: Encryption
    connect_timeout_s: float
    timeout_s: float
    tls: ssl.SSLContext


@dataclass(frozen=True, slots=True)
class Letter:
    """An envelope and what is in it: lines that end in CRLF."""

    sender: str
    recipient: str
    content: bytes

    @property
    def needs_utf8(self) -> bool:
        """Whether an address goes beyond ASCII."""
        return not (self.sender + self.recipient).isascii()


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer that ended it, at a step: good only at the last one."""

    step: Step
    code: int
    words: str


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no answer to be had. ``sent``: the dot was written, and the receiver may have the message."""

    step: Step
    reason: str
    sent: bool


@dataclass(frozen=True, slots=True)
class Unfit:
    """The server cannot do what it must: TLS that verifies, a way to log in, addresses beyond ASCII."""

    step: Step
    reason: str


Ending: TypeAlias = Reply | Lost | Unfit


async def send(
    server: Server, login: tuple[str, str] | None, letter: Letter, committing: Callable[[], Awaitable[None]]
) -> Ending:
    """Send one message.

    Parameters
    ----------
    server : Server
        To whom.
    login : tuple of str, optional
        Username and password.
    letter : Letter
        What.
    committing : callable
        Awaited before the dot is written; where it raises, the dot is not, and the error goes on to the caller.

    """
    dialogue = _Dialogue(server, login, letter)
    try:
        ending = await _ended(dialogue, committing)
        if not isinstance(ending, Lost):
            await dialogue.leave()
    finally:
        dialogue.client.close()
    return ending


async def _ended(dialogue: _Dialogue, committing: Callable[[], Awaitable[None]]) -> Ending:
    """Go through the dialogue, and turn whatever it raises into how it ended."""
    try:
        return await dialogue.begin() or await dialogue.transfer(committing)
    except SMTPResponseException as error:
        if error.code < 0:
            return dialogue.lost("says what is not SMTP")
        return Reply(dialogue.step, error.code, printable(error.message))
    except (SMTPException, OSError) as error:
        return _broken(dialogue, error)


def _broken(dialogue: _Dialogue, error: SMTPException | OSError) -> Lost | Unfit:
    """Return what broke: TLS at its beginning stays broken, everything else may pass."""
    tls = error if isinstance(error, ssl.SSLError) else error.__cause__
    if dialogue.step in {Step.CONNECT, Step.TLS} and isinstance(tls, ssl.SSLError):
        return Unfit(dialogue.step, _tls_reason(tls))
    if isinstance(error, TimeoutError):
        return dialogue.lost("no answer in time")
    return dialogue.lost("no connection" if dialogue.step is Step.CONNECT else "the connection broke")


class _Dialogue:
    """One connection, and how far it came."""

    def __init__(self, server: Server, login: tuple[str, str] | None, letter: Letter) -> None:
        self._server = server
        self._login = login
        self._letter = letter
        self.step = Step.CONNECT
        self.sent = False
        self.client = SMTP(
            hostname=server.host,
            port=server.port,
            timeout=server.timeout_s,
            use_tls=server.encryption is Encryption.IMPLICIT,
            start_tls=False,
            # What is said in EHLO: the name of the sender's domain, and not that of a machine of ours.
            local_hostname=letter.sender.rpartition("@")[2],
            tls_context=server.tls,
        )

    def lost(self, reason: str) -> Lost:
        """Return that it broke off here."""
        return Lost(self.step, reason, self.sent)

    async def begin(self) -> Unfit | None:
        """Connect, encrypt and log in; return what the server cannot do."""
        client = self.client
        await client.connect(timeout=self._server.connect_timeout_s)
        await self._greet()
        if self._server.encryption is not Encryption.IMPLICIT:
            self.step = Step.TLS
            if client.supports_extension("starttls"):
                await client.starttls()
                await self._greet()
            elif self._server.encryption is Encryption.REQUIRED:
                return Unfit(Step.TLS, "offers no STARTTLS, and a report is sent to no other machine without TLS")
        if self._letter.needs_utf8 and not client.supports_extension("smtputf8"):
            return Unfit(Step.GREETING, "does not take addresses beyond ASCII (SMTPUTF8)")
        if self._login is not None:
            self.step = Step.LOGIN
            if "plain" in client.server_auth_methods:
                await client.auth_plain(*self._login)
            elif "login" in client.server_auth_methods:
                await client.auth_login(*self._login)
            else:
                return Unfit(Step.LOGIN, "offers neither AUTH PLAIN nor AUTH LOGIN, and there are credentials")
        return None

    async def transfer(self, committing: Callable[[], Awaitable[None]]) -> Reply:
        """Give the envelope and the message; return the answer that ends it."""
        client, letter = self.client, self._letter
        options = [f"SIZE={len(letter.content)}"] if client.supports_extension("size") else []
        if letter.needs_utf8:
            options += ["BODY=8BITMIME", "SMTPUTF8"]
        self.step = Step.SENDER
        await client.mail(letter.sender, options=options, encoding="utf-8")
        self.step = Step.RECIPIENT
        await client.rcpt(letter.recipient, encoding="utf-8")
        self.step = Step.DATA
        answer = await client.execute_command(b"DATA")
        if answer.code != _GO_AHEAD:
            return Reply(Step.DATA, answer.code, printable(answer.message))
        self.step = Step.MESSAGE
        protocol = client.protocol
        if protocol is None:
            raise SMTPServerDisconnected("Connection lost")
        protocol.write(_LEADING_DOT.sub(b"..", letter.content))
        async with asyncio.timeout(self._server.timeout_s):
            while _unwritten_bytes(protocol.transport):  # noqa: ASYNC110 - bytes leave, and no event tells
                await asyncio.sleep(_DRAIN_S)
        if not protocol.is_connected:
            raise SMTPServerDisconnected("Connection lost")
        await committing()
        protocol.write(b".\r\n")
        self.step, self.sent = Step.ANSWER, True
        answer = await protocol.read_response(self._server.timeout_s)
        return Reply(Step.ANSWER, answer.code, printable(answer.message))

    async def leave(self) -> None:
        """Say goodbye where somebody listens; how that ends changes nothing of what was answered."""
        if self.client.is_connected:
            with contextlib.suppress(SMTPException, OSError):
                await self.client.quit(timeout=self._server.connect_timeout_s)

    async def _greet(self) -> None:
        self.step = Step.GREETING
        await self.client.ehlo()


def printable(untrusted_words: str) -> str:
    """Return what a server said as one printable line of at most :data:`MAX_WORDS_CHARS` characters."""
    bounded = untrusted_words[: 4 * MAX_WORDS_CHARS]
    line = " ".join("".join(c if c.isprintable() else " " for c in bounded).split())
    return line if len(line) <= MAX_WORDS_CHARS else line[: MAX_WORDS_CHARS - 1] + "…"


def _unwritten_bytes(transport: asyncio.BaseTransport | None) -> int:
    """Return how much of the message has not gone yet; nothing where the connection is gone itself."""
    return transport.get_write_buffer_size() if isinstance(transport, asyncio.WriteTransport) else 0


def _tls_reason(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate does not verify: {printable(str(error.verify_message))}"
    return f"TLS failed ({printable(str(error.reason))})"
