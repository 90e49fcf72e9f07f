"""``hashmatch serve``: the gRPC service on the embedded catalog, until it is told to stop."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output, write_json
from hashmatch.errors import ExitCode

if TYPE_CHECKING:
    from hashmatch.config import Config
    from hashmatch.report.status import ServiceStatus

FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "event": "`serving`",
        "address": "where, with the port that was taken when port 0 was asked for",
        "generation": "generation of the index that is being searched",
        "entries": "entries that are not withdrawn",
    }
)
"""Keys of the one row of ``serve --json``, printed when the service is ready."""


def with_listen(config: Config, listen: str | None) -> Config:
    """Return ``config`` with the address given on the command line, if any."""
    if listen is None:
        return config
    return dataclasses.replace(config, server=dataclasses.replace(config.server, listen=listen))


@click.command(
    "serve",
    cls=Command,
    epilog=example(
        "hashmatch serve", "hashmatch serve --config hashmatch.toml --data /var/lib/hashmatch --listen 127.0.0.1:50051"
    ),
)
@click.option("--listen", metavar="ADDR", help="Address to listen on, e.g. 127.0.0.1:50051; overrides server.listen.")
@pass_options
def serve(options: GlobalOptions, listen: str | None) -> ExitCode:
    """Serve detection, hash sets and status over gRPC.

    The embedded catalog is made when there is none. SIGTERM and Ctrl-C let accepted calls finish; a second one does
    not. With --json a line on stdout says when the service is ready and where.
    """
    asyncio.run(_serve(with_listen(options.load_config(), listen), options, Output(options)))
    return ExitCode.CLEAN


async def _serve(config: Config, options: GlobalOptions, output: Output) -> None:
    from hashmatch.service.server import serve as serve_grpc

    def announce(address: str, status: ServiceStatus) -> None:
        generation, entries = status.index.generation, status.entries
        if output.json:
            record = {"event": "serving", "address": address, "generation": generation, "entries": entries}
            write_json(record, output.stdout)
        output.remark(f"serving on {address}, generation {generation}, {entries} entries")

    await serve_grpc(config, options.data_dir, on_serving=announce)
