"""The section about the audit log."""

from __future__ import annotations

from dataclasses import dataclass

from hashmatch.limits import setting


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """Who asked what and was told what, in a log that shows every change (docs/guide/audit.md)."""

    enabled: bool = setting(default=True, why="a service that answers about abuse material keeps account of it")
    required: bool = setting(
        default=False,
        why="refuse calls with UNAVAILABLE while nothing can be recorded, rather than answer unaudited; false goes on, "
        "counts what is missing, and says so in status and log",
    )
    directory: str = setting(
        "", "where the logs are; empty: audit in the data directory. A disk of its own keeps a full data disk from it"
    )
    key: str = setting(
        "", "file with the Ed25519 key that signs heads, as `hashmatch hashset keygen` makes it; empty: one of its own "
        "beside the logs, with its public half in signing.key.pub",
    )  # fmt: skip
    keep_days: int = setting(
        0, "records older than that are removed, file by file, and a signed record says so; 0 for never. Who must keep "
        "account for a year says 365, and 16 MB go at a time", unit="days", at_least=0, at_most=36_500,
    )  # fmt: skip
    fsync_ms: int = setting(
        20, "records wait so long for others to share one sync, and a process that is killed loses those of so long "
        "at most; nobody's answer waits for it", unit="ms", at_least=0, at_most=10_000,
    )  # fmt: skip
    rotate_bytes: int = setting(
        16 << 20, "a file of the log ends there: some 30,000 records; the last one is read when a service starts, in "
        "about a tenth of a second", unit="bytes", at_least=1 << 10, at_most=1 << 30,
    )  # fmt: skip
    head_every_records: int = setting(
        1_000, "records between signed heads; a signature costs 0.1 ms", unit="records", at_least=1,
        at_most=10_000_000,
    )  # fmt: skip
    head_every_s: int = setting(
        60, "a record is vouched for by a head no later than this: what Certificate Transparency calls the merge "
        "delay, there a day", unit="s", at_least=1, at_most=86_400,
    )  # fmt: skip
    queue: int = setting(
        100_000, "records that may wait for a disk that does not take them, about 2 kB each; more are counted and lost",
        unit="records", at_least=100, at_most=10_000_000,
    )  # fmt: skip
