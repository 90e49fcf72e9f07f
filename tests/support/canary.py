"""A canary to put wherever callers put content, and the search for it in what was logged."""

from __future__ import annotations

from collections.abc import AsyncIterator

from hashmatch.client import AsyncClient, HashedImage
from hashmatch.errors import HashmatchError
from hashmatch.model import Entry, EntryHash, HarmDomain, Opinion, Stance
from tests.support.service import collect

CANARY = "canary7f3a9c"
IMAGE = CANARY.encode() * 10
HASH = EntryHash("pdq", (CANARY.encode() * 3)[:32], 100)
URL = f"https://example.org/{CANARY}"

FORMS = (CANARY, CANARY.encode().hex(), str(IMAGE)[2:20])
"""How it may show: as itself, in hex, in the repr of bytes."""


def leaks(text: str) -> list[str]:
    """Lines that hold the canary in one of its forms."""
    return [line for line in text.splitlines() if any(form in line for form in FORMS)]


async def call_everything(client: AsyncClient) -> list[str]:
    """Put the canary into every field of every call; return how each ended."""
    ended = []

    async def entries() -> AsyncIterator[Entry]:
        yield Entry(CANARY, (HASH,), status_reason=URL)

    calls = (
        lambda: client.detect(IMAGE, request_id=URL),
        lambda: client.detect(IMAGE, request_id=URL + "\n"),
        lambda: client.detect(IMAGE, sets=[CANARY]),
        lambda: client.detect_hashes([HashedImage((HASH,), URL)]),
        lambda: client.detect_hashes([HashedImage((EntryHash("pdq", CANARY.encode()),))]),
        lambda: client.detect_hashes([HashedImage((EntryHash(CANARY, b""),))]),
        lambda: collect(client.detect_stream([(CANARY, IMAGE), (CANARY * 20, IMAGE)])),
        lambda: collect(client.rescan([[HashedImage((HASH,), URL)]], since="0")),
        lambda: collect(client.rescan([[HashedImage((EntryHash(CANARY, b""),), URL)]], since=CANARY)),
        lambda: client.create_hash_set(CANARY, HarmDomain.OTHER, source=URL),
        lambda: client.import_entries(CANARY, entries()),
        lambda: collect(client.export_entries(CANARY)),
        lambda: client.withdraw_entry(CANARY, CANARY, reason=URL, actor=CANARY),
        lambda: client.withdraw_entry(CANARY, CANARY * 2, reason=URL, actor=CANARY),
        lambda: client.dispute_entry(CANARY, CANARY, reason=URL, actor=CANARY),
        lambda: client.reinstate_entry(CANARY, CANARY * 2, reason=URL, actor=CANARY),
        lambda: client.vote_entry(CANARY, CANARY, Opinion(CANARY, Stance.AGREE, URL), actor=CANARY),
        lambda: client.vote_entry(CANARY, CANARY, Opinion(CANARY, Stance.AGREE, URL, None, CANARY), actor=CANARY),
        lambda: client.entry(CANARY, CANARY * 2),
        lambda: client.history(CANARY, CANARY),
        lambda: client.hash_set(CANARY * 2),
        lambda: client.detect(IMAGE, timeout_s=0.001),
    )
    for call in calls:
        try:
            await call()
            ended.append("OK")
        except HashmatchError as error:
            ended.append(type(error).__name__)
    return ended
