"""Errors become statuses: every class, every detail, and nothing else."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any, NoReturn

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from hashmatch.client.wire import error_from_status
from hashmatch.errors import BadHash, CatalogCorrupt, HashmatchError, Overloaded, SetNotFound, Status
from hashmatch.service.guard import MAX_MESSAGE_BYTES, Guard, log_failure, outcome, status_of
from tests.unit.test_errors import every_class


def raised(error: Exception) -> Exception:
    """Return the error with a traceback, as it arrives at the guard."""
    try:
        raise error  # noqa: TRY301  the traceback is what is wanted
    except Exception as caught:  # noqa: BLE001  whatever it is
        return caught


@pytest.mark.parametrize("cls", every_class(), ids=lambda cls: cls.__name__)
def test_every_class_survives_the_wire(cls: type[HashmatchError]) -> None:
    there = cls("what happened", field="a.b[3]")
    status = status_of(there, "call-1")
    back = error_from_status(status_pb2.Status.FromString(status.SerializeToString()))
    assert (type(back), back.message, back.field) == (cls, "what happened", "a.b[3]")
    assert status.code == grpc.StatusCode[cls.status.value].value[0]


def test_the_retry_hint_survives_the_wire() -> None:
    back = error_from_status(status_of(Overloaded(retry_after_s=1.25), "call-1"))
    assert isinstance(back, Overloaded)
    assert back.retry_after_s == 1.25


def test_a_field_is_told_as_a_violation() -> None:
    status = status_of(BadHash("not 64 digits", field="items[3].hashes[0].value"), "call-1")
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    assert [(item.field, item.description) for item in request.field_violations] == [
        ("items[3].hashes[0].value", "not 64 digits")
    ]


def test_of_a_defect_nothing_is_told_but_the_call() -> None:
    status = status_of(ZeroDivisionError("secret"), "call-1")
    assert status.message == "internal error; the service's log has more under call call-1"
    assert b"secret" not in status.SerializeToString()
    assert b"ZeroDivision" not in status.SerializeToString()


@given(st.text(max_size=5_000), st.text(max_size=5_000))
def test_details_stay_below_what_clients_accept_in_trailers(message: str, field: str) -> None:
    status = status_of(SetNotFound(message, field=field), "0123456789abcdef")
    assert len(status.message.encode()) <= MAX_MESSAGE_BYTES
    percent_encoded = 3 * len(status.message.encode())
    base64_encoded = 4 * len(status.SerializeToString()) // 3 + 4
    assert percent_encoded + base64_encoded < 8_192


def test_the_callers_mistakes_are_logged_without_a_place(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log_failure(raised(SetNotFound("secret", field="secret")), "/a/B", "call-1")
    assert caplog.messages == ["/a/B: NOT_FOUND SET_NOT_FOUND (call call-1)"]


@pytest.mark.parametrize("error", [CatalogCorrupt("secret"), HashmatchError("secret"), RuntimeError("secret")])
def test_the_services_own_failures_are_logged_with_their_place(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    log_failure(raised(error), "/a/B", "call-1")
    (message,) = caplog.messages
    assert message.startswith(f"/a/B: {type(error).__name__} at tests/unit/service/test_guard.py:")
    assert message.endswith(" raised (call call-1)")


async def test_one_item_of_a_stream_fails_alone() -> None:
    async def good() -> int:
        return 7

    async def bad() -> int:
        raise SetNotFound("no such set")

    assert await outcome(good(), "item") == 7
    status = await outcome(bad(), "item")
    assert isinstance(status, status_pb2.Status)
    assert status.message == "no such set"


async def test_a_cancellation_is_not_an_outcome() -> None:
    async def gone() -> int:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await outcome(gone(), "item")


class FakeContext:
    """A call whose deadline has passed."""

    def __init__(self) -> None:
        self.aborted: list[Any] = []

    def time_remaining(self) -> float | None:
        """Return nothing left."""
        return 0.0

    def peer(self) -> str:
        """Return an address as gRPC writes it."""
        return "ipv4:192.0.2.7:4711"

    async def abort(self, *status: Any) -> NoReturn:
        """Note it, and leave the handler as gRPC does."""
        self.aborted.append(status)
        raise grpc.aio.AbortError


async def test_a_call_whose_deadline_has_passed_is_not_begun() -> None:
    begun = False

    async def behaviour(*_: object) -> None:
        nonlocal begun
        begun = True

    async def found(_: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(behaviour)

    class Details:
        method = "/a/B"
        invocation_metadata = ()

    guard, context = Guard(), FakeContext()
    handler = await guard.intercept_service(found, Details())  # type: ignore[arg-type]
    assert repr(guard) == "<Guard: 1 active calls>"
    with pytest.raises(grpc.aio.AbortError):
        await handler.unary_unary(object(), context)
    assert not begun
    assert [status[0].name for status in context.aborted] == [Status.DEADLINE_EXCEEDED]


class GoneContext(FakeContext):
    """A call without a deadline whose caller goes away before it is told of a failure."""

    def time_remaining(self) -> None:
        """Return that there is no deadline."""

    async def abort(self, *status: Any) -> NoReturn:
        """Fail as gRPC does when nobody is there to be answered."""
        del status
        raise RuntimeError("Failed to execute_batch")


async def test_of_a_failure_that_nobody_can_be_told_nothing_is_left_for_grpc_to_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)

    async def behaviour(*_: object) -> None:
        raise ValueError("secret")

    async def found(_: object) -> Any:
        return grpc.unary_unary_rpc_method_handler(behaviour)

    class Details:
        method = "/a/B"
        invocation_metadata = ()

    handler = await Guard().intercept_service(found, Details())  # type: ignore[arg-type]
    with pytest.raises(asyncio.CancelledError) as caught:
        await handler.unary_unary(object(), GoneContext())
    told = "".join(traceback.format_exception(caught.value))
    assert "secret" not in told
    assert "RuntimeError" not in told
    assert "secret" not in caplog.text
    assert "/a/B: the caller had gone before it was told (call " in caplog.messages[-1]


async def test_a_method_that_does_not_exist_has_no_handler() -> None:
    async def not_found(_: object) -> None:
        return None

    class Details:
        method = "/a/B"
        invocation_metadata = ()

    guard = Guard()
    asking = asyncio.create_task(guard.intercept_service(not_found, Details()))  # type: ignore[arg-type]
    assert await asking is None
    await guard.idle()
    assert guard.active == 0
