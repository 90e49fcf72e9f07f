"""Mail as an outlet: one message to one recipient over one's own mail server, and never twice by accident.

Theory of operation
-------------------
The address is ``smtp://host:port`` (STARTTLS, without which nothing is sent to another machine; on this machine it is
used where it is offered) or ``smtps://host:port`` (TLS from the first byte). Certificates are verified.

A server that answers has decided: 2yz is delivered, 4yz is tried again (greylisting, a full disk), 5yz is final, at
whatever step (RFC 5321 §4.2.1). A connection that breaks is tried again as long as the dot that ends the message was
not written. After that, only the answer can tell: without one the delivery is unsure, since no mail server can be
asked whether it took a message. That the dot is about to be written is saved before it is; a process that is killed
there leaves a delivery that is unsure too, until a person says that it is to be sent again. ``smtp`` takes the steps,
``mail_message`` makes the message, and this module judges.

Environments: a server on this machine is of the test world, every other one of production. Since even a test server
may pass mail on, a test goes only to names that belong to nobody (RFC 2606, RFC 6761): example.org, .com and .net, and
whatever ends in .example, .test, .invalid or localhost. A production server on the same machine is reached by the name
that its certificate has.

"Delivered" means that the server took responsibility for the message; a bounce comes to the sender's mailbox later.

What this module deliberately does not do: it looks up no MX, signs nothing (the mail server does, with DKIM), reads no
bounces, and sends to one address at a time.

Source
------
RFC 5321 §4.2.1, §4.5.4.1 and §6.1; RFC 8314 §3; RFC 2606; RFC 6761.
"""

from __future__ import annotations

import datetime as dt
import re
import ssl
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from hashmatch import addresses
from hashmatch.errors import BadConfig, BadInput
from hashmatch.model.cases import Environment
from hashmatch.outbox import smtp
from hashmatch.outbox.mail_message import address, domain_of, message
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Refused, Save, Unsure
from hashmatch.sections import OutboxConfig, OutletConfig

SENT: Final = "sent"
"""In the progress of a delivery: the number of the try that came to write the dot."""

RESERVED_TOP: Final = frozenset({"example", "test", "invalid", "localhost"})
RESERVED: Final = frozenset({"example.org", "example.com", "example.net"})
"""Names that belong to nobody (RFC 2606 §2 and §3)."""

_SCHEMES: Final = frozenset({"smtp", "smtps"})
_AUTH_REQUIRED: Final = 530
_QUEUED: Final = (
    re.compile(r"\bqueued as <?([A-Za-z0-9._-]{1,64})", re.IGNORECASE),  # Postfix, aiosmtpd
    re.compile(r"\bid=([A-Za-z0-9._-]{1,64})"),  # Exim
    re.compile(r"\bInternalId=([0-9]{1,32})"),  # Exchange
    re.compile(r"^2\.\d\.\d ([A-Za-z0-9]{6,64}) Message accepted\b"),  # Sendmail
)
"""How servers name what they took."""


class MailOutlet:
    """One mail server with one sender.

    Parameters
    ----------
    name : str
        Of the outlet, for messages.
    outlet : OutletConfig
        ``url``, ``environment``, ``sender``, and ``recipient`` where there is one for all.
    config : OutboxConfig
        ``connect_timeout_s`` bounds connecting, ``timeout_s`` each answer, the last one included. RFC 5321
        §4.5.3.2.6 gives that one ten minutes: raise ``timeout_s`` where a server looks long at what it is given.
    secrets : mapping
        With ``username`` and ``password``, or neither.
    tls : callable, optional
        Makes the context that certificates are verified in; that of the system by default. Called once.
    now : callable, optional
        What the time is, with a zone.

    Raises
    ------
    BadConfig
        The address is none or of the other environment, sender or recipient is no mail address, a test would go to
        somebody, or one secret is there without the other.

    """

    def __init__(
        self,
        name: str,
        outlet: OutletConfig,
        config: OutboxConfig,
        secrets: Mapping[str, str],
        *,
        tls: Callable[[], ssl.SSLContext] = ssl.create_default_context,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        where = f"outbox.outlets.{name}"
        self._setting = f"{where}.credentials"
        self._environment = Environment(outlet.environment)
        self._server = _server(f"{where}.url", outlet, config, tls)
        self._sender = _configured(f"{where}.sender", outlet.sender)
        if outlet.recipient:
            recipient = _configured(f"{where}.recipient", outlet.recipient)
            if wrong := self._somebody(recipient):
                raise BadConfig(f"{where}.recipient: {wrong}", field=f"{where}.recipient")
        if len(secrets) == 1:
            (there,) = secrets
            raise BadConfig(
                f"{self._setting}: {there} alone; both username and password or neither", field=self._setting
            )
        self._login = (secrets["username"], secrets["password"]) if secrets else None
        self._now = now

    def __repr__(self) -> str:
        return f"<MailOutlet {self._environment.value}: {self._server.host}:{self._server.port}>"

    async def close(self) -> None:
        """Nothing is kept open."""

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:
        """Send the message, unless an earlier try may have."""
        if SENT in parcel.progress and parcel.attempt > int(parcel.progress[SENT]):
            return Unsure("an earlier try ended while the message was being sent; ask the recipient, then say retry")
        try:
            made = message(parcel, self._sender, self._now())
        except BadInput as error:
            return Refused(error.message)
        if wrong := self._somebody(parcel.recipient):
            return Refused(wrong)
        noted = bool(parcel.progress)

        async def committing() -> None:
            nonlocal noted
            await save({SENT: str(parcel.attempt)})
            noted = True

        letter = smtp.Letter(self._sender, parcel.recipient, made.as_bytes())
        outcome = self._judged(await smtp.send(self._server, self._login, letter, committing))
        if noted and isinstance(outcome, Again | Refused):
            await save({})  # the server has said, or cannot have, that it has nothing: the next try is free
        return outcome

    def _somebody(self, recipient: str) -> str:
        """Say why a test may not go to an address; nothing where it may."""
        domain = domain_of(recipient)
        labels = domain.split(".")
        if self._environment is not Environment.TEST or labels[-1] in RESERVED_TOP or ".".join(labels[-2:]) in RESERVED:
            return ""
        return f"a test goes to nobody: to example.org or a name that ends in .example, .test or .invalid, not {domain}"

    def _judged(self, ending: smtp.Ending) -> Outcome:
        host = self._server.host
        match ending:
            case smtp.Unfit(step=step, reason=reason):
                hint = f"; see {self._setting}" if step is smtp.Step.LOGIN else ""
                return Refused(f"{host}: {reason}{hint}")
            case smtp.Lost(step=step, reason=reason, sent=False):
                return Again(f"{host}: {step}: {reason}")
            case smtp.Lost(reason=reason):
                return self._unsure(reason)
            case smtp.Reply():
                return self._answered(ending)

    def _answered(self, reply: smtp.Reply) -> Outcome:
        told = f"{self._server.host}: {reply.step}: {reply.code} {reply.words}".rstrip()
        last = reply.step is smtp.Step.ANSWER
        match reply.code // 100:
            case 2 if last:
                return Delivered(_queue_id(reply.words), f"{self._server.host}: {reply.code} {reply.words}".rstrip())
            case 4:
                return Again(told)
            case 5 if reply.step is smtp.Step.LOGIN:
                return Refused(f"{told}; {self._setting} were refused")
            case 5 if reply.code == _AUTH_REQUIRED:
                return Refused(f"{told}; set {self._setting}")
            case 5:
                return Refused(told)
        return self._unsure(f"it answered {reply.code}") if last else Again(told)

    def _unsure(self, reason: str) -> Unsure:
        return Unsure(
            f"{self._server.host}: the message was sent whole, and then: {reason}; whether it was taken cannot be "
            "asked: ask the recipient, then say confirm or retry"
        )


def _server(where: str, outlet: OutletConfig, config: OutboxConfig, tls: Callable[[], ssl.SSLContext]) -> smtp.Server:
    """Return the server that a configuration names; raises BadConfig."""
    try:
        parts = urlsplit(outlet.url)
        host, port = addresses.host_of(parts), parts.port
    except ValueError as error:
        raise BadConfig(f"{where}: {outlet.url!r} is no address: {error}", field=where) from error
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        raise BadConfig(f"{where}: an address of mail is smtp://host:port or smtps://host:port, no more", field=where)
    if parts.scheme not in _SCHEMES or not host or not port:
        raise BadConfig(
            f"{where}: {outlet.url!r} is no address: expected smtp://host:port or smtps://host:port", field=where
        )
    addresses.check_environment(where, parts, outlet.environment, {})
    here = addresses.is_this_machine(host)
    if not here and outlet.environment == addresses.TEST:
        raise BadConfig(
            f"{where}: a test server of mail is on this machine, and {host} is not; nothing was asked of it",
            field=where,
        )
    smart = smtp.Encryption.OFFERED if here else smtp.Encryption.REQUIRED
    encryption = smtp.Encryption.IMPLICIT if parts.scheme == "smtps" else smart
    return smtp.Server(host, port, encryption, config.connect_timeout_s, config.timeout_s, tls())


def _configured(where: str, text: str) -> str:
    """Return a mail address of the configuration; raises BadConfig."""
    try:
        return address(text, where)
    except BadInput as error:
        raise BadConfig(error.message, field=where) from error


def _queue_id(words: str) -> str:
    """Return the server's number of the message, if it gave one that is understood."""
    found = (pattern.search(words) for pattern in _QUEUED)
    return next((match[1].rstrip(".") for match in found if match is not None), "")
