"""Made-up counters of fourteen months, and the tables that they make.

``python -m tests.support.counted`` writes the golden tables anew; look at the difference before it is committed.
"""

from __future__ import annotations

import datetime as dt
import random
from pathlib import Path

from hashmatch.cases import statistics_mandated as mandated
from hashmatch.cases import statistics_tables as tables
from hashmatch.model import HarmDomain
from hashmatch.model.figures import DISTANCES, DURATIONS, Counted, Counter

VECTORS = Path(__file__).parent.parent / "vectors" / "statistics"
FIRST, LAST = dt.date(2025, 11, 3), dt.date(2026, 12, 30)
YEAR = (dt.date(2026, 1, 1), dt.date(2026, 12, 31))

_BY_SET = {
    *(Counter.MATCH, Counter.POSSIBLE, Counter.CONFIRMED, Counter.REJECTED, Counter.DISPUTED),
    *DISTANCES,
}
_BY_OUTLET = {Counter.REPORTED, Counter.REPORTED_URGENT, Counter.FILES, Counter.TIME_TO_REPORT, Counter.EXPIRED}
_BY_NOTHING = {Counter.CHECKED, Counter.NOT_CHECKED}
_LISTS = (
    ("known-pictures", "pdq", HarmDomain.CSAM),
    ("known-pictures", "md5", HarmDomain.CSAM),
    ("ivory", "pdq", HarmDomain.WILDLIFE),
)
_OUTLETS = (("ncmec", HarmDomain.CSAM), ("desk", HarmDomain.WILDLIFE))


def made_up(seed: int = 17) -> list[Counted]:
    """Return rows that are the same for the same seed."""
    drawn = random.Random(seed)
    rows = []
    for number in range(0, (LAST - FIRST).days + 1, 9):
        day = FIRST + dt.timedelta(days=number)
        for counter in Counter:
            bucket = drawn.randrange(60, 180) if counter in DURATIONS else 0
            bucket = drawn.randrange(0, 41) if counter in DISTANCES else bucket
            count = drawn.randrange(1, 9) * (10_000 if counter is Counter.CHECKED else 1)
            if counter in _BY_NOTHING:
                rows.append(Counted(day, counter, count=count))
            elif counter in _BY_SET:
                name, algorithm, domain = drawn.choice(_LISTS)
                rows.append(Counted(day, counter, name, algorithm, domain, bucket=bucket, count=count))
            elif counter in _BY_OUTLET:
                outlet, domain = drawn.choice(_OUTLETS)
                rows.append(Counted(day, counter, domain=domain, outlet=outlet, bucket=bucket, count=count))
            else:
                _, domain = drawn.choice(_OUTLETS)
                rows.append(Counted(day, counter, domain=domain, bucket=bucket, count=count))
    return rows


def golden(rows: list[Counted]) -> dict[str, bytes]:
    """Return every table by the name of its file."""
    every = (
        tables.monthly(rows),
        tables.yearly(rows),
        mandated.interim(rows, *YEAR),
        mandated.dsa(rows, *YEAR),
        mandated.ncmec(rows, *YEAR, {"ncmec"}),
    )
    made = {f"{table.name}.csv": tables.as_csv(table) for table in every}
    return made | {f"{table.name}.json": tables.as_json(table) for table in every}


if __name__ == "__main__":
    for file_name, content in golden(made_up()).items():
        (VECTORS / file_name).write_bytes(content)
