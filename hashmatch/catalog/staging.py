"""First half of an import: rows are checked and put into temporary tables; nothing is locked.

Theory of operation
-------------------
Rows come as fast as their sender sends them, so the catalog's write lock must not be held while they do. Each row is
checked; each value of a good one becomes a row of the temporary table ``staged``, and so does the lack of any of a
tombstone. What a row says apart from its values (labels, provenance, status, opinions) is the same for long stretches
of a list, so it is checked, converted and stored once per stretch, in ``facts``. Databases keep both tables in an
unlinked file: memory use does not grow with the import, and a killed process leaves nothing behind.

Blocks take a shorter way. Those of their rows that the rules may object to are taken out
and go the way of single rows; all others are good by a few checks of whole columns, and go as columns into the spool,
which sorts them.

What this module deliberately does not do: it does not look at what the catalog holds; ``applying`` does.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashmatch.catalog.rows import labels_to_text, opinions_to_text, to_us
from hashmatch.catalog.session import Session
from hashmatch.catalog.spool import Columns, Spool, made_ids
from hashmatch.catalog.validate import MAX_ID_CHARS, EntryRules
from hashmatch.model import REJECTIONS_KEPT, UNSTATED_QUALITY, Entry, EntryBlock, EntryStatus, Rejected, Row
from hashmatch.progress import Progress

BATCH_ROWS = 2_000
"""Single rows between two reports of progress, and values written by one call; more is no faster."""

PLAIN_FACTS = 0
"""Key in ``facts`` of what rows of blocks say of their entries: nothing."""

TABLES = ("create_facts", "create_staged", "create_fresh", "create_rest", "create_refused")


@dataclass(frozen=True, slots=True)
class Staged:
    """What :func:`stage` made of the rows: how many rows of ``staged``, the spool, and the list version stated last."""

    values: int
    spool: Spool
    list_version: str

    def __len__(self) -> int:
        return self.values + len(self.spool)


@dataclass(slots=True)
class Rejections:
    """Counts rejected rows, keeps the first, hands on all."""

    on_rejected: Callable[[Rejected], None] | None
    count: int = 0
    kept: list[Rejected] = field(default_factory=list)

    def add(self, rejected: Rejected) -> None:
        """Take in one."""
        self.count += 1
        if len(self.kept) < REJECTIONS_KEPT:
            self.kept.append(rejected)
        if self.on_rejected is not None:
            self.on_rejected(rejected)


def stage(session: Session, spool: Spool, rows: Iterable[Row], rejections: Rejections, progress: Progress) -> Staged:
    """Check the rows and put the good ones into the temporary tables and the spool.

    Parameters
    ----------
    session : Session
        The import's own, with empty staging tables (``TABLES``).
    spool : Spool
        Empty.
    rows : iterable of Entry, Rejected or EntryBlock
        Read once; single ones in batches of ``BATCH_ROWS``.
    rejections : Rejections
        Takes every row that is refused here or was refused by the reader.
    progress : Progress
        Advanced once per batch or block, in rows.

    """
    rules = EntryRules()
    stretch = _Stretch(rules)
    singles = _sorted_out(rows, rules, spool, progress)
    staged = 0
    session.run_many("insert_facts", [(PLAIN_FACTS, EntryStatus.ACTIVE.value, *[""] * 8, None)])
    while batch := list(itertools.islice(singles, BATCH_ROWS)):
        values: list[tuple[Any, ...]] = []
        for index, row in batch:
            if isinstance(row, Rejected):
                rejections.add(row)
                continue
            position = index if row.position is None else row.position
            if refusal := stretch.convert(row, position, values):
                rejections.add(refusal)
        session.run_many("insert_facts", stretch.new_facts())
        session.run_many("insert_staged", values)
        staged += len(values)
        progress.advance(len(batch))
    return Staged(staged, spool, stretch.list_version)


def _sorted_out(
    rows: Iterable[Row], rules: EntryRules, spool: Spool, progress: Progress
) -> Iterator[tuple[int, Entry | Rejected]]:
    """Put the good rows of blocks into the spool; yield all others with their place among the rows, from 0."""
    index = 0
    for row in rows:
        if not isinstance(row, EntryBlock):
            yield index, row
            index += 1
            continue
        doubtful = rules.doubtful(row)
        if len(doubtful) < len(row):
            columns = _columns(row)
            good = itertools.filterfalse(frozenset(doubtful).__contains__, range(len(row)))
            spool.add(columns.take(list(good)) if doubtful else columns)
            progress.advance(len(row) - len(doubtful))
        for at in doubtful:
            yield index + at, row.entry(at)
        index += len(row)


def _columns(block: EntryBlock) -> Columns:
    """Return the block as the spool takes it: with an id for every row, or with none where all are to be made."""
    values = np.frombuffer(block.values, dtype=np.uint8).reshape(-1, block.size_bytes)
    ids: Sequence[str] = block.entry_ids if any(block.entry_ids) else ()
    if not all(ids):
        made = made_ids(block.algorithm, values)
        ids = [given or other for given, other in zip(ids, made, strict=True)]
    unstated = bytes([UNSTATED_QUALITY]) * len(block)
    return Columns(
        block.algorithm,
        ids,
        values,
        np.frombuffer(block.qualities or unstated, dtype=np.uint8),
        np.asarray(block.positions, dtype=np.int64),
    )


class _Stretch:
    """Converts entries to rows of ``staged``, remembering what the entry before said of itself."""

    def __init__(self, rules: EntryRules) -> None:
        self._rules = rules
        self._last: Entry | None = None
        self._facts_key = 0
        self._new: list[tuple[Any, ...]] = []
        self.list_version = ""
        """The latest that is not empty."""

    def convert(self, entry: Entry, position: int, values: list[tuple[Any, ...]]) -> Rejected | None:
        """Append the entry's rows to ``values``, or return why it is refused."""
        if problem := self._rules.values_problem(entry):
            return Rejected(position, *problem)
        last = self._last
        if (
            last is None
            or entry.status is not last.status
            or entry.provenance != last.provenance
            or entry.labels != last.labels
            or entry.opinions != last.opinions
            or entry.status_reason != last.status_reason
        ):
            if problem := self._rules.facts_problem(entry):
                return Rejected(position, *problem)
            self._begin(entry)
        entry_id, facts_key = entry.entry_id, self._facts_key
        if not entry_id:
            first = entry.hashes[0]
            entry_id = f"{first.algorithm}:{first.value.hex()}"
            if len(entry_id) > MAX_ID_CHARS:
                return Rejected(
                    position, "entry_id", f"{first.algorithm} values are too long to make an id of; give one"
                )
        of_entry = entry_id, position, facts_key
        if entry.hashes:
            values += [(*of_entry, item.algorithm, item.value, item.quality, item.view) for item in entry.hashes]
        else:
            values.append((*of_entry, "", b"", None, ""))
        return None

    def new_facts(self) -> list[tuple[Any, ...]]:
        """Rows of ``facts`` since the last call."""
        new, self._new = self._new, []
        return new

    def _begin(self, entry: Entry) -> None:
        self._last = entry
        self._facts_key += 1
        origin = entry.provenance
        self.list_version = origin.list_version or self.list_version
        self._new.append(
            (
                self._facts_key,
                entry.status.value,
                entry.status_reason,
                labels_to_text(entry.labels),
                origin.source,
                origin.list_version,
                origin.external_id,
                origin.terms,
                origin.jurisdiction,
                opinions_to_text(entry.opinions),
                None if origin.received_at is None else to_us(origin.received_at),
            )
        )
