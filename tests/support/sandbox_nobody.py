"""The sandbox as an unprivileged user: ``python -m tests.support.sandbox_nobody`` prints what it found as JSON."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from tests.support.sandbox import ANY, attack, attack_pool, worker_pids

ATTACKS = ("open-read /etc/passwd", "own-memory-file", "socket", "fork", "kill-parent", "unshare")


def _read_memory(pid: int) -> str:
    """Try what a debugger of the same user would do."""
    try:
        Path(f"/proc/{pid}/mem").open("rb").close()
    except PermissionError:
        return "EACCES"
    return "allowed"


async def main() -> None:
    """Start both kinds of pool, attack, print."""
    found: dict[str, object] = {"uid": os.getuid()}
    async with attack_pool() as pool:
        posture = pool.status().posture
        assert posture is not None
        found["confined"] = posture.confined
        found["memory"] = _read_memory((await worker_pids(pool))[0])
        for row in ATTACKS:
            name, _, argument = row.partition(" ")
            found[name] = (await attack(pool, name, argument)).detail.rpartition(" ")[2]
        found["next"] = (await pool.hash(b"next", ANY)).refusal
    async with attack_pool(unconfined=True) as pool:
        found["memory of an unconfined worker"] = _read_memory((await worker_pids(pool))[0])
    print(json.dumps(found))  # noqa: T201 - the report of this command


if __name__ == "__main__":
    asyncio.run(main())
