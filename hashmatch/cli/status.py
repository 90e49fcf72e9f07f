"""``hashmatch status``: what a server is doing, or what is installed here and lies in the data directory.

Theory of operation
-------------------
A server answers for itself. Without one, three probes look for themselves and each reports its own failure instead of
ending the command, because somebody who asks for the status wants to hear of everything that is wrong: the catalog is
opened and counted, the newest snapshot is verified as a server would, and one confined worker is started and put
through the self-test. The exit code is the worst that was found.

What this module deliberately does not do: it builds and repairs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from hashmatch import __version__
from hashmatch.cli.connection import Server, connects
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, Styled
from hashmatch.errors import BadConfig, BadInput, ExitCode, HashmatchError

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.report.status import Protection, QuarantinedEntry, ServiceStatus
    from hashmatch.sandbox.posture import Protection as SandboxProtection

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "version": "of hashmatch",
        "server": "address that was asked, null without `--server`",
        "data_dir": "directory that was looked at, null with `--server`",
        "started_at": "since when the server runs",
        "libraries": "versions of the libraries that decide what a hash is",
        "algorithms": "installed algorithms, in the table's order",
        "catalog": "`hash_sets`, `entries` (not withdrawn), and without `--server` `withdrawn` and `sequence`",
        "index": "with `--server` what is being searched; without, the newest `snapshot`, its `sequence` and whether "
        "it `verified`",
        "quarantined": "entries that the flood guard put into quarantine: `set`, `entry_id`, `at`, `reason`",
        "follower": "how far the server's index may lag: `behind` changes, `lag_ms` since it was known to hold all, "
        "whether changes are `announced`, and the `error` if it cannot follow; null without `--server`",
        "audit": "the audit log that the server writes: its id, `seq` and `head_seq` of the last record and signed "
        "head, `queued`, `lost`, and the `trouble` if it cannot be written; null without `--server` and where nothing "
        "is recorded",
        "traffic": "what the process that answers did since it started: `calls` by method and status, `verdicts`, "
        "`matches` by set and verdict; null without `--server`",
        "outbox": "deliveries that are neither delivered nor cancelled, by outlet and state; null without `--server`",
        "failing": "conditions of readiness that do not hold; null without `--server`",
        "sandbox": "`confined`, and each of the `protections` with `active` and `detail`",
    }
)
"""Keys of the one row of ``status --json``; ``catalog``, ``index``, ``sandbox`` may hold an ``error`` instead."""

Record = dict[str, object]


@click.command(
    "status",
    cls=Command,
    epilog=example(
        "hashmatch status",
        "hashmatch status --server 127.0.0.1:50051 --json",
        "hashmatch status --server 127.0.0.1:50051 --watch",
    ),
)
@connects("Ask this server; default: look at the data directory.")
@click.option("--watch", is_flag=True, help="Look again and again, until Ctrl-C; needs --server.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, 3_600),
    default=2.0,
    metavar="SECONDS",
    show_default=True,
    help="Time between two looks.",
)
@click.option(
    "--looks", type=click.IntRange(0), default=0, metavar="N", help="End after so many looks; default: never."
)
@pass_options
def status(options: GlobalOptions, server: Server | None, *, watch: bool, every: float, looks: int) -> ExitCode:
    """Print what is served, by what, and how well the decoding of images is confined.

    Without --server the catalog and its newest snapshot are looked at, and a confined worker is started and tested.
    With --watch throughput, times and matches are those since the last look.

    Exit codes: 0 all is well, 4 a server or the sandbox is not available, 5 stored data did not verify.
    """
    if watch:
        return _watch(options, server, every, looks)
    record, code = asyncio.run(_ask(server)) if server else _look(options)
    output = Output(options)
    with output.results("name", "value") as results:
        if output.json:
            results.add(record)
        else:
            for name, value in flat(record):
                results.add({}, name, _emphasised(name, value))
    return code


def _watch(options: GlobalOptions, server: Server | None, every_s: float, looks: int) -> ExitCode:
    """Show look after look; Ctrl-C is how that ends."""
    from hashmatch.cli.status_watch import watch

    if server is None:
        raise BadInput("--watch needs a server to ask: --server ADDR", field="watch")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watch(server, Output(options), every_s, looks))
    return ExitCode.CLEAN


async def _ask(server: Server) -> tuple[Record, ExitCode]:
    from hashmatch.client.aio import AsyncClient

    async with AsyncClient(server.address, access=server.access) as client:
        return of_server(server.address, await client.status()), ExitCode.CLEAN


def of_server(server: str, said: ServiceStatus) -> Record:
    """Return the row for what a server said of itself."""
    from hashmatch.report.json import moment_to_json

    index, workers = dataclasses.asdict(said.index), dataclasses.asdict(said.workers)
    return {
        "version": said.version,
        "server": server,
        "data_dir": None,
        "started_at": moment_to_json(said.started_at),
        "libraries": dict(said.libraries),
        "algorithms": None,
        "catalog": {"hash_sets": said.hash_sets, "entries": said.entries},
        "index": {**index, "values": dict(said.index.values)},
        "quarantined": [_quarantined(item) for item in said.quarantined],
        "follower": dataclasses.asdict(said.follower),
        "audit": None if said.audit is None else dataclasses.asdict(said.audit),
        "traffic": {
            "calls": _nested((item.method, item.status, item.count) for item in said.traffic.calls),
            "verdicts": dict(said.traffic.verdicts),
            "matches": _nested((item.set_name, item.verdict, item.count) for item in said.traffic.matches),
        },
        "outbox": _nested((item.outlet, item.state, item.count) for item in said.outbox),
        "failing": list(said.failing),
        "sandbox": {**workers, "protections": _protections(said.workers.protections)},
    }


def _nested(rows: Iterable[tuple[str, str, int]]) -> Record:
    """Return counts by two names as an object of objects."""
    nested: dict[str, dict[str, int]] = {}
    for outer, inner, count in rows:
        nested.setdefault(outer, {})[inner] = count
    return dict(nested)


def _look(options: GlobalOptions) -> tuple[Record, ExitCode]:
    """Probe what is installed here and lies in the data directory."""
    from hashmatch.hashing import algorithms
    from hashmatch.service.runtime import LIBRARIES

    config = options.load_config()
    catalog, in_quarantine, catalog_code = _catalog(options, config)
    index, index_code = _snapshot(options)
    sandbox, sandbox_code = asyncio.run(_sandbox(config))
    record: Record = {
        "version": __version__,
        "server": None,
        "data_dir": str(options.data_dir),
        "started_at": None,
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
        "algorithms": list(algorithms.table()),
        "catalog": catalog,
        "index": index,
        "quarantined": in_quarantine,
        "follower": None,
        "audit": None,
        "traffic": None,
        "outbox": None,
        "failing": None,
        "sandbox": sandbox,
    }
    return record, max(catalog_code, index_code, sandbox_code)


def _catalog(options: GlobalOptions, config: Config) -> tuple[Record, list[Record], ExitCode]:
    """Open and count the catalog, with what is in quarantine; none yet is no failure, a server makes one."""
    from hashmatch.catalog.opening import open_catalog
    from hashmatch.service.flooding import quarantined

    try:
        with open_catalog(config.catalog, options.data_dir, make=False) as catalog:
            counts = dataclasses.asdict(catalog.counts())
            in_quarantine = [_quarantined(item) for item in quarantined(catalog)]
    except BadConfig as error:
        return {"error": error.message}, [], error.exit_code
    except BadInput:
        return {"exists": False}, [], ExitCode.CLEAN
    except HashmatchError as error:
        return {"exists": True, "error": error.message}, [], error.exit_code
    return {"exists": True, **counts}, in_quarantine, ExitCode.CLEAN


def _quarantined(item: QuarantinedEntry) -> Record:
    """Return what is shown of an entry that the flood guard put into quarantine."""
    from hashmatch.report.json import moment_to_json

    return {"set": item.set_name, "entry_id": item.entry_id, "at": moment_to_json(item.at), "reason": item.reason}


def _snapshot(options: GlobalOptions) -> tuple[Record, ExitCode]:
    """Verify the newest snapshot as a server that starts would; none yet is no failure, a server builds one."""
    from hashmatch.publish import SnapshotFile
    from hashmatch.service.runtime import SEGMENTS

    directory = options.data_dir / SEGMENTS
    newest = next(iter(SnapshotFile.all_in(directory)), None) if directory.is_dir() else None
    if newest is None:
        return {"snapshot": None}, ExitCode.CLEAN
    found = {"snapshot": newest.generation, "sequence": newest.sequence, "file": newest.path.name}
    try:
        newest.open()
    except HashmatchError as error:
        return {**found, "verified": False, "error": error.message}, error.exit_code
    except OSError as error:
        return {**found, "verified": False, "error": error.strerror}, ExitCode.SERVICE
    return {**found, "verified": True}, ExitCode.CLEAN


async def _sandbox(config: Config) -> tuple[Record, ExitCode]:
    """Start one confined worker, which puts it through the self-test."""
    from hashmatch.sandbox.pool import WorkerPool

    one = dataclasses.replace(config.sandbox, workers=1)
    try:
        async with WorkerPool(config.decode, one) as pool:
            posture = pool.status().posture
    except HashmatchError as error:
        return {"confined": False, "error": error.message}, error.exit_code
    if posture is None:
        return {"confined": False, "error": "the worker did not report its confinement"}, ExitCode.SERVICE
    return {"confined": posture.confined, "protections": _protections(posture.protections)}, ExitCode.CLEAN


def _protections(said: Iterable[Protection | SandboxProtection]) -> list[Record]:
    return [{"name": item.name, "active": item.active, "detail": item.detail} for item in said]


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield ``(dotted name, text)`` for whatever in ``record`` has a value; a protection goes by its own name."""
    for key, value in record.items():
        name = f"{prefix}{key}"
        match value:
            case None | []:
                continue
            case Mapping():
                yield from flat(value, f"{name}.")
            case [{"entry_id": _}, *_]:
                for item in value:
                    yield f"{name}.{item['set']}/{item['entry_id']}", f"{item['at']}: {item['reason']}"
            case [{"name": _}, *_]:
                for item in value:
                    yield f"{name}.{item['name']}", f"{'active' if item['active'] else 'NOT ACTIVE'}: {item['detail']}"
            case list():
                yield name, ", ".join(map(str, value))
            case bool():
                yield name, "yes" if value else "no"
            case _:
                yield name, str(value)


def _emphasised(name: str, value: str) -> str | Styled:
    """Return the cell, coloured where it tells good from bad."""
    if name.startswith("quarantined."):
        return Styled(value, "bold yellow")
    if name.endswith(".error") or value.startswith("NOT ACTIVE"):
        return Styled(value, "bold red")
    if name.endswith((".confined", ".verified")):
        return Styled(value, "green" if value == "yes" else "bold red")
    return value
