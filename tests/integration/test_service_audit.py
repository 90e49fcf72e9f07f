"""The real service keeps account: of every call and change, without content, and says when it cannot."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import errno
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hashmatch.audit.log import make_directory, signing_key
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.client import AsyncClient, RetryPolicy
from hashmatch.config import AuditConfig, Config, IndexConfig, fingerprint
from hashmatch.errors import HashmatchError, RollbackRefused, Unauthenticated
from hashmatch.ledger import Writer
from hashmatch.ledger.files import Files
from hashmatch.model import Entry, EntryHash, HarmDomain
from hashmatch.service.server import serve
from hashmatch.signatures import load_verify_key
from tests.support.auditing import bodies, recorded
from tests.support.canary import call_everything, leaks
from tests.support.identity import account, keyed, write
from tests.support.ledger import SMALL, Ticks, found, raw_lines, segment_files
from tests.support.sandbox import patient
from tests.support.service import loopback, until

CONFIG = Config(
    server=loopback(),
    sandbox=patient(),
    index=IndexConfig(poll_ms=10),
    audit=AuditConfig(fsync_ms=1),
)
NO_IMAGE = b"no image"


@contextlib.asynccontextmanager
async def service(data_dir: Path, config: Config = CONFIG) -> AsyncIterator[AsyncClient]:
    """Serve ``data_dir`` in this process; yields a client of it that tries nothing again."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    running = asyncio.create_task(serve(config, data_dir, on_ready=ready.set_result, stop=stop))
    started: set[asyncio.Future[Any]] = {running, ready}
    await asyncio.wait(started, return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    async with AsyncClient(await ready, retry=RetryPolicy(attempts=1)) as client:
        try:
            yield client
        finally:
            stop.set()
            await running


async def settled(client: AsyncClient) -> None:
    """Return once everything that was to be recorded is on the disk."""
    async with asyncio.timeout(300):
        while (audit := (await client.status()).audit) is None or audit.queued:
            pass


def kinds(data_dir: Path) -> list[str]:
    return [record["kind"] for record in recorded(data_dir)]


async def test_calls_changes_start_and_stop_are_recorded_and_verify(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        await client.create_hash_set("known", HarmDomain.OTHER)
        await client.import_entries("known", [Entry("e1", (EntryHash("md5", bytes(16)),))])
        await client.detect(NO_IMAGE)
        await client.withdraw_entry("known", "e1", reason="a test", actor="tests")
        status = await client.status()
        assert status.audit is not None
        assert (status.audit.trouble, status.audit.lost) == ("", 0)
    key = load_verify_key(tmp_path / "audit" / "signing.key.pub")
    summary, findings = found(tmp_path / "audit" / "001", keys=[key])
    assert findings == []
    assert (summary.ledger, summary.unvouched) == (status.audit.ledger, 0)
    told = kinds(tmp_path)
    assert (told[0], told[-1]) == ("service.started", "service.stopped")
    assert [kind for kind in told if kind != "index.generation"] == [
        "service.started", "set.created", "set.imported", "detect", "entry.withdrawn", "service.stopped",
    ]  # fmt: skip
    (detected,) = bodies(tmp_path, "detect")
    assert (detected["caller"], detected["status"], detected["bytes"]) == ("local", "OK", len(NO_IMAGE))
    assert (detected["verdict"], detected["reason"]) == ("not_checked", "unsupported_format")
    generations = [body["generation"] for body in bodies(tmp_path, "index.generation")]
    assert detected["generation"] in generations
    assert len(generations) == len(set(generations))
    header = next(raw_lines(tmp_path / "audit" / "001"))
    assert f'"config":"{fingerprint(CONFIG)}"'.encode() in header
    assert b'"confined":true' in header
    assert b'"seccomp":true' in header


async def test_nothing_that_callers_send_is_in_the_log_but_the_names_of_sets(tmp_path: Path) -> None:
    async with service(tmp_path) as client:
        await call_everything(client)
    lines = [line.decode() for line in raw_lines(tmp_path / "audit" / "001")]
    assert {"detect", "detect_hashes", "rescan", "set.created", "entry.voted"} <= set(kinds(tmp_path))
    told = [line.replace('"set":"canary7f3a9c"', "").replace('"sets":["canary7f3a9c"]', "") for line in lines]
    assert leaks("\n".join(told)) == []
    assert leaks("\n".join(lines)) != [], "the search would find it"


@pytest.mark.parametrize("required", [True, False])
async def test_a_disk_that_refuses_is_said_and_stops_calls_only_where_the_audit_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, required: bool
) -> None:
    config = dataclasses.replace(CONFIG, audit=dataclasses.replace(CONFIG.audit, required=required))

    def refused(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with service(tmp_path, config) as client:
        await client.wait_ready()
        await settled(client)  # or the disk would refuse the start's own records, before the first call
        with monkeypatch.context() as patch:
            patch.setattr(Files, "sync", refused)
            await client.detect(NO_IMAGE)

            async def trouble() -> str:
                status = await client.status()
                assert status.audit is not None
                return status.audit.trouble

            async with asyncio.timeout(300):
                while await trouble() != "No space left on device":
                    pass
            if required:
                with pytest.raises(
                    HashmatchError, match="calls are refused while the audit log cannot be written: No space left on"
                ) as caught:
                    await client.detect(NO_IMAGE)
                assert caught.value.status.value == "UNAVAILABLE"
                with pytest.raises(HashmatchError, match="calls are refused while the audit log cannot be written"):
                    await client.create_hash_set("known", HarmDomain.OTHER)
            else:
                await client.detect(NO_IMAGE)
        async with asyncio.timeout(300):
            while await trouble():
                pass
        await client.detect(NO_IMAGE)
    assert found(tmp_path / "audit" / "001", keys=())[1] == []
    assert kinds(tmp_path).count("detect") == (2 if required else 3)
    assert "set.created" not in kinds(tmp_path)


async def test_who_was_refused_is_recorded(tmp_path: Path) -> None:
    forum, _ = keyed(account("forum"))
    write(tmp_path / "keys.json", forum)
    async with service(tmp_path) as client:
        for _ in range(3):
            with pytest.raises(Unauthenticated):
                await client.detect(NO_IMAGE)
    first, rest = bodies(tmp_path, "call.refused")
    assert first == {
        "caller": "anonymous", "method": "Detect", "error": "UNAUTHENTICATED", "lack": "nothing_shown",
        "peer": "loopback", "count": 1,
    }  # fmt: skip
    assert {**rest, **first, "count": 2} == rest
    assert kinds(tmp_path)[-1] == "service.stopped"


def fill(data_dir: Path) -> None:
    """Make a catalog with an entry."""
    with SqliteCatalog.open(data_dir / "catalog.sqlite3") as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        catalog.import_entries("known", [Entry("e1", (EntryHash("md5", bytes(16)),))])


def lose_catalog(data_dir: Path) -> None:
    """Take the catalog away; what was published from it stays."""
    for path in sorted(data_dir.glob("catalog.sqlite3*")):
        path.unlink()


async def test_a_service_that_does_not_start_records_why(tmp_path: Path) -> None:
    fill(tmp_path)
    async with service(tmp_path) as client:
        await client.wait_ready()
    lose_catalog(tmp_path)
    with pytest.raises(RollbackRefused, match="the catalog was replaced by an older one"):
        async with service(tmp_path):
            pytest.fail("it started")
    assert kinds(tmp_path) == ["service.started", "service.stopped", "service.refused", "service.stopped"]
    assert bodies(tmp_path, "service.refused") == [{"caller": "local", "error": "ROLLBACK_REFUSED"}]


async def test_a_catalog_that_goes_back_while_it_is_followed_is_recorded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    polls = 0

    def refused(*_: object) -> None:
        nonlocal polls
        polls += 1
        raise RollbackRefused

    async with service(tmp_path) as client:
        await client.wait_ready()
        generation = (await client.status()).index.generation
        monkeypatch.setattr("hashmatch.publish.Publisher.sync", refused)
        await until(lambda: polls > 3)
    assert bodies(tmp_path, "index.rollback_refused") == [{"caller": "local", "generation": generation}]


async def test_records_are_kept_for_so_long_and_what_went_is_vouched_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = tmp_path / "audit"
    make_directory(directory)
    clock, key = Ticks(), signing_key(CONFIG.audit, directory)
    clock.ns = time.time_ns() - 400 * 86_400_000_000_000
    for log in ("001", "002"):
        with Writer.open(directory / log, key, about={}, options=SMALL, clock=clock) as ledger:
            for number in range(9):
                ledger.append("detect", {"number": number})
    config = dataclasses.replace(CONFIG, audit=dataclasses.replace(CONFIG.audit, keep_days=365))
    async with service(tmp_path, config) as client:
        await client.detect(NO_IMAGE)
        await until(lambda: b'"ledger.removed"' in segment_files(directory / "002")[-1].read_bytes())
    assert (
        main(["--data", str(tmp_path), "--json", "audit", "verify", "--key", str(directory / "signing.key.pub")]) == 0
    )
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["removed"] > 0, row["rule"], row["findings"]) for row in rows] == [
        (True, "audit.keep_days = 365", 0)
    ] * 2
    assert "detect" not in [record["kind"] for record in recorded(tmp_path, "002")]
    assert kinds(tmp_path)[-1] == "service.stopped"


async def test_a_service_may_keep_no_account(tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, audit=AuditConfig(enabled=False))
    async with service(tmp_path, config) as client:
        await client.detect(NO_IMAGE)
        assert (await client.status()).audit is None
    assert not (tmp_path / "audit").exists()
