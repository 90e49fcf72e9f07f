"""Pages, read in confined processes: no file, no network, nothing but the bytes of one document.

Theory of operation
-------------------
:class:`Reading` keeps a small number of :class:`~hashmatch.hotline.confined.child.Child`, each of which reads one
document at a time. A process that takes longer than ``hotline.page_timeout_s``, dies, or answers what no page can be is
killed, and started again with the next document; the document is then one that could not be read, and is not tried
again: whoever asked knows by None, and reports it.

What this module deliberately does not do: it parses nothing, and believes nothing before ``page_wire`` has bounded it.
"""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import os
from types import TracebackType
from typing import Self

from hashmatch.config import HotlineConfig, SandboxConfig
from hashmatch.errors import BadConfig, BadFrame
from hashmatch.hotline.confined.child import Child, Ended, Launch
from hashmatch.hotline.confined.framing import Frame, Limits
from hashmatch.hotline.pages import page_wire
from hashmatch.model.hotline import Page

_log = logging.getLogger(__name__)

WORKER = "hashmatch.hotline.pages.page_worker"
MEMORY_BYTES = 1 << 30
"""Address space of one process; 5 MB of the worst page known take 0.6 GB."""
_MAX_WORKERS = 4
"""A page takes milliseconds: more processes than this would wait for the network with everybody else."""
_LINK_BYTES = 16 << 10
"""Of one link in an answer, JSON's escapes included."""
_HEADER_BYTES = 1 << 16
_NEEDED = ("selectolax", "tinycss2", "webencodings")


class Reading:
    """Confined processes that read pages. Use it from one event loop."""

    def __init__(
        self, hotline: HotlineConfig, sandbox: SandboxConfig, *, workers: int = 0, _module: str = WORKER
    ) -> None:
        self._config = hotline
        self._settings = page_wire.Settings.of(hotline)
        count = workers or min(_MAX_WORKERS, len(os.sched_getaffinity(0)))
        links = 2 * hotline.max_images + hotline.max_frames
        launch = Launch(
            _module,
            settings=self._settings.to_json(),
            memory_bytes=MEMORY_BYTES + 8 * hotline.max_page_bytes + 2 * hotline.max_job_page_bytes,
            limits=Limits(
                header_bytes=_HEADER_BYTES + links * _LINK_BYTES,
                body_bytes=max(hotline.max_page_bytes, hotline.max_job_page_bytes),
            ),
            start_timeout_s=sandbox.start_timeout_ms / 1_000,
            allow_degraded=sandbox.allow_degraded,
        )
        self._children = tuple(Child(launch) for _ in range(count))
        self._idle: asyncio.LifoQueue[Child] = asyncio.LifoQueue()
        self._pages = 0
        self._unread = 0

    def __repr__(self) -> str:
        return f"<Reading {len(self._children)} processes, {self._pages} pages, {self._unread} unread>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Start the processes and wait until each has locked itself up.

        Raises
        ------
        BadConfig
            The libraries of the extra ``hotline`` are not installed.
        SandboxUnavailable
            A process could not be started, or is not confined and ``sandbox.allow_degraded`` is off.

        """
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise BadConfig(
                f"reading pages needs {', '.join(missing)}, not installed here: pip install 'hashmatch[hotline]'"
            )
        try:
            for child in self._children:
                await child.start()
                self._idle.put_nowait(child)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End the processes; whoever waits for a page gets None."""
        for child in self._children:
            await child.close()

    async def read(self, body: bytes, *, url: str, content_type: str) -> Page | None:
        """Return what a document refers to; None when its process died or ran out of time on it.

        Parameters
        ----------
        body : bytes
            Of the document; what is beyond ``hotline.max_page_bytes`` is not read.
        url : str
            Where it came from, as ``urls`` made it.
        content_type : str
            As the host declared it.

        Raises
        ------
        SandboxUnavailable
            A process is gone and could not be started again.

        """
        question = {"url": url, "content_type": content_type[:1_000]}
        self._pages += 1
        child = await self._idle.get()
        try:
            answer = await child.ask(
                question, body[: self._config.max_page_bytes], timeout_s=self._config.page_timeout_s
            )
            page = await self._bounded(child, answer)
        finally:
            self._idle.put_nowait(child)
        self._unread += page is None
        return page

    async def _bounded(self, child: Child, untrusted_answer: Frame | Ended) -> Page | None:
        """Return the page that an answer is; a process whose answer is none is ended."""
        match untrusted_answer:
            case Ended(why):
                _log.warning("a page was not read: the process %s", why)
                return None
            case Frame(header=untrusted_header, body=untrusted_body):
                try:
                    return page_wire.decode(untrusted_header, untrusted_body, self._settings)
                except BadFrame as error:
                    _log.warning("a page was not read: the process was killed, its answer is not valid: %s", error)
                    await child.close()
                    return None
