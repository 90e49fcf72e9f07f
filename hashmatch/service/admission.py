"""Who may make a call, and how much of it: asked of every call before its body is read.

Theory of operation
-------------------
:class:`Admission` is a server interceptor inside the guard, so what it refuses is mapped and logged as any other error.
For every call it finds out who calls, holds the method's roles against the caller's (``identity.roles.METHODS``), takes
one call from the caller's quota, and serves the call under that name (``identity.caller``).

Who calls is said by the key in the metadata, or else by the URI and DNS names of the certificate that TLS verified.
Metadata are there from the start, so a caller with a key, or where nobody is asked, is admitted first and the method
served as it is. Certificates are known only when the call is under way. Then, and for whoever is refused, the method is
served to gRPC as one that takes a stream: gRPC reads nothing of a body until it is asked for, and nobody asks before
the caller is admitted. (Streams cost gRPC's Python a tenth of a millisecond more than single messages do.)

Where there is more to do than time for it, a call for which there is no room is refused next, before anything of it is
read: to receive an image costs as much as to refuse it often. Whoever answers says so itself (:attr:`Admission.rooms`).

Bytes are charged as messages arrive, by their length before parsing. In a stream every message after the first waits
for its turn rather than being refused, for :data:`MAX_PATIENCE_S` at most: the sender is slowed down to its rate.

Methods without roles (health) are open to all, unmetered and served as nobody.

What this module deliberately does not do: it decides nothing itself, and neither a key nor a certificate is logged.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime as dt
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import grpc
import grpc.aio

from hashmatch.config import QuotaConfig
from hashmatch.errors import BadInput, HashmatchError, PermissionDenied, QuotaExceeded, Unauthenticated
from hashmatch.identity import ANONYMOUS, LOCAL, METHODS, Caller
from hashmatch.identity.accounts import Directory
from hashmatch.identity.callers import serve_as
from hashmatch.identity.quota import Meter
from hashmatch.identity.roles import PER_MESSAGE
from hashmatch.identity.tokens import HEADER, from_header
from hashmatch.service.keyring import Keyring
from hashmatch.service.seating import ONLY, Seat, divided

MAX_PATIENCE_S: Final = 10.0
"""How long a message of a stream waits for the quota; less than ``server.import_idle_s`` and any client's timeout."""

_NAMES: Final = ("peer_uri", "peer_dns")
"""What gRPC calls the URI and DNS names of a verified certificate."""


@dataclass(frozen=True, slots=True)
class _Sized:
    """A message with its length on the wire."""

    message: Any
    size: int


@dataclass(frozen=True, slots=True)
class _Admitted:
    """Who calls, and what meters it; nothing where callers are not told apart."""

    who: Caller
    meter: Meter | None


class Admission(grpc.aio.ServerInterceptor):
    """Admits calls or refuses them; see the module's theory of operation. Used on one event loop."""

    def __init__(
        self,
        keyring: Keyring,
        quota: QuotaConfig,
        seat: Seat = ONLY,
        *,
        clock: Callable[[], int] = time.monotonic_ns,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._keyring = keyring
        self._quota = quota
        self._seat = seat
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._meters: dict[str, Meter] = {}
        self._metered: Directory | None = None
        self.rooms: Mapping[str, Callable[[], None]] = {}
        """What says, by method, that there is no room for a further call: it raises Overloaded."""

    def __repr__(self) -> str:
        return f"<Admission: {self._keyring!r}, {len(self._meters)} meters>"

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the method's handler behind the admission, None where there is no such method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        keys = [value for key, value in handler_call_details.invocation_metadata if key == HEADER]
        if not (handler.request_streaming or handler.response_streaming):
            admitted = self._known_by(method, keys)
            if admitted is not None:
                return grpc.unary_unary_rpc_method_handler(
                    self._respond_at_once(handler, admitted),
                    request_deserializer=_sized(handler.request_deserializer),
                    response_serializer=handler.response_serializer,
                )
        rebuild, respond = (
            (grpc.stream_stream_rpc_method_handler, self._respond_stream(handler, method, keys))
            if handler.response_streaming
            else (grpc.stream_unary_rpc_method_handler, self._respond(handler, method, keys))
        )
        return rebuild(
            respond,
            request_deserializer=_sized(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _respond_at_once(self, handler: Any, admitted: _Admitted) -> Callable[[Any, Any], Any]:
        async def respond(sized: _Sized, context: Any) -> Any:
            serve_as(admitted.who)
            if admitted.meter is not None:
                admitted.meter.charge(0, sized.size, self._clock())
            return await handler.unary_unary(sized.message, context)

        return respond

    def _respond(self, handler: Any, method: str, keys: Sequence[str | bytes]) -> Callable[[Any, Any], Any]:
        async def respond(requests: Any, context: Any) -> Any:
            meter = self._admit(method, keys, context)
            if handler.request_streaming:
                return await handler.stream_unary(self._messages(requests, meter, method), context)
            return await handler.unary_unary(await self._message(requests, meter), context)

        return respond

    def _respond_stream(self, handler: Any, method: str, keys: Sequence[str | bytes]) -> Callable[[Any, Any], Any]:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream

        async def admitted(requests: Any, context: Any) -> Any:
            meter = self._admit(method, keys, context)
            return (
                self._messages(requests, meter, method)
                if handler.request_streaming
                else await self._message(requests, meter)
            )

        async def respond(requests: Any, context: Any) -> AsyncIterator[Any]:
            request = await admitted(requests, context)
            async with contextlib.aclosing(behaviour(request, context)) as responses:
                async for response in responses:
                    yield response

        async def write(requests: Any, context: Any) -> None:
            await behaviour(await admitted(requests, context), context)

        return respond if inspect.isasyncgenfunction(behaviour) else write

    # --- deciding --------------------------------------------------------------------------------------------------

    def _known_by(self, method: str, keys: Sequence[str | bytes]) -> _Admitted | None:
        """Admit a caller by the metadata alone; None where that takes a certificate, or where it is to be refused."""
        if self._keyring.directory is not None and not keys and METHODS.get(method):
            return None
        try:
            return self._admitted(method, keys, None)
        except HashmatchError:  # found out once more, and said, inside the guard
            return None

    def _admit(self, method: str, keys: Sequence[str | bytes], context: Any) -> Meter | None:
        """Let the rest of this call be served in the caller's name, and return what meters it."""
        return self._admitted(method, keys, context).meter

    def _check_room(self, method: str) -> None:
        check = self.rooms.get(method)
        if check is not None:
            check()

    def _admitted(self, method: str, keys: Sequence[str | bytes], context: Any) -> _Admitted:
        """Find out who calls, from here on in whose name the call is served, and whether that may be now."""
        needed = METHODS.get(method)
        if needed is None:
            raise PermissionDenied(f"{method} is in no table of roles, so that nobody may call it")
        directory = self._keyring.directory
        if not needed or directory is None:
            who = LOCAL if directory is None else ANONYMOUS
            serve_as(who)
            self._check_room(method)
            return _Admitted(who, None)
        who = self._caller(directory, keys, context)
        serve_as(who)
        who.check_roles(needed, method.rpartition("/")[2])
        self._check_room(method)
        meter = self._meter(directory, who)
        meter.begin(self._clock())
        return _Admitted(who, meter)

    def _caller(self, directory: Directory, keys: Sequence[str | bytes], context: Any) -> Caller:
        token = from_header(keys)
        if token is not None:
            return directory.by_key(token, self._now())
        shown = context.auth_context()
        names = [name.decode("utf-8", "replace") for kind in _NAMES for name in shown.get(kind, ())]
        if not shown.get("x509_pem_cert"):
            raise Unauthenticated("authorization: no key was sent; see docs/guide/access.md")
        return directory.by_certificate(names)

    def _meter(self, directory: Directory, who: Caller) -> Meter:
        """Return the caller's meter; it survives whatever does not change its quota."""
        if directory is not self._metered:
            self._metered = directory
            self._meters = {
                name: meter for name, meter in self._meters.items() if meter.quota == self._quota_of(directory, name)
            }
        meter = self._meters.get(who.name)
        if meter is None:
            meter = self._meters[who.name] = Meter(self._quota_of(directory, who.name), self._clock())
        return meter

    def _quota_of(self, directory: Directory, name: str) -> QuotaConfig:
        return divided(dataclasses.replace(self._quota, **directory.quota(name)), self._seat)

    # --- metering --------------------------------------------------------------------------------------------------

    async def _message(self, requests: Any, meter: Meter | None) -> Any:
        """Return the one message of a call that is no stream."""
        async with contextlib.aclosing(requests):
            sized = await anext(requests, None)
        if sized is None:
            raise BadInput("the call ended without the message that it is made of")
        if meter is not None:
            meter.charge(0, sized.size, self._clock())
        return sized.message

    async def _messages(self, requests: Any, meter: Meter | None, method: str) -> AsyncIterator[Any]:
        """Return the messages of a stream, each when the quota allows it."""
        first = True
        async for sized in requests:
            if meter is not None:
                await self._charge(
                    meter, 1 if method in PER_MESSAGE and not first else 0, sized.size, patient=not first
                )
            first = False
            yield sized.message

    async def _charge(self, meter: Meter, calls: int, size: int, *, patient: bool) -> None:
        while True:
            try:
                meter.charge(calls, size, self._clock())
            except QuotaExceeded as error:
                if not patient or error.retry_after_s > MAX_PATIENCE_S:
                    raise
                wait_s = error.retry_after_s
            else:
                return
            await self._sleep(wait_s)


def _sized(parse: Callable[[bytes], Any]) -> Callable[[bytes], _Sized]:
    def deserialize(untrusted_message: bytes) -> _Sized:
        return _Sized(parse(untrusted_message), len(untrusted_message))

    return deserialize
