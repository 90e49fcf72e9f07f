"""gRPC's errors become hashmatch's, and only those."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest

from hashmatch.client.wire import DETAILS_KEY, Outgoing, error_from_rpc, error_from_status, wall
from hashmatch.errors import (
    BadInput,
    DeadlineExceeded,
    HashmatchError,
    ServiceUnavailable,
    SetNotFound,
)
from hashmatch.service.guard import status_of


def failed(
    code: grpc.StatusCode, details: str = "", trailers: tuple[tuple[str, Any], ...] = ()
) -> grpc.aio.AioRpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details)


@pytest.mark.parametrize(
    ("code", "cls", "message"),
    [
        (grpc.StatusCode.UNAVAILABLE, ServiceUnavailable, "no hashmatch service answers at h:1: why"),
        (grpc.StatusCode.UNIMPLEMENTED, ServiceUnavailable, "no hashmatch service answers at h:1: why"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded, "DEADLINE_EXCEEDED: why"),
        (grpc.StatusCode.CANCELLED, ServiceUnavailable, "CANCELLED: why"),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, BadInput, "RESOURCE_EXHAUSTED: why"),
        (grpc.StatusCode.INVALID_ARGUMENT, BadInput, "INVALID_ARGUMENT: why"),
        (grpc.StatusCode.UNKNOWN, HashmatchError, "UNKNOWN: why"),
    ],
)
def test_without_details_the_status_decides(code: grpc.StatusCode, cls: type, message: str) -> None:
    error = error_from_rpc(failed(code, "why"), "h:1")
    assert (type(error), error.message) == (cls, message)


def test_with_details_the_reason_decides() -> None:
    rich = status_of(SetNotFound("no such set", field="sets"), "call-1").SerializeToString()
    error = error_from_rpc(failed(grpc.StatusCode.NOT_FOUND, "no such set", ((DETAILS_KEY, rich),)), "h:1")
    assert (type(error), error.message, error.field) == (SetNotFound, "no such set", "sets")


def test_details_that_are_no_status_are_passed_over() -> None:
    error = error_from_rpc(failed(grpc.StatusCode.UNAVAILABLE, "proxy", ((DETAILS_KEY, b"\xff\xff"),)), "h:1")
    assert error.message == "no hashmatch service answers at h:1: proxy"


def test_a_reason_of_a_newer_service_is_still_an_error_of_ours() -> None:
    class NewerError(HashmatchError):
        """Something new."""

    error = error_from_status(status_of(NewerError("said so"), "call-1"))
    assert (type(error), error.message) == (HashmatchError, "said so")


def test_the_original_error_is_the_cause() -> None:
    failure = failed(grpc.StatusCode.UNAVAILABLE)
    with pytest.raises(ServiceUnavailable) as caught, wall("h:1"):
        raise failure
    assert caught.value.__cause__ is failure


@pytest.mark.parametrize("failure", [failed(grpc.StatusCode.CANCELLED), asyncio.CancelledError()])
def test_what_the_callers_iterator_raised_wins(failure: BaseException) -> None:
    outgoing = Outgoing()
    with pytest.raises(ZeroDivisionError), outgoing.watched():
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), wall("h:1", outgoing):
        raise failure


def test_a_cancellation_of_the_callers_own_passes() -> None:
    with pytest.raises(asyncio.CancelledError), wall("h:1", Outgoing()):
        raise asyncio.CancelledError
