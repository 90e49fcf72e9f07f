"""Made-up rows of a check that matched."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from hashmatch.cases.receipt import issued
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import Finished, Planned
from hashmatch.model import Digests, HarmDomain, MatchReport, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Summary, Via
from hashmatch.projections.places import host_of
from hashmatch.signatures import SigningKey
from tests.support import cases

KEY = SigningKey.generate()
SEEN = cases.NOW - dt.timedelta(minutes=12)
HOSTER = Place("192.0.2.80", 64500, "EXAMPLE-NET", "192.0.2.0/24", "NL", "abuse@hoster.example")
CDN = Place("198.51.100.7", 64501, "EXAMPLE-CDN", "198.51.100.0/24", "US", "Abuse@CDN.example", "Example Delivery")
NETWORK = Place("203.0.113.9", 64502, "NOBODY-NET", "203.0.113.0/24", "BE")


def matched(word: str, *, key: SigningKey = KEY, domain: HarmDomain = HarmDomain.CSAM, **given: Any) -> MatchReport:
    """Return the report of a picture that is called so, with its receipt."""
    sha256 = hashlib.sha256(word.encode()).digest()
    hit = given.pop("hit", None) or cases.hit(domain, set_name="known", entry_id="a1")
    made = cases.report(hit, digests=Digests(sha256[:16], sha256[:20], sha256, 1_234), **given)
    return issued_in(made, key)


def issued_in(report: MatchReport, key: SigningKey) -> MatchReport:
    """Return a report with its receipt."""
    return replace(report, receipt=issued(report, key))


def item(number: int, url: str, report: MatchReport | None, place: Place | None = HOSTER, **given: Any) -> Item:
    """Return a row about a picture at an address."""
    final = given.pop("final", url)
    hops = tuple(Hop(at, place.ip if place else "", 443, status=200) for at in dict.fromkeys((url, final)))
    values: dict[str, Any] = {
        "via": Via.DIRECT,
        "outcome": Outcome.MATCH,
        "fetched": Fetched(hops, ended_at=SEEN),
        "evidence": f"{number:064x}",
    }
    return Item(number, url, **(values | given), report=report, place=place)


def job_of(path: Path, items: list[Item], *, unfinished: int = 0) -> Path:
    """Make a job of one submission per row, all of them done but some."""
    numbers = range(1, len(items) + unfinished + 1)
    with JobFile.create(path) as job:
        planned = []
        for number in numbers:
            url = items[number - 1].url if number <= len(items) else f"https://late.example.org/{number}"
            planned.append(Planned(Submission(number, url), url, f"{number} {url}", host_of(url) or "none"))
        job.load(planned, lambda: "list", "", cases.NOW)
        job.begin(len(planned))
        for one in job.advance((), len(planned)):
            if (number := one.submission.number) <= len(items):
                row = items[number - 1]
                job.advance([Finished(Summary(one.submission, row.outcome, url=row.url), (row,))], 0)
    return path


def possible() -> MatchReport:
    """Return a possible match."""
    return matched("possible", hit=cases.hit(verdict=Verdict.POSSIBLE_MATCH, set_name="known", entry_id="a1"))
