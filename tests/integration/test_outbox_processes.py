"""Processes that deliver from one PostgreSQL database: killed again and again, and two at a time.

A webhook is taken by the key of its delivery, so a report that is sent twice is one to its receiver; tests count what
it keeps, and where nobody dies also what was sent. Figures are written with what they count, so they are exact.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import signal
import sys
from pathlib import Path

import pytest

from hashmatch.cases.counters import CounterStore
from hashmatch.cases.store import CaseStore, NewCase
from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.postgres import PostgresCatalog
from hashmatch.catalog.relational import RelationalCatalog
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import CatalogConfig
from hashmatch.model.cases import Environment
from hashmatch.model.deliveries import DeliveryState
from hashmatch.model.figures import Counter
from hashmatch.outbox.rows import Order
from hashmatch.outbox.store import DeliveryStore
from tests.support import cases
from tests.support.receivers.hooks import SECRET, Hooks
from tests.support.reporting import present, undelivered_until
from tests.support.service import until

COUNT = 12
PATIENCE_S = 300


def queued(catalog: RelationalCatalog, count: int) -> list[bytes]:
    """Queue reports of one case, and return what they say."""
    CaseStore(catalog).add(NewCase(cases.case(), present() + dt.timedelta(365), b"d" * 32), "anna")
    bodies = [f"report {number:03}".encode() for number in range(count)]
    for number, body in enumerate(bodies):
        order = Order(
            case_id=cases.CASE_ID,
            outlet="hook",
            environment=Environment.TEST,
            document=cases.document(body),
            key=f"key-{number}",
            requested_by="anna",
        )
        DeliveryStore(catalog).queue(order, present())
    return bodies


def configuration(folder: Path, hooks: Hooks, catalog: str, lease_s: int = 5) -> tuple[str, ...]:
    """Write a configuration and return the command that delivers under it."""
    config = folder / "hashmatch.toml"
    config.write_text(
        f'{catalog}[outbox]\nlease_s = {lease_s}\nfirst_wait_s = 0\n[outbox.outlets.hook]\nkind = "webhook"\n'
        f'environment = "test"\nurl = "{hooks.url}"\ncredentials = "env:HOOK"\nconcurrency = 2\n',
        encoding="utf-8",
    )
    return (sys.executable, "-m", "hashmatch", "--config", str(config), "--data", str(folder), "report", "deliver")


async def started(command: tuple[str, ...]) -> asyncio.subprocess.Process:
    environ = {**os.environ, "HOOK_SECRET": SECRET}
    return await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=environ
    )


async def killed(command: tuple[str, ...], hooks: Hooks, after: int, pause_s: float) -> None:
    """Start a process and kill it some time after it has sent so many."""
    before = len(hooks.requests)
    process = await started(command)
    with contextlib.suppress(TimeoutError):
        await until(lambda: len(hooks.requests) >= before + after or process.returncode is not None)
    await asyncio.sleep(pause_s)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGKILL)
    _, said = await process.communicate()
    assert process.returncode in {0, -signal.SIGKILL}, said.decode()


async def finished(command: tuple[str, ...], catalog: RelationalCatalog) -> None:
    """Deliver until everything has arrived; leases of the dead have to end."""
    async with asyncio.timeout(PATIENCE_S):
        while (due_at := undelivered_until(catalog)) is not None:
            await asyncio.sleep((due_at - present()).total_seconds())
            process = await started(command)
            _, said = await process.communicate()
            assert process.returncode == 0, said.decode()


def reported(catalog: RelationalCatalog) -> int:
    """Return the figure of reports that arrived."""
    day = present().date()
    rows = CounterStore(catalog).between(day - dt.timedelta(1), day)
    return sum(row.count for row in rows if row.counter is Counter.REPORTED)


@pytest.mark.usefixtures("postgres")
async def test_killed_again_and_again_on_postgresql_every_report_arrives_once(
    database: CatalogConfig, tmp_path: Path
) -> None:
    async with Hooks(present) as hooks:
        with PostgresCatalog.open(database) as catalog:
            bodies = queued(catalog, COUNT)
            command = configuration(tmp_path, hooks, f'[catalog]\nurl = "{database.url}"\n')
            for round_ in range(5):
                await killed(command, hooks, 1 + round_ % 2, 0.004 * round_)
            await finished(command, catalog)
            assert reported(catalog) == COUNT
        assert sorted(hooks.taken.values()) == bodies
        assert hooks.refused == []


async def test_a_process_killed_while_it_settles_counts_each_report_once(tmp_path: Path) -> None:
    """The figure and the state are one transaction: there is no moment in between to die in."""
    async with Hooks(present) as hooks:
        with SqliteCatalog.open(tmp_path / CATALOG) as catalog:
            bodies = queued(catalog, COUNT)
            command = configuration(tmp_path, hooks, "")
            for round_ in range(5):
                await killed(command, hooks, 2, 0.002 * round_)
                states = [item.state for item in DeliveryStore(catalog).of_case(cases.CASE_ID)]
                assert reported(catalog) == states.count(DeliveryState.DELIVERED)
            await finished(command, catalog)
            assert reported(catalog) == COUNT
        assert sorted(hooks.taken.values()) == bodies


@pytest.mark.usefixtures("postgres")
async def test_two_processes_on_one_database_send_each_report_once(database: CatalogConfig, tmp_path: Path) -> None:
    async with Hooks(present) as hooks:
        with PostgresCatalog.open(database) as catalog:
            bodies = queued(catalog, 40)
            command = configuration(tmp_path, hooks, f'[catalog]\nurl = "{database.url}"\n', lease_s=600)
            both = [await started(command) for _ in range(2)]
            said = [await process.communicate() for process in both]
            assert [process.returncode for process in both] == [0, 0], said
            tries = [int(text.decode().split(" tries")[0].rsplit(maxsplit=1)[-1]) for _, text in said]
            assert sum(tries) == len(bodies)
            assert reported(catalog) == len(bodies)
        assert sorted(hooks.taken.values()) == bodies
        assert len(hooks.requests) == len(bodies), "nobody sent what the other one had"
