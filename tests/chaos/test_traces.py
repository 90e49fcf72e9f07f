"""No byte of a picture reaches a disk, a log, swap or a core, whatever happens; and the search finds one that does."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hashmatch.client import AsyncClient
from tests.chaos.load import ONCE, photos
from tests.chaos.serving import Setup, kill, served, status_kib, written_bytes
from tests.chaos.sizes import Sizes
from tests.integration.test_sandbox_traces import CANARY, with_canary

SETUP = Setup(
    more="[audit]\nenabled = false\n[cases]\nflush_s = 3600",
)
"""The service itself writes an audit log and sums per day; with those off, nothing at all may be written."""

WRITE = "import os,sys; f = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT); os.write(f, os.environb[b'C']); os.fsync(f)"


def all_cores() -> set[Path]:
    """Core files where the processes run."""
    return {path for folder in (Path("/"), Path.cwd()) for path in folder.glob("core*")}


def with_canaries(count: int) -> list[bytes]:
    """Return pictures with the canary in a comment: whole, cut, with it in front, and in the place of the picture."""
    rng, made = random.Random(4), []
    (photo,) = photos(1)
    file = photo.file
    for number in range(count):
        whole = file[:2] + b"\xff\xfe" + (len(CANARY) + 2).to_bytes(2) + CANARY + file[2:]
        cut = whole[: rng.randrange(len(CANARY) + 8, len(whole))]
        made.append((whole, cut, CANARY + whole, whole[:40] + CANARY * 50)[number % 4])
    return made


@pytest.mark.skipif(os.geteuid() != 0, reason="the io counters of a worker that is not dumpable are for root only")
async def test_no_byte_of_a_picture_is_written_anywhere(
    tmp_path: Path, sizes: Sizes, noted: Callable[..., None]
) -> None:
    mark, cores = time.time() - 1, all_cores()
    with served(tmp_path / "run", SETUP) as service:
        async with AsyncClient(service.target, retry=ONCE) as client:
            await client.wait_ready(300)
            await client.detect(b"no picture")
            before = {pid: written_bytes(pid) for pid in service.family()}
            files = with_canaries(sizes.canaries)
            for file in files:
                await client.detect(file, request_id="r", timeout_s=300)
            grown = {pid: written_bytes(pid) - at for pid, at in before.items()}
            swapped = {pid: status_kib(pid, "VmSwap") for pid in service.family()}
            for worker in service.workers():
                kill(worker, signal.SIGSEGV)
            await client.detect(files[0], timeout_s=300)
        found = with_canary(mark, tmp_path)
        logged = CANARY.decode() in service.logged()
        new_cores = all_cores() - cores
    leak, environment = tmp_path / "run" / "leak", {**os.environ, "C": CANARY.decode()}
    subprocess.run([sys.executable, "-c", WRITE, str(leak)], env=environment, check=True)  # noqa: ASYNC221  the control
    control = set(with_canary(mark, tmp_path))
    noted(
        "no_bytes", pictures=len(files), processes=len(grown), written_bytes=sum(grown.values()), files=len(found),
        in_log=logged, swapped_kib=sum(swapped.values()), cores=len(new_cores), control_found=control == {leak},
    )  # fmt: skip
    assert set(grown.values()) == {0}
    assert found == []
    assert not logged
    assert set(swapped.values()) == {0}
    assert not new_cores
    assert control == {leak}, "the positive control"
