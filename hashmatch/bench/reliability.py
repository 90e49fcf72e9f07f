"""The page docs/explain/reliability.md, from what the chaos suite saw: its goals, figures, and how to see them again.

Theory of operation
-------------------
A row has a goal, and takes what was seen from the results of ``make chaos``; or names the tests that prove it, where
these are part of ``make test`` or ``make test-slow``; or says that it was not done. A sentence without its figures says
that it was not run.

What this module deliberately does not do: it breaks nothing; ``tests/chaos`` does.

Source: reference security §5.
"""
# ruff: noqa: E501 - a table reads best with a row on a line

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """One goal. ``seen`` is a sentence with figures of the results named in ``of``, where they are there."""

    number: str
    what: str
    goal: str
    seen: str
    of: tuple[str, ...] = ()
    again: str = ""


ROWS = (
    Row("R1", "throughput", "p99 at most 250 ms at the rate that two cores bear", "[benchmarks](../guide/benchmarks.md)"),
    Row("R2", "gRPC", "at most 0.6 ms of processor time a request", "0.46 to 0.52 ms ([ADR 0006](../adr/0006-grpc-aio.md))"),
    Row("R3", "the sandbox", "at most 0.5 ms an image", "0.13 ms with one hash ([the sandbox](sandbox.md))"),
    Row("R4", "lookups of hashes", "at least 4,000/s", "[benchmarks](../guide/benchmarks.md)"),
    Row("R5", "memory over cancelled calls", "at most 5 % over a million", "{calls:,} calls, of which {answered:,} were answered before they were cancelled: {growth_percent} % more, {rss_bytes_per_call} bytes a call ({rss_mib[0]} to {rss_mib[10]} MiB)", ("cancelled",)),
    Row("R6", "workers killed with SIGKILL, five a second", "at least 99.9 % answered, none wrong", "{killed} killed, {ok:,} of {calls:,} answered, {wrong} wrong; p99 {p99_ms} ms, undisturbed {p99_undisturbed_ms} ms", ("kills",)),
    Row("R7", "an image that kills workers", "two workers; then refused by digest; others do not notice", "{workers_lost_first} workers lost, then {refused} of {sent} refused and {workers_lost_later} lost; {others_ok} of {others} others answered", ("poison",)),
    Row("R8", "a hang", "killed at the deadline", "in the suite", again="tests/integration/test_sandbox_faults.py"),
    Row("R9", "SIGTERM in the middle of a stream", "every accepted call answered; the second signal ends it at once", "in the suite, with 15 calls in flight", again="tests/integration/test_service_runtime.py"),
    Row("R10", "kill -9 in an import, a publication, a log, an outbox", "nothing acknowledged lost, nothing unusable", "in the suites: some of the loops, all of them in `make test-slow`", again="tests/integration/test_import_kill.py tests/integration/test_publish_processes.py tests/integration/test_ledger_kill.py tests/integration/test_outbox_processes.py"),
    Row("R11", "a power cut", "as R10", "{cuts} cuts of an ext4, at any moment of changes one after the other: of {acknowledged} acknowledged entries {lost} lost, every start served, {audits_not_verified} audits that did not verify; the control that was not synchronised was gone {forgotten} times", ("power_cut",)),
    Row("R12", "a full disk", "the old generation serves, a clear error, nothing left behind", "{calls} answers, {wrong} wrong; changes: {changes_refused}, and {changes_refused_after} once there was room; {temporary_files} files left", ("disk_full",)),
    Row("R12", "fsync fails with EIO", "as above", "{calls} answers, {wrong} wrong; changes: {changes_refused}, {changes_refused_after} afterwards; of {acknowledged} entries that were acknowledged {lost} lost after kill -9", ("fsync",)),
    Row("R13", "a damaged segment", "refused; the one before is used, or a new one built", "of {segments} the newest damaged: served again, {lost} entries lost; every flipped bit in the suite", ("corrupt",), "tests/unit/index/test_segment.py"),
    Row("R14", "lists that change under load", "a thousand times, none wrong, p99 at most twice", "{reloads:,} changes, {snapshots} snapshots, {failed} failed; {calls:,} answers of {generations_named:,} generations, {wrong} wrong; p99 {p99_ms} ms, quiet {p99_quiet_ms} ms", ("reloads",)),
    Row("R15", "the clock set by an hour, either way", "no deadline, limit or order depends on it", "{jumps} jumps, {calls:,} answers, {wrong} wrong, not answered: {not_ok}; the audit log verifies (exit code {audit_exit_code})", ("clock",)),
    Row("R16", "connections that say half or nothing", "p99 at most twice; all gone within age and grace", "{half_open} silent and {half_sent} half-sent, all gone after {all_gone_after_s} s (age and grace {age_and_grace_s} s, handshake 5 s); {calls} answers, {wrong} wrong; p99 {p99_ms} ms, quiet {p99_quiet_ms} ms", ("slowloris",)),
    Row("R17", "gzip bombs, oversize, metadata", "a status; at most 16 MB more", "{outcomes}; peak {peak_growth_mib} MiB more", ("too_much",)),
    Row("R17", "streams that are reset at once", "at most 64 MB more", "{calls:,} at {per_s:,}/s: {growth_percent} % more ({rss_mib[0]} to {rss_mib[10]} MiB), the next call after {next_call_ms} ms", ("rapid_reset",)),
    Row("R18", "damaged pictures", "no worker lost, p99.9 at most 100 ms", "{pictures:,} at {per_s}/s, sixteen at a time: {workers_lost} workers lost; p99.9 {p999_ms} ms with the wait for a worker, longest {longest_ms} ms; a worker's peak {worker_peak_mib} MiB; {outcomes}", ("mutated",)),
    Row("R19", "third parties' damaged pictures", "no crash or hang", "with a directory of them", again="tests/fuzz/test_decode_corpus.py"),
    Row("R20", "bytes of a picture on a disk", "none", "{pictures} pictures, {processes} processes: {written_bytes} bytes written, {files} files with the canary, in the log: {in_log}, {swapped_kib} KiB swapped, {cores} cores; the control that writes one is found: {control_found}", ("no_bytes",)),
    Row("R21", "requests forged through the fetcher", "0 of 48 addresses, 0 of 16 spellings", "0 and 0 ([fetching](fetching.md))", again="tests/integration/test_hotline_fetch_hostile.py"),
    Row("R22", "the audit log", "every bit flip, deletion and reorder found; a torn tail repaired", "in the suite", again="tests/property/test_ledger.py"),
    Row("R23", "six hours of everything at once", "as all of the above", "**not done**: the scenarios run one after the other, for minutes"),
)  # fmt: skip

HEAD = """\

# Reliability

What happens when things go wrong, as it was seen. `make chaos` starts `hashmatch serve` as an operator does and breaks it from outside:
workers are killed, the disk is filled, fsync fails (strace), the clock is set (a library that moves it), and strangers send half, too much or
nothing. **Every answer is checked**: it names a generation, and brute force over that generation has to say the same. A short form of
the same scenarios is part of `make test`.

Power is cut as ext4 does it by itself: it forgets what was not synchronised (`tests/chaos/test_power.py`). What is not checked here: a disk that says that it has written what it
has not, and what several faults do together for hours.

**Missed in this run:** R18's longest times: sixteen pictures wait for two workers, behind some that take a second to be refused. Rows that say *short form* have too few
events to show 99.9 %.

What such runs have found: a damaged TIFF, one of 100,000 pictures, whose header claims 3,590,324,256 lines, so that the worker's reply was no valid one and the worker was killed for
it; sizes that are only claimed are cut now. And 35 bytes that stayed of every cancelled call, which gRPC's Python did not give back
([callers that go away](serving.md#callers-that-go-away)).
"""


def page(results: Path) -> Iterator[str]:
    """Yield the lines of the page; what was not run says so."""
    document = json.loads(results.read_text(encoding="utf-8"))
    run, seen = document["run"], document["seen"]
    yield from HEAD.splitlines()
    yield from (
        "",
        f"Run of {run['when']} on {run['machine']}.",
        "",
    )
    yield "| | what | goal | seen | again |"
    yield "|---|---|---|---|---|"
    for row in ROWS:
        yield f"| {row.number} | {row.what} | {row.goal} | {told(row, seen)} | {again(row)} |"
    yield from (
        "",
        "Parsers that a stranger reaches are one table, `tests/fuzz/parsers.py`, which hypothesis goes through in `make test` and",
    )
    yield "atheris, guided by coverage, in `make fuzz`."


def told(row: Row, seen: Mapping[str, Any]) -> str:
    """Fill in the figures."""
    figures: dict[str, Any] = {}
    for name in row.of:
        if name not in seen:
            return "not run here"
        figures |= {key: shown(value) for key, value in seen[name].items()}
    if not row.of:
        return row.seen
    run = "short form" if not figures["minutes"] else f"CHAOS_MINUTES={figures['minutes']:g}"
    return f"{row.seen.format(**figures)} ({run})"


def shown(value: Any) -> Any:
    """Return counts and lists as people read them; what the sentence takes apart stays as it is."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return f"{len(value)} refused ({', '.join(sorted(set(value)))})" if value else "none refused"
    return value


def again(row: Row) -> str:
    """Return what to run."""
    return "".join(f"`{part}` " for part in row.again.split()).strip() or ("`make chaos`" if row.of else "")
