"""Answers on their way out: signed where they found something, counted all, and held up by neither."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from hashmatch.cases.receipt import opened
from hashmatch.errors import CatalogUnavailable
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import MatchReport, Verdict
from hashmatch.model.figures import Counted, Counter
from hashmatch.service.witness import Witness, Witnessed
from hashmatch.signatures import SigningKey
from tests.support import cases

KEY = SigningKey.generate()
DAY = cases.report().created_at.date()


class Answers:
    """A detector that knows its answers."""

    def __init__(self, *reports: MatchReport) -> None:
        self.reports = list(reports)

    async def detect(self, submission: Submission) -> MatchReport:
        """Give the first."""
        del submission
        return self.reports[0]

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Give all."""
        del items, sets
        return self.reports

    def served_sets(self) -> frozenset[str]:
        """Nobody asks."""
        raise NotImplementedError

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Nobody asks."""
        raise NotImplementedError


async def test_a_batch_is_signed_in_order_and_counted() -> None:
    written: list[Counted] = []
    witness = Witness(written.extend, 3_600)
    reports = [cases.report(request_id=f"r{n}", verdict=Verdict.MATCH if n % 2 else Verdict.NO_MATCH) for n in range(6)]
    found = await Witnessed(Answers(*reports), KEY, witness).detect_hashes([])
    assert [report.request_id for report in found] == [f"r{n}" for n in range(6)]
    assert [opened(report.receipt, KEY.verify_key).request_id for report in found if report.receipt] == [
        "r1",
        "r3",
        "r5",
    ]
    await witness.flush()
    assert {row.counter: row.count for row in written} == {Counter.CHECKED: 6, Counter.MATCH: 3}


async def test_one_answer_likewise() -> None:
    report = await Witnessed(Answers(cases.report()), KEY, Witness(lambda _: None, 3_600)).detect(Submission(b""))
    assert opened(report.receipt, KEY.verify_key).request_id == "request-1"


async def test_what_cannot_be_written_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    written: list[Counted] = []
    away = [True]

    def write(rows: tuple[Counted, ...]) -> None:
        if away:
            away.clear()
            raise CatalogUnavailable
        written.extend(rows)

    witness = Witness(write, 3_600)
    witness.observe([cases.report()])
    await witness.flush()
    assert "counters could not be written and are kept: CATALOG_UNAVAILABLE" in caplog.text
    witness.observe([cases.report()])
    await witness.close()
    assert Counted(DAY, Counter.CHECKED, count=2) in written
