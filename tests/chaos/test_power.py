"""A machine that loses power: what was acknowledged is on the disk, and what was not leaves nothing unusable.

Theory of operation
-------------------
The data directory lies on an ext4 of its own, in a file (a loop device). A power cut is ext4's own, made for this: it
stops at once, without writing its log, so that everything that was written and not yet synchronised is lost
(``EXT4_IOC_SHUTDOWN`` with ``NOLOGFLUSH``; xfstests calls it "godown"). Then the service is killed, the disk mounted
again, its journal replayed, and the service started on what is left. Cuts come at random moments of changes that follow
each other without a pause, with snapshots every other change and an audit.

Two files are the control: one that was written and never synchronised has to be gone after every cut, or nothing was
cut; one that was synchronised has to be there.

What this does not do: a disk that says it has written what it has not, and one that tears a sector.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hashmatch.client import AsyncClient
from hashmatch.errors import HashmatchError
from tests.chaos.history import Oracle
from tests.chaos.load import ONCE, begun, hashed, known
from tests.chaos.serving import Served, Setup, kill, served, until
from tests.chaos.sizes import Sizes

SHUTDOWN = 0x8004587D
"""``EXT4_IOC_SHUTDOWN``: ``_IOR('X', 125, __u32)``."""
NOLOGFLUSH = 2
DISK_BYTES = 128 << 20
LATEST_S = 0.05
"""A change takes some ten milliseconds."""
SETUP = Setup(index="max_delta_entries = 2")


def tool(name: str) -> str:
    """Return where a program is; skips where it is not installed."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


class Disk:
    """An ext4 in a file, which can lose its power."""

    def __init__(self, image: Path, at: Path) -> None:
        self._image = image
        self.at = at
        with image.open("wb") as file:
            file.truncate(DISK_BYTES)
        subprocess.run([tool("mkfs.ext4"), "-q", "-F", str(image)], check=True)
        at.mkdir()

    @contextlib.contextmanager
    def mounted(self) -> Iterator[None]:
        """Mount it; skips where that is not allowed."""
        command = [tool("mount"), "-o", "loop", str(self._image), str(self.at)]
        mounted = subprocess.run(command, capture_output=True, check=False)
        if mounted.returncode:
            pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
        try:
            yield
        finally:
            until(
                lambda: not subprocess.run([tool("umount"), str(self.at)], capture_output=True, check=False).returncode
            )

    def cut(self) -> None:
        """Take the power away."""
        folder = os.open(self.at, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(folder, SHUTDOWN, NOLOGFLUSH.to_bytes(4, sys.byteorder))
        finally:
            os.close(folder)


def control(disk: Disk, name: str, *, synchronised: bool) -> None:
    """Write a file, and perhaps see to it that it stays."""
    path = disk.at / name
    with path.open("wb") as file:
        file.write(name.encode())
        if not synchronised:
            return
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(disk.at, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(folder)
    os.close(folder)


def stayed(disk: Disk, name: str) -> bool:
    """Whether a file of the control is there, with what was written."""
    path = disk.at / name
    return path.exists() and path.read_bytes() == name.encode()


async def changed_until_cut(
    service: Served, disk: Disk, oracle: Oracle, entries: dict[str, bytes], after_s: float
) -> None:
    """Add entries one after the other, and cut the power meanwhile; what was acknowledged goes into ``entries``."""

    async def change(client: AsyncClient) -> None:
        while True:
            name = f"e{len(entries)}-{time.monotonic_ns()}"
            after = {**entries, name: os.urandom(32)}
            await known(client, oracle, {name: after[name]}, holding=after)
            entries[name] = after[name]

    async with AsyncClient(service.target, retry=ONCE) as client:
        begun_with = len(entries)
        changing = asyncio.create_task(change(client))
        while len(entries) < begun_with + 2 and not changing.done():  # noqa: ASYNC110  what goes on is in another process
            await asyncio.sleep(0.001)
        await asyncio.sleep(after_s)
        assert not changing.done(), changing.exception()
        control(disk, "unsynchronised", synchronised=False)
        disk.cut()
        kill(service.pid)
        with contextlib.suppress(HashmatchError):
            await changing
    service.process.wait()


async def lost_of(client: AsyncClient, entries: dict[str, bytes]) -> list[str]:
    """Return the entries that are not found."""
    reports = await client.detect_hashes([hashed(value) for value in entries.values()])
    return [name for name, report in zip(entries, reports, strict=True) if not report.hits]


def verified(data: Path) -> int:
    """Verify the audit's logs; return the exit code."""
    command = [sys.executable, "-m", "hashmatch", "audit", "verify", "--directory", str(data / "audit")]
    return subprocess.run(command, capture_output=True, check=False).returncode


async def test_a_power_cut_loses_nothing_that_was_acknowledged(
    tmp_path: Path, sizes: Sizes, noted: Callable[..., None]
) -> None:
    moments, oracle, entries = random.Random(11), Oracle(), {"e0": os.urandom(32)}
    disk = Disk(tmp_path / "image", tmp_path / "disk")
    data, lost, codes, forgotten = disk.at / "data", list[str](), list[int](), 0
    with disk.mounted(), served(tmp_path / "run", SETUP, data) as service:
        async with AsyncClient(service.target) as client:
            await begun(client, oracle, entries)
    for cut in range(sizes.power_cuts):
        with disk.mounted(), served(tmp_path / "run", SETUP, data) as service:
            control(disk, f"synchronised-{cut}", synchronised=True)
            await changed_until_cut(service, disk, oracle, entries, moments.uniform(0, LATEST_S))
        with disk.mounted():
            assert stayed(disk, f"synchronised-{cut}")
            forgotten += not stayed(disk, "unsynchronised")
            with served(tmp_path / "run", SETUP, data) as service:
                async with AsyncClient(service.target) as client:
                    await client.wait_ready(300)
                    lost += await lost_of(client, entries)
            codes.append(verified(data))
    noted(
        "power_cut", cuts=sizes.power_cuts, acknowledged=len(entries), lost=len(lost), forgotten=forgotten,
        audits_not_verified=sum(code != 0 for code in codes),
    )  # fmt: skip
    assert forgotten == sizes.power_cuts, "what was not synchronised is gone, or nothing was cut"
    assert lost == []
    assert codes == [0] * sizes.power_cuts
