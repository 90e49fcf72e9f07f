"""The page of metrics: every family, in both of Prometheus's forms, over HTTP, and to nobody else."""

from __future__ import annotations

import dataclasses
import socket

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_open
from prometheus_client.parser import text_string_to_metric_families as parse

from hashmatch.config import MetricsConfig
from hashmatch.errors import BadConfig
from hashmatch.report.status import AuditStatus, FollowerStatus
from hashmatch.telemetry.families import FAMILIES, PROCESS, Kind, View, metrics
from hashmatch.telemetry.page import Page, judged, rendered
from hashmatch.telemetry.tally import Tally
from tests.support import cases
from tests.support.service import STATUS


def view() -> View:
    """Return one with something of everything."""
    tally = Tally()
    tally.called("/s/M", "NOT_FOUND", "anna", 1_500)
    tally.failed("/s/M", "QuotaExceeded", "anna", quota=True)
    tally.item("DetectStream", "INTERNAL")
    tally.image(cases.report(elapsed_us={"total": 3_000}))
    tally.quarantined("known")
    tally.delivered("ncmec", "postponed")
    tally.checked("image", "gone")
    status = dataclasses.replace(
        STATUS, audit=AuditStatus("a", 7, 6, 2, 1, "disk"), follower=FollowerStatus(3, 1_250, error="X")
    )
    return View(tally.copy(), status, 4, {"index": True, "workers": False})


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Read a page back."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in parse(text)
        for sample in family.samples
    }


def test_what_is_counted_is_on_the_page() -> None:
    found = samples(rendered(view())[0].decode())
    expected = {
        ("hashmatch_requests_total", (("method", "/s/M"), ("status", "NOT_FOUND"))): 1,
        ("hashmatch_request_errors_total", (("method", "/s/M"), ("reason", "QuotaExceeded"))): 1,
        ("hashmatch_requests_in_flight", ()): 4,
        ("hashmatch_request_duration_seconds_bucket", (("le", "0.001"), ("method", "/s/M"))): 0,
        ("hashmatch_request_duration_seconds_bucket", (("le", "0.0025"), ("method", "/s/M"))): 1,
        ("hashmatch_request_duration_seconds_bucket", (("le", "+Inf"), ("method", "/s/M"))): 1,
        ("hashmatch_request_duration_seconds_sum", (("method", "/s/M"),)): 0.0015,
        ("hashmatch_caller_requests_total", (("caller", "anna"), ("status", "NOT_FOUND"))): 1,
        ("hashmatch_quota_refusals_total", (("caller", "anna"),)): 1,
        ("hashmatch_stream_items_total", (("status", "INTERNAL"), ("stream", "DetectStream"))): 1,
        ("hashmatch_stage_duration_seconds_count", (("kind", "image"), ("stage", "total"))): 1,
        ("hashmatch_verdicts_total", (("kind", "image"), ("verdict", "match"))): 1,
        ("hashmatch_set_matches_total", (("set", "test-csam"), ("verdict", "match"))): 1,
        ("hashmatch_flood_quarantines_total", (("set", "known"),)): 1,
        ("hashmatch_quarantined_entries", ()): 1,
        ("hashmatch_workers", ()): 2,
        ("hashmatch_workers_busy", ()): 1,
        ("hashmatch_worker_restarts_total", ()): 1,
        ("hashmatch_confined", ()): 1,
        ("hashmatch_protection_active", (("protection", "seccomp"),)): 1,
        ("hashmatch_index_sequence", ()): 42,
        ("hashmatch_index_lag_seconds", ()): 1.25,
        ("hashmatch_index_behind_changes", ()): 3,
        ("hashmatch_catalog_unreachable", ()): 1,
        ("hashmatch_outbox_deliveries", (("outlet", "ncmec"), ("state", "queued"))): 3,
        ("hashmatch_deliveries_total", (("outcome", "postponed"), ("outlet", "ncmec"))): 1,
        ("hashmatch_audit_queued_records", ()): 2,
        ("hashmatch_audit_lost_records_total", ()): 1,
        ("hashmatch_audit_trouble", ()): 1,
        ("hashmatch_hotline_checked_total", (("outcome", "gone"), ("what", "image"))): 1,
        ("hashmatch_ready", (("condition", "workers"),)): 0,
        ("hashmatch_build_info", (("version", "0.1.0"),)): 1,
    }
    assert {key: found.get(key) for key in expected} == expected
    assert found["process_resident_memory_bytes", ()] > 1e6


def test_a_service_that_did_nothing_names_every_metric_all_the_same() -> None:
    text = rendered(View(Tally().copy(), dataclasses.replace(STATUS, audit=None)))[0].decode()
    for family in (*FAMILIES, *PROCESS):
        assert f"# TYPE {family.name} {family.kind}\n" in text
    assert "hashmatch_audit_queued_records " not in text.replace("# HELP hashmatch_audit_queued_records ", "").replace(
        "# TYPE hashmatch_audit_queued_records ", ""
    )


def test_both_forms_say_the_same() -> None:
    text, kind = rendered(view(), "application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text")
    opened = {
        sample.name
        for family in parse_open(text.decode())  # type: ignore[no-untyped-call]
        for sample in family.samples
    }
    assert {name for name, _ in samples(rendered(view())[0].decode())} == opened


def test_names_follow_the_conventions() -> None:
    names = [family.name for family in (*FAMILIES, *PROCESS)]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert family.name.startswith("hashmatch_")
        assert family.name.endswith("_total") is (family.kind is Kind.COUNTER)
        assert family.name.endswith("_seconds") or family.kind is not Kind.HISTOGRAM
        assert "_ms" not in family.name
        assert family.help[0].isupper() or family.help[0].isdigit()
    assert [metric.type for metric in metrics(view())] == [str(family.kind) for family in FAMILIES]


async def test_the_page_is_served_over_http_and_nothing_else_is() -> None:
    shown = view()
    page = Page(MetricsConfig(listen="127.0.0.1:0"), lambda: shown)
    assert repr(page) == "<Page on nothing yet>"
    async with page, aiohttp.ClientSession(f"http://{page.address}") as client:
        assert repr(page) == f"<Page on {page.address}>"
        async with client.get("/metrics") as answer:
            assert answer.status == 200
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert "hashmatch_requests_in_flight 4.0" in await answer.text()
        async with client.get("/") as answer:
            assert answer.status == 404
        async with client.post("/metrics", data=b"x") as answer:
            assert answer.status == 405
    await page.close()
    with pytest.raises(aiohttp.ClientConnectionError):
        async with aiohttp.ClientSession() as client:
            await client.get(f"http://{page.address}/metrics")


async def test_an_address_that_is_taken_keeps_the_service_from_starting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadConfig, match=f"metrics.listen: cannot listen on 127.0.0.1:{port}: .*") as caught:
            await Page(MetricsConfig(listen=f"127.0.0.1:{port}"), view).start()
    assert caught.value.field == "metrics.listen"


@pytest.mark.parametrize(
    ("listen", "process", "expected"),
    [
        ("127.0.0.1:9464", 0, ("127.0.0.1", 9464)),
        ("127.0.0.1:9464", 3, ("127.0.0.1", 9467)),
        ("127.0.0.1:0", 3, ("127.0.0.1", 0)),
        ("[::1]:9464", 1, ("::1", 9465)),
        ("localhost:9464", 0, ("localhost", 9464)),
    ],
)
def test_each_process_has_a_port_of_its_own(listen: str, process: int, expected: tuple[str, int]) -> None:
    assert judged(MetricsConfig(listen=listen), process) == expected


@pytest.mark.parametrize(
    ("listen", "process", "message"),
    [
        ("9464", 0, "'9464' is not an address; expected host:port"),
        (":9464", 0, "':9464' is not an address"),
        ("127.0.0.1:x", 0, "'127.0.0.1:x' is not an address"),
        ("127.0.0.1:70000", 0, "'127.0.0.1:70000' is not an address"),
        ("0.0.0.0:9464", 0, "0.0.0.0:9464 can be reached from other machines, and the page knows no callers"),
        ("example.org:9464", 0, "example.org:9464 can be reached from other machines"),
        ("127.0.0.1:65535", 1, r"there is no port 65535 \+ 1 for process 1"),
    ],
)
def test_addresses_that_are_refused(listen: str, process: int, message: str) -> None:
    with pytest.raises(BadConfig, match=f"metrics.listen: {message}"):
        judged(MetricsConfig(listen=listen), process)


def test_beyond_this_machine_when_told_so() -> None:
    assert judged(MetricsConfig(listen="0.0.0.0:9464", allow_remote=True)) == ("0.0.0.0", 9464)  # noqa: S104
