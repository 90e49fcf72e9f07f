"""``hashmatch serve``: the gRPC service on the embedded catalog, until it is told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, write_json
from hashmatch.errors import ExitCode

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.report.status import ServiceStatus
    from hashmatch.service.supervisor import Up

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "event": "`serving`",
        "address": "where, with the port that was taken when port 0 was asked for",
        "generation": "generation of the index that is being searched",
        "entries": "entries that are not withdrawn",
        "processes": "how many share the address",
        "metrics": "address of the page of metrics, null without `metrics.listen`; of several processes each has "
        "one, on the ports from there on",
    }
)
"""Keys of the one row of ``serve --json``, printed when the service is ready."""


def adjusted(config: Config, listen: str | None, processes: int | None) -> Config:
    """Return ``config`` with what was given on the command line, if anything."""
    server = config.server
    return dataclasses.replace(
        config,
        server=dataclasses.replace(
            server,
            listen=server.listen if listen is None else listen,
            processes=server.processes if processes is None else processes,
        ),
    )


@click.command(
    "serve",
    cls=Command,
    epilog=example(
        "hashmatch serve", "hashmatch serve --config hashmatch.toml --data /var/lib/hashmatch --listen 127.0.0.1:50051"
    ),
)
@click.option("--listen", metavar="ADDR", help="Address to listen on, e.g. 127.0.0.1:50051; overrides server.listen.")
@click.option("--processes", type=click.IntRange(0, 256), metavar="N", help="Processes that share the address; 0: one "
              "per core; overrides server.processes.")  # fmt: skip
@pass_options
def serve(options: GlobalOptions, listen: str | None, processes: int | None) -> ExitCode:
    """Serve detection, hash sets and status over gRPC.

    The embedded catalog is made when there is none. SIGTERM and Ctrl-C let accepted calls finish; a second one does
    not. With several processes SIGHUP reads the configuration again and replaces them one after the other. With --json
    a line on stdout says when the service is ready and where.
    """
    from hashmatch.service.seating import seats

    def adjust(config: Config) -> Config:
        return adjusted(config, listen, processes)

    config, output = adjust(options.load_config()), Output(options)
    asyncio.run(_serve(config, options, output) if seats(config) == 1 else _supervise(adjust, options, output))
    return ExitCode.CLEAN


async def _serve(config: Config, options: GlobalOptions, output: Output) -> None:
    from hashmatch.service.server import serve as serve_grpc

    pages: list[str] = []

    def announce(address: str, status: ServiceStatus) -> None:
        from hashmatch.service.supervisor import Up

        _announce(output, Up(address, 1, status.index.generation, status.entries), pages[0])

    await serve_grpc(config, options.data_dir, on_serving=announce, on_metrics=pages.append)


async def _supervise(adjust: Callable[[Config], Config], options: GlobalOptions, output: Output) -> None:
    from hashmatch.service.supervisor import Source, supervise

    page = adjust(options.load_config()).metrics.listen

    def announce(up: Up) -> None:
        _announce(output, up, page)

    source = Source(options.config_path, adjust, options.data_dir, options.log_level, options.log_format)
    await supervise(source, announce)


def _announce(output: Output, up: Up, page: str) -> None:
    if output.json:
        record = {
            "event": "serving",
            "address": up.address,
            "generation": up.generation,
            "entries": up.entries,
            "processes": up.processes,
            "metrics": page or None,
        }
        write_json(record, output.stdout)
    by = "" if up.processes == 1 else f" by {up.processes} processes"
    output.remark(f"serving on {up.address}{by}, generation {up.generation}, {up.entries} entries")
    if page:
        output.remark(f"metrics on http://{page}/metrics")
