"""The asynchronous client's calls about reported URLs.

What this module deliberately does not do: it fetches nothing itself; the service does, from where it stands.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from hashmatch.client.aio_calls import AsyncCalls
from hashmatch.client.wire import wall
from hashmatch.model.hotline import Item, Submission, Summary
from hashmatch.report import hotline
from hashmatch.v1 import hotline_pb2


class AsyncHotline(AsyncCalls):
    """The call of HotlineService."""

    async def check_urls(
        self, urls: Iterable[Submission], *, respect_robots: bool = False, timeout_s: float | None = None
    ) -> AsyncGenerator[Item | Summary, None]:
        """Ask what is known at reported addresses: images as they are looked at, a summary when an address is done.

        Leaving the iteration early cancels the call, and with it the fetching.

        Parameters
        ----------
        urls : iterable of Submission
            At most ``hotline.max_urls``. A number of 0 becomes the position in the call, from 1.
        respect_robots : bool
            Follow robots.txt even where the service's configuration only records it.
        timeout_s : float, optional
            For the whole call, none by default.

        Yields
        ------
        Item or Summary
            In any order, but no item after its summary; exactly one summary for each address.

        Raises
        ------
        BadInput
            There are more addresses than one call may have, or one is too long; nothing was fetched.
        Overloaded
            As many calls as ``hotline.max_calls`` are being served.
        ServiceUnavailable, DeadlineExceeded
            The stream broke. What was yielded before holds.

        """
        request = hotline_pb2.CheckUrlsRequest(
            urls=map(hotline.submission_to_proto, urls), respect_robots=respect_robots
        )
        call = self._services.hotline.CheckUrls(request, timeout=timeout_s)
        self._calls += 1
        try:
            with wall(self._target):
                async for response in call:
                    yield hotline.answer_from_proto(response)
        finally:
            call.cancel()
