"""Documents to whoever takes a signed webhook: a case system, a moderation platform, the caller's own store.

Theory of operation
-------------------
The body of the document is posted as it is to the outlet's address, with its media type and the four headers of
``hashmatch.webhooks``. The signature is made anew at each try, the key of the delivery stays: a receiver that has it
already answers 409 or any 2xx, so asking again doubles nothing, and whatever the network does is tried again.

A redirect is refused: it would take the report to where nobody configured it to go. So is what the receiver says it
does not want; 408, 425, 429 and 5xx are tried again, when the receiver asks for it.

What this module deliberately does not do: it sends no parts. A document that has some is refused, since a receiver
would take the body for the whole; only those that say the body again, for mail, are left out.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import SplitResult

from hashmatch import webhooks
from hashmatch.errors import BadConfig
from hashmatch.model.cases import MAIL_PARTS
from hashmatch.outbox.parcels import Again, Delivered, Outcome, Parcel, Refused, Save
from hashmatch.outbox.wire import Lost, Reply, Wire
from hashmatch.sections import OutboxConfig

_CONFLICT: Final = 409
_LATER: Final = frozenset({408, 425, 429})
"""Statuses below 500 that speak of the moment and not of the report (RFC 9110 §15.5.9, RFC 8470, RFC 6585 §4)."""

EXTERNAL_ID: Final = "Hashmatch-Id"
"""Header of an answer in which a receiver may give its own number."""

MAX_EXTERNAL_ID_CHARS: Final = 200


class WebhookOutlet:
    """One receiver of webhooks.

    Parameters
    ----------
    name : str
        Of the outlet, for messages.
    base : SplitResult
        Its address, judged (``hashmatch.addresses``): https, or this machine.
    secrets : mapping
        With ``secret``, what is signed with.
    config : OutboxConfig
        Bounds of time and size.
    clock : callable, optional
        What the time is, with a zone.

    Raises
    ------
    BadConfig
        The secret is shorter than 32 bytes.

    """

    def __init__(
        self,
        name: str,
        base: SplitResult,
        secrets: Mapping[str, str],
        config: OutboxConfig,
        *,
        clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
    ) -> None:
        self._secret = secrets["secret"].encode()
        if len(self._secret) < webhooks.MIN_SECRET_BYTES:
            field = f"outbox.outlets.{name}.credentials"
            raise BadConfig(
                f"{field}: the secret has {len(self._secret)} bytes; at least {webhooks.MIN_SECRET_BYTES} make it one",
                field=field,
            )
        self._wire = Wire(base, config, {})
        self._clock = clock

    def __repr__(self) -> str:
        return f"<WebhookOutlet {self._wire!r}>"

    async def deliver(self, parcel: Parcel, save: Save) -> Outcome:  # noqa: ARG002 - one step, nothing to save
        """Post the document."""
        document = parcel.document
        if further := [name for name, _ in document.parts if name not in MAIL_PARTS]:
            names = ", ".join(further)
            return Refused(f"a webhook has one body; {document.format} has the parts {names} too: use a folder")
        signed = webhooks.sign(self._secret, document.body, self._clock(), parcel.key, parcel.environment.value)
        headers = {"Content-Type": document.media_type, **signed}
        answer = await self._wire.ask("POST", "", body=document.body, headers=headers)
        if isinstance(answer, Lost):
            # The status is the answer, whatever happened to the body behind it.
            return self._judged(Reply(answer.status, {}, b"")) if answer.status else answer.again()
        return self._judged(answer)

    async def close(self) -> None:
        """Let go of connections."""
        await self._wire.close()

    def _judged(self, reply: Reply) -> Outcome:
        status, host = reply.status, self._wire.host
        if 200 <= status < 300:  # noqa: PLR2004
            return Delivered(_external_id(reply.headers), f"{host}: HTTP {status}")
        if status == _CONFLICT:
            return Delivered(_external_id(reply.headers), f"{host} had it already")
        if status in _LATER or status >= 500:  # noqa: PLR2004
            return Again(f"{host}: HTTP {status}", reply.retry_after_s)
        if 300 <= status < 400:  # noqa: PLR2004
            return Refused(
                f"{host} redirects (HTTP {status}), which is not followed; set the outlet's url to the target"
            )
        return Refused(f"{host} does not take it: HTTP {status}")


def _external_id(headers: Mapping[str, str]) -> str:
    """Return the receiver's number, if it gave one that can be shown."""
    untrusted = headers.get(EXTERNAL_ID, "").strip()
    return untrusted if len(untrusted) <= MAX_EXTERNAL_ID_CHARS and untrusted.isprintable() else ""
