"""The confined fetcher as an unprivileged user: run as a module, it prints what it found as JSON."""

from __future__ import annotations

import asyncio
import json
import os

from hashmatch.hotline.confined.child import Child, Ended, Launch
from hashmatch.hotline.web.fetching import Fetching
from tests.support.hotline.site import Site

ATTACKS = ("open", "connect", "listen", "bind", "execute", "mptcp", "unix", "fork", "kill-parent")


async def main() -> None:
    """Fetch, attack, print."""
    found: dict[str, object] = {"uid": os.getuid()}
    async with Site() as site:
        site.put("https://a.test/", "ok")
        async with Fetching(site.config()) as fetches:
            found["confined"] = fetches.posture.confined
            found["fetched"] = (await fetches.fetch(site.url("https://a.test/"), max_bytes=9)).body.decode()
        settings = {"ports": [80], "datagrams": True}
        async with Child(Launch("tests.support.hotline.children_networked", settings=settings)) as child:
            for name in ATTACKS:
                answer = await child.ask({"do": name, "port": site.http_port}, timeout_s=300)
                found[name] = answer.why if isinstance(answer, Ended) else answer.header["met"]
    print(json.dumps(found))  # noqa: T201 - the report of this command


if __name__ == "__main__":
    asyncio.run(main())
