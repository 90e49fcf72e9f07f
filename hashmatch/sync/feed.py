"""One run over another hashmatch: its changes to a set, in their order, into a set here.

Theory of operation
-------------------
The changes of a catalog are numbered and by state, so each batch that was taken in moves the checkpoint: a run that
breaks off goes on where it broke off. Numbers mean something in one catalog only. The other side sends everything from
the beginning when the set is not the one that the checkpoint speaks of, or the checkpoint is ahead of it (a set made
anew, a backup put back); then the checkpoint waits for the end, where what was not seen has gone.

An entry keeps the provenance that it has there. What the other side made itself gets its owner's name as the source,
and what its set says of terms and jurisdiction, because sets here may be about more than theirs.

What this module deliberately does not do: it speaks no gRPC; the client does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Protocol

from hashmatch.model import Entry, HashSet, Rejected, SetChanges
from hashmatch.sync.outcome import Outcome, Terms, guarded, withdraw_vanished
from hashmatch.sync.sources import Source
from hashmatch.sync.walks import dumped, loaded, whole_number


class Following(Protocol):
    """Another hashmatch, as a run needs it."""

    def follow(self, name: str, *, set_id: str, since: int) -> AsyncIterator[SetChanges]:
        """Return the changes to a set after ``since``, up to now. Raises hashmatch's errors."""


async def along_feed(source: Source, far: Following, terms: Terms) -> Outcome:
    """Bring a set up to date with the same set elsewhere; what goes wrong is in the outcome."""

    async def body(outcome: Outcome) -> None:
        await _follow(source, far, terms, outcome)

    return await guarded(source, terms, body)


async def _follow(source: Source, far: Following, terms: Terms, outcome: Outcome) -> None:
    checkpoint = await terms.checkpoint(source)
    values = {} if terms.full else loaded(checkpoint)
    since, set_id = whole_number(values.get("sequence")), str(values.get("set_id", ""))
    intake = terms.intake(source)
    outcome.counts = intake.counts
    anew = False
    async for batch in far.follow(source.config.remote_set or source.config.set, set_id=set_id, since=since):
        if batch.from_beginning and not outcome.full:
            outcome.full = True
            anew = bool(checkpoint)
            if anew:
                intake.remember()
        rows = [_with_origin(row, batch.hash_set) for row in batch.rows]
        await asyncio.to_thread(intake.take, rows)
        intake.counts.pages += 1
        terms.progress.advance(len(rows))
        if batch.complete and anew:
            await withdraw_vanished(source, intake, outcome)
        if (batch.complete or not anew) and not outcome.troubles:
            await terms.keep(source, dumped(set_id=batch.hash_set.set_id, sequence=batch.sequence))
        outcome.complete = batch.complete and not outcome.troubles
    if not outcome.complete and not outcome.troubles:
        outcome.trouble("changes", "they ended before the mark that all were sent")


def _with_origin(row: Entry | Rejected, hash_set: HashSet) -> Entry | Rejected:
    """Name the origin of what the other side made itself; what it got from others keeps their name."""
    if isinstance(row, Rejected):
        return row
    origin = row.provenance
    stated = replace(
        origin,
        source=origin.source or hash_set.owner or hash_set.source or hash_set.name,
        terms=origin.terms or hash_set.terms,
        jurisdiction=origin.jurisdiction or hash_set.jurisdiction,
        received_at=None,
    )
    return replace(row, provenance=stated)
