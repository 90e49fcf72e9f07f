"""What the audit costs: a service's detector with and without it, interleaved, and both parts of the cost apart.

python native_bench/audit.py                                       # a minute
python native_bench/audit.py --json > native_bench/results/audit.json

``image`` and ``hashes`` are calls to a real runtime (confined workers, index, witness), one after the other, turn by
turn with and without the audit around it; ``answer`` is the same around a detector that only answers. Wall time has the
log's thread in it, where both want the interpreter; so the CPU time of the loop's own thread stands beside it, and that
of the log's thread by its records. ``verify`` is ``hashmatch audit verify`` on what was written, per record.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hashmatch.audit import AuditLog
from hashmatch.bench.machine import card, noise
from hashmatch.bench.timing import median_interval
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import AuditConfig, Config
from hashmatch.ledger import verified
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.model import Entry, EntryHash, HarmDomain, MatchReport
from hashmatch.service.auditing import Audited, Recorder
from hashmatch.service.runtime import Runtime

Call = Callable[[Any], Awaitable[object]]
SIDE_PX = 768


class Answers:
    """A detector that only answers."""

    def __init__(self, report: MatchReport) -> None:
        self._report = report

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer at once."""
        del submission
        return self._report


def picture(seed: int) -> bytes:
    """Return a JPEG of coloured noise, about 100 kB."""
    small = Image.frombytes("RGB", (96, 96), np.random.default_rng(seed).bytes(3 * 96 * 96))
    stream = io.BytesIO()
    small.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=85)
    return stream.getvalue()


def fill(data_dir: Path, entries: int, known: EntryHash) -> None:
    """Make a set of random values and one that is known."""
    rng = np.random.default_rng(1)
    rows = (Entry(f"e{n}", (EntryHash("pdq", rng.bytes(32)),)) for n in range(entries))
    with SqliteCatalog.open(data_dir / "catalog.sqlite3") as catalog:
        catalog.create_set("known", HarmDomain.OTHER)
        catalog.import_entries("known", [*rows, Entry("k", (known,))])


async def turns(plain: Any, audited: Any, call: Call, rounds: int, size: int) -> dict[str, dict[str, float]]:
    """Return microseconds per call without and with the audit, and what lies between in each round."""
    samples: dict[str, list[float]] = {name: [] for name in ("without", "with", "without_cpu", "with_cpu")}
    ways = [("without", plain), ("with", audited)]
    for number in range(rounds + 1):
        for name, detector in ways if number % 2 else reversed(ways):
            began, cpu = time.perf_counter_ns(), time.thread_time_ns()
            for _ in range(size):
                await call(detector)
            samples[f"{name}_cpu"].append((time.thread_time_ns() - cpu) / 1e3 / size)
            samples[name].append((time.perf_counter_ns() - began) / 1e3 / size)
    kept = {name: values[1:] for name, values in samples.items()}  # the first round warms up
    for suffix in ("", "_cpu"):
        pairs = zip(kept[f"without{suffix}"], kept[f"with{suffix}"], strict=True)
        kept[f"difference{suffix}"] = [after - before for before, after in pairs]
    ends = ("low", "median", "high")
    return {name: dict(zip(ends, median_interval(values), strict=True)) for name, values in kept.items()}


def thread_cpu_ns() -> int:
    """CPU time of the log's thread so far."""
    (ident,) = [each.ident for each in threading.enumerate() if each.name == "hashmatch-ledger" and each.ident]
    return time.clock_gettime_ns(time.pthread_getcpuclockid(ident))


async def measure(rounds: int, entries: int) -> dict[str, Any]:
    """Measure everything."""
    before = noise()
    with tempfile.TemporaryDirectory() as name:
        data_dir = Path(name)
        known = EntryHash("pdq", bytes(range(32)), 100)
        fill(data_dir, entries, known)
        async with Runtime(Config(), data_dir) as runtime:
            log = AuditLog.open(AuditConfig(), data_dir, {"tool": "bench"})
            plain, recorder, image = runtime.detector, Recorder(log), picture(1)
            audited = Audited(plain, recorder)
            (match,) = await plain.detect_hashes([HashedItem((known,))])
            answers: Any = Answers(match)
            items = [HashedItem((EntryHash("pdq", np.random.default_rng(2).bytes(32), 100),))]
            series = {
                "image": await turns(plain, audited, lambda d: d.detect(Submission(image)), rounds, 50),
                "hashes": await turns(plain, audited, lambda d: d.detect_hashes(items), rounds, 500),
            }
            posted, cpu = log.state().seq, thread_cpu_ns()
            loop = Audited(answers, recorder)
            series["answer"] = await turns(answers, loop, lambda d: d.detect(Submission(b"")), rounds, 1_000)
            await asyncio.to_thread(log._ledger.head)  # noqa: SLF001  everything written
            written_us = (thread_cpu_ns() - cpu) / 1e3 / (log.state().seq - posted)
            log.close()
        directory = data_dir / "audit" / "001"
        size = sum(path.stat().st_size for path in directory.glob("0*.jsonl"))
        began = time.perf_counter()
        summary, findings = verified(directory)
        if any(findings):
            raise SystemExit("the log does not verify")
        verify_us = (time.perf_counter() - began) * 1e6 / summary.records
    return {
        "entries": entries,
        "image_bytes": len(image),
        "us_per_call": series,
        "log_thread_us_per_record": written_us,
        "bytes_per_record": size / summary.records,
        "records": summary.records,
        "verify_us_per_record": verify_us,
        "machine": {**card(), "noise": asdict(before)},
    }


def main() -> None:
    """Measure and print a table or JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="one object instead of the table")
    arguments = parser.parse_args()
    said = asyncio.run(measure(arguments.rounds, arguments.entries))
    if arguments.json:
        print(json.dumps(said, indent=1))
        return
    print("call     without us   with us   difference us (95 % interval)   of it the loop's thread, CPU us")
    for name, one in said["us_per_call"].items():
        between = one["difference"]
        print(
            f"{name:8} {one['without']['median']:10.1f} {one['with']['median']:9.1f} "
            f"{between['median']:9.1f} ({between['low']:.1f} to {between['high']:.1f}) "
            f"{one['difference_cpu']['median']:9.1f}"
        )
    shares = said["log_thread_us_per_record"], said["verify_us_per_record"]
    print("log's thread, CPU: {:.1f} us per record; verification: {:.1f} us per record".format(*shares))
    print(f"{said['records']} records of {said['bytes_per_record']:.0f} bytes; noise {said['machine']['noise']}")


if __name__ == "__main__":
    main()
