"""``hashmatch report relay``: the file of a delivery, through a service to its receiver.

Theory of operation
-------------------
The receiver's digest is compared with the one that was announced, so the file is read twice: once for its MD5, once to
be sent. A file that changed in between does not get through. Memory does not grow with the file.

What this module deliberately does not do: it writes no byte of the file anywhere, and keeps nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import BinaryIO

import click

from hashmatch.cli.cases import DELIVERY_FIELDS, delivery_record
from hashmatch.cli.connection import Server, connects
from hashmatch.cli.files import opened_for_reading
from hashmatch.cli.options import Command, GlobalOptions, example, pass_options
from hashmatch.cli.output import Output
from hashmatch.errors import BadInput, ExitCode
from hashmatch.progress import Progress

READ_BYTES = 256 << 10

RELAY_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        **DELIVERY_FIELDS,
        "file_id": "the receiver's id of the file; empty where it did not get through, and `reason` says why",
        "size_bytes": "how much the receiver took",
    }
)
"""Keys of the one line of ``report relay``."""


@click.command(
    "relay",
    cls=Command,
    epilog=example("hashmatch report relay 7a1e2f upload.jpg --server 127.0.0.1:50051"),
)
@click.argument("delivery_id")
@click.argument("file")
@connects("The service that sends the delivery.", required=True)
@pass_options
def relay(options: GlobalOptions, /, delivery_id: str, file: str, *, server: Server) -> ExitCode:
    """Pass FILE through a service to the receiver of a delivery that is waiting for it (`report send --with-file`).

    Nothing of it is kept on the way. FILE is read twice, first for its digest, so it cannot be a pipe.

    Exit codes: 0 it got through, 3 it did not and may be relayed again, 2 bad input, 4 service.
    """
    from hashmatch.client.sync import Client

    output = Output(options)
    with opened_for_reading(file) as (stream, size_bytes), output.progress() as progress:
        if size_bytes is None:
            raise BadInput(f"file: {file} is read twice, and must be a regular file", field="file")
        progress.start("Reading", size_bytes, "bytes")
        digest = hashlib.md5(usedforsecurity=False)
        for chunk in _chunks(file, stream, progress):
            digest.update(chunk)
        stream.seek(0)
        progress.start("Relaying", size_bytes, "bytes")
        with Client(server.address, access=server.access) as client:
            relayed = client.relay_file(delivery_id, _chunks(file, stream, progress), md5=digest.digest())
    record = {**delivery_record(relayed.delivery), "file_id": relayed.file_id, "size_bytes": relayed.size_bytes}
    with output.results("delivery", "state", "file there", "bytes", "why") as results:
        state = relayed.delivery.state.value
        results.add(record, delivery_id, state, relayed.file_id, relayed.size_bytes, relayed.delivery.reason)
    return ExitCode.CLEAN if relayed.file_id else ExitCode.SKIPPED


def _chunks(name: str, stream: BinaryIO, progress: Progress) -> Iterator[bytes]:
    """Read a file piece by piece; raises BadInput where that fails."""
    while True:
        try:
            chunk = stream.read(READ_BYTES)
        except OSError as error:
            raise BadInput(f"file: cannot read {name}: {error.strerror}", field="file") from error
        if not chunk:
            return
        yield chunk
        progress.advance(len(chunk))
