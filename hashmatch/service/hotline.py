"""Handlers of HotlineService: check the request whole, then hand on what becomes known as it becomes known.

Theory of operation
-------------------
Nothing is fetched before the whole request is in order. As many calls as ``hotline.max_calls`` are served at a time;
a further one is refused at once rather than left waiting, because a call may take hours. gRPC's flow control holds the
check back when the caller reads slowly, and a caller who leaves ends it.

What this module deliberately does not do: it fetches nothing, keeps nothing, and logs no address.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final, Protocol

from hashmatch.errors import BadInput, NotOffered, Overloaded
from hashmatch.model.hotline import Item, Submission, Summary
from hashmatch.report.hotline import answer_to_proto, submission_from_proto
from hashmatch.sections import HotlineConfig
from hashmatch.service.purview import shown_item
from hashmatch.v1 import hotline_pb2, hotline_pb2_grpc

MAX_URL_LENGTH: Final = 8_192
"""Characters of one address. Servers stop at 8 kB; what is longer is a paste of something else."""
MAX_EXTRA: Final = 32
"""Further columns of one line: those of the intake form, twice over."""
MAX_EXTRA_LENGTH: Final = 2_000
"""Characters of one of them: remarks of a page."""
RETRY_AFTER_S: Final = 30.0
"""When a caller that was refused may ask again: checks take minutes."""


class Checks(Protocol):
    """Checks addresses; ``service.investigation`` has the real one."""

    def check(self, submissions: Sequence[Submission], *, respect_robots: bool) -> AsyncGenerator[Item | Summary, None]:
        """Yield items, and one summary for each submission after its items; closing it ends the check."""


class HotlineHandlers(hotline_pb2_grpc.HotlineServiceServicer):
    """Reported addresses."""

    def __init__(self, checks: Checks | None, config: HotlineConfig) -> None:
        self._checks = checks
        self._config = config
        self._calls = 0

    async def CheckUrls(  # noqa: N802  gRPC's name
        self,
        request: hotline_pb2.CheckUrlsRequest,
        context: Any,  # noqa: ARG002  gRPC's signature
    ) -> AsyncIterator[hotline_pb2.CheckUrlsResponse]:
        """Tell what becomes of each address."""
        if self._checks is None:
            raise NotOffered("this service checks no URLs: hotline.serve is off")
        submissions = _submissions(request, self._config.max_urls)
        with self._admitted():
            answers = self._checks.check(submissions, respect_robots=request.respect_robots)
            async with contextlib.aclosing(answers):
                async for answer in answers:
                    yield answer_to_proto(shown_item(answer) if isinstance(answer, Item) else answer)

    @contextlib.contextmanager
    def _admitted(self) -> Iterator[None]:
        if self._calls >= self._config.max_calls:
            raise Overloaded(
                f"{self._calls} checks are running, as many as hotline.max_calls allows; try again later",
                retry_after_s=RETRY_AFTER_S,
            )
        self._calls += 1
        try:
            yield
        finally:
            self._calls -= 1


def _submissions(request: hotline_pb2.CheckUrlsRequest, most: int) -> list[Submission]:
    """Return what is to be checked, each with a number of its own.

    Raises
    ------
    BadInput
        None, too many, one that is too long, or two of one number; ``field`` names it.

    """
    if not request.urls:
        raise BadInput("urls: there is nothing to check", field="urls")
    if len(request.urls) > most:
        raise BadInput(
            f"urls: {len(request.urls)} are more than the {most} of one call (hotline.max_urls); send several",
            field="urls",
        )
    numbers: dict[int, int] = {}
    submissions = []
    for at, message in enumerate(request.urls):
        field = f"urls[{at}]"
        submission = submission_from_proto(message)
        if not submission.number:
            submission = replace(submission, number=at + 1)
        earlier = numbers.setdefault(submission.number, at)
        if earlier != at:
            raise BadInput(f"{field}.number: {submission.number} is that of urls[{earlier}] too", field=field)
        _check_lengths(submission, field)
        submissions.append(submission)
    return submissions


def _check_lengths(submission: Submission, field: str) -> None:
    if len(submission.url) > MAX_URL_LENGTH:
        raise BadInput(
            f"{field}.url: {len(submission.url)} characters are more than the {MAX_URL_LENGTH} of an address",
            field=f"{field}.url",
        )
    if len(submission.extra) > MAX_EXTRA:
        raise BadInput(
            f"{field}.extra: {len(submission.extra)} are more than {MAX_EXTRA} columns", field=f"{field}.extra"
        )
    for name, text in submission.extra.items():
        if len(name) > MAX_EXTRA_LENGTH or len(text) > MAX_EXTRA_LENGTH:
            raise BadInput(
                f"{field}.extra: a column has more than {MAX_EXTRA_LENGTH} characters", field=f"{field}.extra"
            )
