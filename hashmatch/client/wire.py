"""The wall between gRPC and the SDK: statuses become hashmatch's own errors here, and nothing else crosses.

Theory of operation
-------------------
The service names every failure by a stable reason (``google.rpc.ErrorInfo``); the class of that name in
``hashmatch/errors.py`` is raised again on this side, with the field and the retry hint that came along. A failure that
the service did not describe (it could not be reached, the deadline passed on the way, a message was too large) is known
by its gRPC status alone. Asynchronous and synchronous gRPC errors have the same accessors, so one function serves both.

What this module deliberately does not do: no I/O, and no decision about trying again (``retry``).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2, status_pb2

from hashmatch import errors
from hashmatch.errors import (
    BadInput,
    DeadlineExceeded,
    HashmatchError,
    Overloaded,
    PermissionDenied,
    ServiceUnavailable,
    Unauthenticated,
)

DETAILS_KEY: Final = "grpc-status-details-bin"
DOMAIN: Final = "hashmatch"

CHANNEL_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", 64 << 20),  # a full batch of reports, each with a hundred labelled hits
    ("grpc.max_send_message_length", -1),  # the service's limit is the one that counts
    ("grpc.keepalive_time_ms", 60_000),  # twice the service's shortest allowed interval
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.initial_reconnect_backoff_ms", 100),  # a service that restarts is back within seconds
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.enable_http_proxy", 0),  # images go to the named service and nowhere else, whatever the environment says
)
"""Options of every channel; those given by the caller come after and win."""

_CLASSES: Final = {
    cls.reason(): cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, HashmatchError)
}

_BY_CODE: Final[dict[grpc.StatusCode, type[HashmatchError]]] = {
    grpc.StatusCode.UNAVAILABLE: ServiceUnavailable,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceeded,
    grpc.StatusCode.CANCELLED: ServiceUnavailable,  # not by this side: that is a CancelledError and never comes here
    grpc.StatusCode.RESOURCE_EXHAUSTED: BadInput,  # without a hint it is a size limit, and trying again is no use
    grpc.StatusCode.INVALID_ARGUMENT: BadInput,
    grpc.StatusCode.UNIMPLEMENTED: ServiceUnavailable,
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDenied,
}


def error_from_rpc(failure: grpc.RpcError, target: str) -> HashmatchError:
    """Hashmatch's error for a failed call; raise it ``from`` the failure."""
    call: Any = failure  # gRPC's stubs do not say that the errors it raises are calls
    code, text = call.code(), call.details() or ""
    for key, value in call.trailing_metadata() or ():
        if key == DETAILS_KEY:
            with contextlib.suppress(DecodeError):  # then something between here and the service wrote it
                return error_from_status(status_pb2.Status.FromString(value))
    if code in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNIMPLEMENTED}:
        return ServiceUnavailable(f"no hashmatch service answers at {target}: {text}")
    cls = _BY_CODE.get(code, HashmatchError)
    return cls(f"{code.name}: {text}" if text else None)


def error_from_status(status: status_pb2.Status) -> HashmatchError:
    """Hashmatch's error for a rich status, as it also comes for single items of a stream."""
    cls: type[HashmatchError] = HashmatchError
    field: str | None = None
    retry_after_s: float | None = None
    for detail in status.details:
        info = error_details_pb2.ErrorInfo()
        request = error_details_pb2.BadRequest()
        retry = error_details_pb2.RetryInfo()
        if detail.Unpack(info) and info.domain == DOMAIN:
            cls = _CLASSES.get(info.reason, HashmatchError)
        elif detail.Unpack(request) and request.field_violations:
            field = request.field_violations[0].field
        elif detail.Unpack(retry):
            retry_after_s = retry.retry_delay.ToNanoseconds() / 1e9
    if issubclass(cls, Overloaded) and retry_after_s is not None:
        return cls(status.message, field=field, retry_after_s=retry_after_s)
    return cls(status.message, field=field)


class Outgoing:
    """Remembers what gRPC forgets of a call that sends a stream.

    What the caller's iterator raised: gRPC only cancels the call. And what the service said when it ended the call
    while a message was on its way: gRPC's asynchronous calls replace that by ``Internal error from Core``.
    """

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.said: grpc.RpcError | None = None

    def ended(self, call: Any) -> None:
        """Keep the first status of an asynchronous call, unless it is gRPC's own: the service's comes behind that."""
        code, metadata = _at_once(call.code()), _at_once(call.trailing_metadata())
        if code is not grpc.StatusCode.OK and (metadata or code is not grpc.StatusCode.INTERNAL):
            self.said = grpc.aio.AioRpcError(code, grpc.aio.Metadata(), metadata, _at_once(call.details()))

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Wrap the reading of the caller's iterator."""
        try:
            yield
        except Exception as error:
            self.failure = error
            raise


def _at_once(known: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns that has nothing to wait for."""
    try:
        known.send(None)
    except StopIteration as ended:
        return ended.value
    known.close()
    raise TypeError("it waits")


@contextlib.contextmanager
def wall(target: str, outgoing: Outgoing | None = None) -> Iterator[None]:
    """Wrap a call to the service at ``target``.

    Raises
    ------
    HashmatchError
        The call failed.
    Exception
        Whatever the caller's own iterator raised.

    """
    try:
        yield
    except (grpc.RpcError, asyncio.CancelledError) as failure:
        if outgoing is not None and outgoing.failure is not None:
            raise outgoing.failure from None
        if isinstance(failure, grpc.RpcError):
            said = outgoing.said if outgoing is not None and outgoing.said is not None else failure
            raise error_from_rpc(said, target) from said
        raise
