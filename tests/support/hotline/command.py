"""The real command in a process of its own, against a site of the test and a data directory with planted entries."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import DecodeConfig, HotlineConfig
from hashmatch.hashing import compute
from hashmatch.model import Entry, EntryHash, HarmDomain, HashOptions
from tests.support.hotline.site import Site

SETTINGS = (
    "ports", "allow_networks", "nameservers", "ca_bundle", "ask_robots", "connect_timeout_s", "first_byte_timeout_s",
    "total_timeout_s",
)  # fmt: skip
"""Settings that make a configuration reach a site, and wait for it."""


PATIENCE = ("deadline_ms = 120000", "queue_ms = 600000", "start_timeout_ms = 600000")
"""Settings of the workers under which a busy machine is none that refuses."""


@dataclass(frozen=True)
class Ended:
    """What a run of the command said."""

    code: int
    out: str
    err: str

    @property
    def records(self) -> list[dict[str, Any]]:
        """Lines of JSON on standard output."""
        return [json.loads(line) for line in self.out.splitlines()]


class Command:
    """``hashmatch`` over a data directory, configured to reach a site."""

    def __init__(self, folder: Path, site: Site, **changes: Any) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.data.mkdir(mode=0o700)
        config = site.config(**changes)
        names = (*SETTINGS, *changes)
        (folder / "hashmatch.toml").write_text(_toml(config, names))

    def plant(self, name: str, pictures: Mapping[str, bytes]) -> None:
        """Make a set of the hashes of pictures and of their digests."""
        entries = [
            Entry(entry_id, (*_hashes(picture), EntryHash("sha256", hashlib.sha256(picture).digest())))
            for entry_id, picture in pictures.items()
        ]
        catalog = SqliteCatalog.open(self.data / "catalog.sqlite3")
        try:
            catalog.create_set(name, HarmDomain.OTHER)
            catalog.import_entries(name, iter(entries))
        finally:
            catalog.close()

    async def run(self, *arguments: str, stdin: bytes = b"") -> Ended:
        """Run the command to its end."""
        process = await self.start(*arguments)
        out, err = await process.communicate(stdin)
        assert process.returncode is not None
        return Ended(process.returncode, out.decode(), err.decode())

    async def start(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start the command."""
        head = ("--config", str(self.folder / "hashmatch.toml"), "--data", str(self.data))
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hashmatch", *head, *arguments,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            cwd=self.folder,
        )  # fmt: skip


def _hashes(picture: bytes) -> tuple[EntryHash, ...]:
    """Hash in this process: a picture of the test's own, which nobody has to be confined for."""
    options = HashOptions(algorithms=frozenset({"pdq"}), dihedral=False)
    return tuple(
        EntryHash(found.algorithm, found.value, found.quality)
        for found in compute.hash_picture(picture, DecodeConfig(), options).hashes
    )


def _toml(config: HotlineConfig, names: tuple[str, ...]) -> str:
    lines = [f"{name} = {json.dumps(getattr(config, name))}" for name in dict.fromkeys(names)]
    return "\n".join(("[sandbox]", *PATIENCE, "[hotline]", *lines)) + "\n"
