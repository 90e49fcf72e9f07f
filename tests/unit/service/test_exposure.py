"""What a service shows of itself: the page where it is asked for, taken over from another, and counted without one."""

from __future__ import annotations

import asyncio
import builtins
import logging
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from hashmatch.config import Config, MetricsConfig, TracingConfig
from hashmatch.errors import BadConfig, CatalogUnavailable, HashmatchError
from hashmatch.report.status import ServiceStatus
from hashmatch.service import exposure
from hashmatch.service.checks import Check
from hashmatch.service.exposure import exposed, watched
from hashmatch.service.seating import Seat
from hashmatch.service.watching import Watch
from hashmatch.telemetry import tracing
from hashmatch.telemetry.otel import OtelTracer
from hashmatch.telemetry.tally import OTHER
from tests.support.reserved import reserved_port
from tests.support.service import STATUS, until
from tests.unit.telemetry.test_page import samples

ANY_PORT = MetricsConfig(listen="127.0.0.1:0")
DETECT = "/hashmatch.v1.DetectionService/Detect"


@dataclass
class FakeService:
    """What is shown, and how often it was counted."""

    counted: int = 0
    errors: list[HashmatchError | None] = field(default_factory=list)
    active: int = 3

    def observed(self) -> ServiceStatus:
        """Return the sample."""
        return STATUS

    async def count(self) -> None:
        """Count, or raise what is next."""
        self.counted += 1
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error

    def checks(self) -> Sequence[Check]:
        """Return one that holds and one that does not."""
        return Check("index", lambda: True), Check("workers", lambda: False)


async def read(address: str) -> dict[Any, float]:
    """Read the page."""
    async with aiohttp.ClientSession() as client, client.get(f"http://{address}/metrics") as answer:
        return dict(samples(await answer.text()))


@pytest.fixture
def free_port() -> Iterator[int]:
    """Reserve a port that nobody else gets to listen on."""
    with reserved_port() as held:
        yield held.getsockname()[1]


# --- what is counted and traced ------------------------------------------------------------------------------------


async def test_what_calls_are_counted_in_keeps_so_many_names_as_are_configured() -> None:
    async with watched(Config(metrics=MetricsConfig(max_callers=1))) as watch:
        assert watch.tracer is tracing.SILENT
        for name in ("anna", "ben", "cleo"):
            watch.tally.called(DETECT, "OK", name)
    assert watch.tally.copy().callers == {("anna", "OK"): 1, (OTHER, "OK"): 2}


@pytest.mark.parametrize(
    ("listen", "process", "message"),
    [
        ("nowhere", 0, "metrics.listen: 'nowhere' is not an address; expected host:port or [ipv6]:port"),
        ("127.0.0.1:65535", 1, "metrics.listen: there is no port 65535 + 1 for process 1"),
    ],
)
async def test_a_page_that_cannot_be_is_refused_before_anything_is_started(
    listen: str, process: int, message: str
) -> None:
    with pytest.raises(BadConfig) as caught:
        async with watched(Config(metrics=MetricsConfig(listen=listen)), process):
            pytest.fail("it started")
    assert caught.value.message == message


async def test_traces_are_sent_where_a_collector_is_configured_and_what_waits_at_the_end(
    monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    closed: list[object] = []
    ended = OtelTracer.close

    def close(tracer: OtelTracer) -> None:
        closed.append(tracer)
        ended(tracer)

    monkeypatch.setattr(OtelTracer, "close", close)
    config = Config(tracing=TracingConfig(endpoint=f"http://127.0.0.1:{free_port}"))
    async with watched(config) as watch:
        assert isinstance(watch.tracer, OtelTracer)
        assert closed == []
    assert closed == [watch.tracer]


async def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def without(name: str, *given: Any, **named: Any) -> Any:
        if name == "hashmatch.telemetry.otel":
            raise ImportError(name)
        return imported(name, *given, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(BadConfig, match=r"^tracing\.endpoint: opentelemetry is not installed; install hashmatch\[otel"):
        async with watched(Config(tracing=TracingConfig(endpoint="http://127.0.0.1:1"))):
            pytest.fail("it started")


# --- the page ------------------------------------------------------------------------------------------------------


async def test_without_an_address_there_is_no_page_and_nothing_is_counted() -> None:
    service = FakeService()
    async with exposed(MetricsConfig(), service, service, Watch()) as address:
        assert address == ""
    assert service.counted == 0


async def test_the_page_shows_the_present_and_ends_with_the_service() -> None:
    service, watch = FakeService(), Watch()
    async with exposed(ANY_PORT, service, service, watch) as address:
        watch.tally.called(DETECT, "OK", "anna")
        found = await read(address)
        watch.tally.called(DETECT, "OK", "anna")
        service.active = 4
        later = await read(address)
        await until(lambda: service.counted)
    method = (DETECT, "OK")
    counted = ("hashmatch_requests_total", (("method", method[0]), ("status", method[1])))
    assert (found[counted], later[counted]) == (1, 2)
    assert (found["hashmatch_requests_in_flight", ()], later["hashmatch_requests_in_flight", ()]) == (3, 4)
    assert found["hashmatch_ready", (("condition", "index"),)] == 1
    assert found["hashmatch_ready", (("condition", "workers"),)] == 0
    with pytest.raises(aiohttp.ClientConnectionError):
        await read(address)


async def test_a_service_of_one_process_does_not_start_without_its_page() -> None:
    service = FakeService()
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(BadConfig, match=rf"^metrics\.listen: cannot listen on {address}: .*; is another process"):
            async with exposed(MetricsConfig(listen=address), service, service, Watch()):
                pytest.fail("it started")


async def test_one_of_several_waits_for_the_page_and_takes_it_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    caplog.set_level(logging.INFO, "hashmatch.service")
    monkeypatch.setattr(exposure, "TAKE_OVER_S", 0.001)
    config = MetricsConfig(listen=f"127.0.0.1:{free_port}")
    old, new = FakeService(active=1), FakeService(active=2)
    async with exposed(config, old, old, Watch(), Seat(0, 2)):
        await until(lambda: "metrics on http://" in caplog.text)
        arriving = exposed(config, new, new, Watch(), Seat(0, 2))
        assert await arriving.__aenter__() == ""
        await until(lambda: "waiting for the page of metrics: " in caplog.text)
        assert (await read(config.listen))["hashmatch_requests_in_flight", ()] == 1
    try:
        await until(lambda: caplog.text.count("metrics on http://") == 2)
        assert (await read(config.listen))["hashmatch_requests_in_flight", ()] == 2
    finally:
        await arriving.__aexit__(None, None, None)
    assert caplog.text.count("waiting for the page of metrics: ") == 1


async def test_one_that_waits_for_the_page_can_be_ended() -> None:
    service = FakeService()
    with socket.create_server(("127.0.0.1", 0)) as other:
        config = MetricsConfig(listen=f"127.0.0.1:{other.getsockname()[1]}")
        async with exposed(config, service, service, Watch(), Seat(0, 2)) as address:
            await until(lambda: service.counted)
            assert address == ""


async def test_the_second_process_has_the_port_after_the_first(
    caplog: pytest.LogCaptureFixture, free_port: int
) -> None:
    caplog.set_level(logging.INFO, "hashmatch.service")
    service = FakeService()
    config = MetricsConfig(listen=f"127.0.0.1:{free_port - 1}")
    async with exposed(config, service, service, Watch(), Seat(1, 2)):
        await until(lambda: f"metrics on http://127.0.0.1:{free_port}/metrics" in caplog.text)
        assert (await read(f"127.0.0.1:{free_port}"))["hashmatch_requests_in_flight", ()] == 3


# --- counting ------------------------------------------------------------------------------------------------------


async def test_what_cannot_be_counted_is_said_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sleep = asyncio.sleep
    monkeypatch.setattr("hashmatch.service.exposure.asyncio.sleep", lambda _: sleep(0))
    service = FakeService(errors=[CatalogUnavailable(), CatalogUnavailable(), None, CatalogUnavailable()])
    async with exposed(ANY_PORT, service, service, Watch()):
        await until(lambda: service.counted > 5)
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        "what the catalog holds cannot be counted: CATALOG_UNAVAILABLE"
    ] * 2
