"""The page of metrics and the status of a service that runs: real workers, a real catalog, real calls."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from hashmatch.cli.connection import Server
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.status_watch import watch
from hashmatch.client import Access, AsyncClient
from hashmatch.config import Config, MetricsConfig
from hashmatch.model import HarmDomain, Verdict
from hashmatch.service.server import serve
from hashmatch.telemetry.families import FAMILIES, PROCESS
from tests.repo import tree
from tests.repo.test_watching import ALERTS, DASHBOARD, RECORDED, RULES, metrics_in, queries, rules
from tests.support.images import encoded, photo
from tests.support.sandbox import patient
from tests.support.service import loopback
from tests.unit.telemetry.test_page import samples

ALLOWED = RECORDED | {"up"}


@contextlib.asynccontextmanager
async def running(data_dir: Path) -> AsyncIterator[tuple[str, str]]:
    """Serve with one worker and a page until the block ends; yield both addresses."""
    config = Config(server=loopback(), sandbox=patient(), metrics=MetricsConfig(listen="127.0.0.1:0", poll_s=1))
    stop, ready, pages = asyncio.Event(), asyncio.get_running_loop().create_future(), list[str]()
    task = asyncio.create_task(serve(config, data_dir, on_metrics=pages.append, on_ready=ready.set_result, stop=stop))
    try:
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
        yield ready.result(), pages[0]
    finally:
        stop.set()
        await task


async def page_of(address: str) -> str:
    """Read the page."""
    async with aiohttp.ClientSession() as client, client.get(f"http://{address}/metrics") as answer:
        return await answer.text()


async def test_a_service_that_runs_shows_every_metric_that_anybody_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(tmp_path) as (target, address), AsyncClient(target) as client:
        await client.create_hash_set("known", HarmDomain.OTHER)
        assert (await client.detect(encoded(photo(), "JPEG"))).verdict is Verdict.NO_MATCH
        assert (await client.detect(b"no image")).verdict is Verdict.NOT_CHECKED
        async with asyncio.timeout(300):
            # until it is on the disk, of which there is no event
            while samples(text := await page_of(address))["hashmatch_audit_sequence", ()] <= 0:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        status = await client.status()
        await watch(Server(target, Access()), Output(GlobalOptions(json=True)), 0.01, 2)
    for family in (*FAMILIES, *PROCESS):
        assert f"# TYPE {family.name} {family.kind}\n" in text, family.name

    shown = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    shown |= {name for name, _ in samples(text)}
    asked = [rule["expr"] for path in (RULES, ALERTS) for rule in rules(tree.read(path))]
    named = {name for query in (*asked, *queries(tree.read(DASHBOARD))) for name in metrics_in(query)}
    histograms = {f"{family.name}_{part}" for family in FAMILIES for part in ("bucket", "sum", "count")}
    assert named - shown - histograms - ALLOWED == set()

    found = samples(text)
    detect = ("method", "/hashmatch.v1.DetectionService/Detect")
    assert found["hashmatch_requests_total", (detect, ("status", "OK"))] == 2
    assert found["hashmatch_request_duration_seconds_count", (detect,)] == 2
    assert found["hashmatch_caller_requests_total", (("caller", "local"), ("status", "OK"))] == 3
    assert found["hashmatch_verdicts_total", (("kind", "image"), ("verdict", "not_checked"))] == 1
    for stage in ("decode", "hash", "policy", "queue", "sandbox", "search", "total"):
        assert found["hashmatch_stage_duration_seconds_count", (("kind", "image"), ("stage", stage))] == 2
    assert found["hashmatch_workers", ()] == 1
    assert found["hashmatch_images_total", ()] >= 1
    assert found["hashmatch_ready", (("condition", "index"),)] == 1
    assert found["hashmatch_index_sequence", ()] == 1
    assert found["hashmatch_audit_sequence", ()] > 0

    assert status.traffic.verdicts == {"no_match": 1, "not_checked": 1}
    assert status.failing == ()
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["server"], first["calls_per_s"], first["stages"]["total"]["count"]) == (target, None, 2)
    assert second["calls_per_s"] > 0  # the first look
    assert second["stages"]["total"]["count"] == 0


def test_the_rules_are_yaml_as_prometheus_reads_it() -> None:
    for path in (RULES, ALERTS):
        (group,) = yaml.safe_load(tree.read(path))["groups"]
        assert set(group) <= {"name", "interval", "rules"}
        for rule in group["rules"]:
            assert set(rule) <= {"record", "alert", "expr", "for", "labels", "annotations"}
