"""Limits of a ledger, and how it says that it does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Limits of a ledger; the configuration says why."""

    rotate_bytes: int = 16 << 20
    head_every_records: int = 1_000
    head_every_s: float = 60.0
    fsync_ms: float = 20.0
    retry_ms: float = 1_000.0
    max_queued: int = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a ledger that is being written does."""

    ledger: str
    seq: int
    """Number of the last record on the disk, -1 before the first."""
    head_seq: int
    """Number in the last signed head."""
    queued: int
    """Entries that wait."""
    lost: int
    """Entries that found no room since the writer was opened."""
    trouble: str
    """Why nothing can be written, empty while it can."""


DEFAULTS = Options()
