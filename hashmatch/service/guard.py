"""The one place that turns errors into gRPC statuses, and the only one that logs calls.

Theory of operation
-------------------
:class:`Guard` is a server interceptor, so that no handler can be added without it. Around every call it gives the call
an id, checks that the caller's deadline has not passed, counts the call (the drain waits for that count), has it
timed and traced (``watching``), and maps what comes out:

* a :class:`~hashmatch.errors.HashmatchError` becomes its class's status with ``google.rpc`` details: ``ErrorInfo`` with
  the stable reason, ``BadRequest`` naming the field, ``RetryInfo`` for overload;
* anything else is a defect: ``INTERNAL``, the call's id, and a log line that says where it was raised;
* a cancellation passes through: gRPC answers it. While a message is received it waits (``holding``). A failure that
  can no longer be told, because the caller has gone, becomes one: gRPC would log its own exception, and with it the
  one that it replaced, content included.

A message that is not a protocol buffer is a caller's mistake like any other. The deserializer hands :data:`MALFORMED`
on instead of raising, because what a deserializer raises would be logged and answered by gRPC itself.

What is logged: the method, the call's id, the status, the reason, the milliseconds, the caller's name and, for defects,
file and line.
What is never logged: a request, a response, an exception's text or a traceback's source lines, because any of them may
hold image bytes, hashes or URLs (protobuf's Python runtime ignores ``debug_redact``). The caller's own ``request_id``
is content too. tests/integration/test_service_canary.py holds this to account.

What this module deliberately does not do: it knows no service and no message type.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from hashmatch.errors import BadInput, DeadlineExceeded, HashmatchError, Overloaded, Status
from hashmatch.identity import ANONYMOUS
from hashmatch.identity.callers import serve_as
from hashmatch.raised import raised_at
from hashmatch.service.holding import held, hold, release
from hashmatch.service.watching import CANCELLED, Watch
from hashmatch.telemetry.calls import call_id, serve_call
from hashmatch.telemetry.tracing import TRACEPARENT

__all__ = ["DOMAIN", "MALFORMED", "Guard", "call_id", "log_failure", "outcome", "remaining_s", "status_of"]

DOMAIN: Final = "hashmatch"
"""``ErrorInfo.domain`` of every error that hashmatch itself reports."""

MAX_MESSAGE_BYTES: Final = 800
"""Longest error text sent. Errors travel in trailers, three times over and encoded, and clients stop at 8 KiB."""

_UNCOUNTED: Final = frozenset({"/grpc.health.v1.Health/Watch"})
"""Calls that end only when their caller goes away; a drain does not wait for them."""

_T = TypeVar("_T")
_log = logging.getLogger("hashmatch.service")
_watch: ContextVar[Watch | None] = ContextVar("hashmatch_watch", default=None)


class _Malformed:
    """Stands for a request that could not be parsed."""


MALFORMED: Final = _Malformed()
_END: Final = object()


def remaining_s(context: Any) -> float | None:
    """Seconds until the caller's deadline, None without one."""
    remaining: float | None = context.time_remaining()
    return remaining


def status_of(error: Exception, call: str) -> status_pb2.Status:
    """Describe ``error`` as a ``google.rpc.Status`` for the caller.

    Of an exception that is not a HashmatchError nothing is told but the call's id: its text may hold content, and the
    caller could do nothing with it.
    """
    if not isinstance(error, HashmatchError):
        error = HashmatchError(f"internal error; the service's log has more under call {call}")
    message = _bounded(error.message)
    status = status_pb2.Status(code=_code(error.status).value[0], message=message)
    info = error_details_pb2.ErrorInfo(reason=type(error).reason(), domain=DOMAIN, metadata={"call_id": call})
    status.details.add().Pack(info)
    if error.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(field=_bounded(error.field), description=message)
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    if isinstance(error, Overloaded):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(int(error.retry_after_s * 1e9))
        status.details.add().Pack(retry)
    return status


def log_failure(error: Exception, what: str, call: str, about: Mapping[str, object] | None = None) -> None:
    """Log a failed call or stream item without a word of its content; ``about`` is for lines of JSON."""
    about = {"call": call, **(about or {})}
    if isinstance(error, HashmatchError) and error.status not in {Status.INTERNAL, Status.DATA_LOSS}:
        _log.info("%s: %s %s (call %s)", what, error.status, type(error).reason(), call, extra=about)
    else:
        _log.error("%s: %s at %s (call %s)", what, type(error).__name__, raised_at(error), call, extra=about)


async def outcome(work: Awaitable[_T], what: str) -> _T | status_pb2.Status:
    """Return the result of ``work``, or its failure as a status: the boundary of one item of a stream that goes on."""
    try:
        return await work
    except Exception as error:  # noqa: BLE001  the service's boundary: whatever is wrong becomes the item's status
        log_failure(error, what, call_id())
        if (watch := _watch.get()) is not None:
            watch.tally.item(what.partition(" ")[0], _status(error).value)
            watch.failed(what.partition(" ")[0], error, "")
        return status_of(error, call_id())


@dataclass(frozen=True, slots=True)
class _Call:
    """What is known of a call before it begins."""

    method: str
    untrusted_parent: str
    streaming: bool


class Guard(grpc.aio.ServerInterceptor):
    """Wraps every method of the server; see the module's theory of operation."""

    def __init__(self, watch: Watch | None = None) -> None:
        self._watch = watch or Watch()
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def __repr__(self) -> str:
        return f"<Guard: {self._active} active calls>"

    @property
    def active(self) -> int:
        """Calls from their first header to their last byte, those of :data:`_UNCOUNTED` left out."""
        return self._active

    async def idle(self) -> None:
        """Return once no call is being served."""
        await self._idle.wait()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the method's handler inside the guard, None where there is no such method."""
        method = str(handler_call_details.method)
        hold()  # until the message has come
        if method not in _UNCOUNTED:
            self._count()
        handler = await continuation(handler_call_details)
        if handler is None:
            self._watch.unknown()
            return None
        call = _Call(method, _parent(handler_call_details), handler.response_streaming)
        return _REBUILD[handler.request_streaming, handler.response_streaming](
            self._respond_stream(handler, call) if handler.response_streaming else self._respond(handler, call),
            request_deserializer=_lenient(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )

    def _respond(self, handler: Any, about: _Call) -> Callable[[Any, Any], Awaitable[Any]]:
        behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        admit = _parsed_stream if handler.request_streaming else _parsed

        async def respond(request: Any, context: Any) -> Any:
            async with self._boundary(about, context):
                return await behaviour(admit(request), context)

        return respond

    def _respond_stream(self, handler: Any, about: _Call) -> Callable[[Any, Any], Any]:
        behaviour = handler.stream_stream if handler.request_streaming else handler.unary_stream
        admit = _parsed_stream if handler.request_streaming else _parsed

        async def respond(request: Any, context: Any) -> AsyncIterator[Any]:
            async with (
                self._boundary(about, context),
                contextlib.aclosing(behaviour(admit(request), context)) as responses,
            ):
                async for response in responses:
                    yield response

        async def write(request: Any, context: Any) -> None:
            async with self._boundary(about, context):
                await behaviour(admit(request), context)

        return respond if inspect.isasyncgenfunction(behaviour) else write

    @contextlib.asynccontextmanager
    async def _boundary(self, about: _Call, context: Any) -> AsyncIterator[None]:
        call, method = secrets.token_hex(8), about.method
        serve_call(call)
        serve_as(ANONYMOUS)  # until somebody is admitted
        _watch.set(self._watch)
        watching = self._watch.begin(method, call, about.untrusted_parent, timed=not about.streaming)
        try:
            release()
            remaining = remaining_s(context)
            if remaining is not None and remaining <= 0:
                raise DeadlineExceeded  # noqa: TRY301  an error like any other: mapped below
            yield
        except asyncio.CancelledError:
            said = watching.end(CANCELLED)
            _log.debug("%s: cancelled after %.1f ms (call %s)", method, said["ms"], call, extra=said)
            raise
        except grpc.aio.AbortError:
            watching.end(CANCELLED)
            raise
        except Exception as error:  # noqa: BLE001  the service's boundary: whatever is wrong becomes a status
            log_failure(error, method, call, watching.end(_status(error).value, error))
            self._watch.failed(method, error, context.peer())
            status = rpc_status.to_status(status_of(error, call))
        else:
            said = watching.end()
            _log.debug("%s: OK after %.1f ms (call %s)", method, said["ms"], call, extra=said)
            return
        try:
            await context.abort(status.code, status.details, status.trailing_metadata)
        except grpc.aio.AbortError:
            raise
        except Exception:  # noqa: BLE001  whatever gRPC raises where nobody can be told any more
            _log.debug("%s: the caller had gone before it was told (call %s)", method, call)
            raise asyncio.CancelledError from None

    def _count(self) -> None:
        """Count the call from its first header to its last byte: gRPC runs all of it in the current task."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  interceptors are coroutines
        self._active += 1
        self._idle.clear()
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del task
        self._active -= 1
        if not self._active:
            self._idle.set()


_REBUILD: Final[dict[tuple[bool, bool], Callable[..., Any]]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def _lenient(parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def deserialize(untrusted_message: bytes) -> Any:
        try:
            return parse(untrusted_message)
        except DecodeError:
            return MALFORMED

    return deserialize


def _parsed(request: Any) -> Any:
    if request is MALFORMED:
        raise BadInput("the message is not the protocol buffer that this method takes; see proto/hashmatch/v1")
    return request


async def _parsed_stream(requests: Any) -> AsyncIterator[Any]:
    while (request := await held(anext(requests, _END))) is not _END:
        yield _parsed(request)


def _parent(details: grpc.HandlerCallDetails) -> str:
    """Return the span that the caller says it calls from; empty where it says none."""
    for key, value in details.invocation_metadata or ():
        if key == TRACEPARENT and isinstance(value, str):
            return value
    return ""


def _status(error: Exception) -> Status:
    return error.status if isinstance(error, HashmatchError) else Status.INTERNAL


def _code(status: Status) -> grpc.StatusCode:
    return grpc.StatusCode[status.value]


def _bounded(text: str) -> str:
    """At most MAX_MESSAGE_BYTES of UTF-8, cut between characters."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= MAX_MESSAGE_BYTES:
        return encoded.decode("utf-8")
    return encoded[: MAX_MESSAGE_BYTES - 3].decode("utf-8", "ignore") + "..."
