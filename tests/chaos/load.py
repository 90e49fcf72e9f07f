"""Honest load: callers that ask, one after the other, and note every answer."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hashmatch.client import AsyncClient, HashedImage, RetryPolicy
from hashmatch.config import DecodeConfig
from hashmatch.errors import HashmatchError
from hashmatch.hashing import compute
from hashmatch.model import Entry, EntryHash, EntryStatus, HarmDomain, HashOptions
from tests.chaos.history import History, Oracle
from tests.support import images

ONCE = RetryPolicy(attempts=1)
"""Nothing that goes wrong is hidden by trying again on this side."""
SET = "known"
NOTHING: Mapping[str, bytes] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture as a file, and its true hash."""

    file: bytes
    value: bytes

    def unlike_any(self, number: int) -> bytes:
        """Return the same picture in a file of its own, by a comment in it."""
        comment = b"%016d" % number
        return self.file[:2] + b"\xff\xfe" + (len(comment) + 2).to_bytes(2) + comment + self.file[2:]


def photos(count: int, size: tuple[int, int] = (160, 120)) -> list[Photo]:
    """Make pictures that have nothing in common, and hash them in this process."""
    made = []
    for seed in range(count):
        file = images.encoded(images.photo(seed, size), "JPEG", quality=85)
        options = HashOptions(algorithms=frozenset({"pdq"}), dihedral=False)
        made.append(Photo(file, compute.hash_picture(file, DecodeConfig(), options).hashes[0].value))
    return made


def hashed(value: bytes) -> HashedImage:
    """Return a question about a value."""
    return HashedImage((EntryHash("pdq", value, 100),))


async def known(
    client: AsyncClient,
    oracle: Oracle,
    entries: Mapping[str, bytes],
    instead_of: Mapping[str, bytes] = NOTHING,
    holding: Mapping[str, bytes] = NOTHING,
) -> str:
    """Import entries into the set, in the place of others, all at once; tell the oracle, and return the generation.

    ``holding`` is what the set then holds, where that is more than ``entries``.
    """
    rows = [Entry(name, (EntryHash("pdq", value, 100),)) for name, value in entries.items()]
    rows += [
        Entry(name, (EntryHash("pdq", value, 100),), status=EntryStatus.WITHDRAWN, status_reason="replaced")
        for name, value in instead_of.items()
    ]
    result = await client.import_entries(SET, rows)
    assert result.rejected == 0, result.rejections
    (report,) = await client.detect_hashes([hashed(bytes(32))])
    oracle.learn(report.generation, holding or entries)
    return report.generation


async def begun(client: AsyncClient, oracle: Oracle, entries: Mapping[str, bytes]) -> None:
    """Wait until the service is ready, make the set and fill it."""
    await client.wait_ready(300)
    await client.create_hash_set(SET, HarmDomain.OTHER)
    await known(client, oracle, entries)


class Callers:
    """Callers that ask until told to stop."""

    def __init__(self, history: History) -> None:
        self.history = history
        self._numbers = itertools.count()
        self._stopped = False

    async def images(self, client: AsyncClient, pictures: Sequence[Photo], seed: int) -> None:
        """Ask about pictures, each in a file that was never sent before."""
        rng = random.Random(seed)
        while not self._stopped:
            photo = rng.choice(pictures)
            file = photo.unlike_any(next(self._numbers))
            began = time.monotonic()
            try:
                outcome = await client.detect(file, timeout_s=300)
            except HashmatchError as error:
                self.history.note(photo.value, began, time.monotonic(), error)
            else:
                self.history.note(photo.value, began, time.monotonic(), outcome)

    async def hashes(self, client: AsyncClient, values: Sequence[bytes]) -> None:
        """Ask about all the values in every call."""
        items = [hashed(value) for value in values]
        while not self._stopped:
            began = time.monotonic()
            try:
                reports = await client.detect_hashes(items, timeout_s=300)
            except HashmatchError as error:
                self.history.note(values[0], began, time.monotonic(), error)
            else:
                for value, report in zip(values, reports, strict=True):
                    self.history.note(value, began, time.monotonic(), report)

    def stop(self) -> None:
        """Let every caller finish its call."""
        self._stopped = True


@contextlib.asynccontextmanager
async def calling(
    history: History, count: int, ask: Callable[[Callers, int], asyncio.Future[None]]
) -> AsyncIterator[Callers]:
    """Have ``count`` callers ask until the block ends; what they raise is raised here."""
    callers = Callers(history)
    tasks = [ask(callers, number) for number in range(count)]
    try:
        yield callers
    finally:
        callers.stop()
        await asyncio.gather(*tasks)
