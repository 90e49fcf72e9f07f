"""A record of every call, whatever becomes of it, and not a word of what it was about."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime as dt
import threading
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import pytest

from hashmatch.audit.wording import KINDS, MAX_HITS
from hashmatch.errors import LedgerUnavailable, Overloaded
from hashmatch.identity import Caller, acting
from hashmatch.matching.engine import Submission
from hashmatch.matching.given import HashedItem
from hashmatch.matching.rescan import Rescan
from hashmatch.model import Digests, EntryHash, Hit, MatchReport, Refusal, Verdict
from hashmatch.model.hotline import Item, Outcome, Summary, Via
from hashmatch.model.hotline import Submission as Reported
from hashmatch.sections import AuditConfig
from hashmatch.service.auditing import Audited, AuditedChecks, Recorder, Retention
from tests.support.auditing import bodies, in_trouble, opened, recorded
from tests.support.clock import rounds
from tests.support.ports import entry_ref

CANARY = "canary-51f0"
NOW = dt.datetime(2026, 11, 28, 8, tzinfo=dt.UTC)
DIGESTS = Digests(b"\1" * 16, b"\2" * 20, b"\3" * 32, 7)
HIT = Hit(Verdict.MATCH, "pdq_within", entry_ref(CANARY), "pdq", "pdq", 4, 31, "orig")
MATCH = MatchReport(CANARY, Verdict.MATCH, "pdq_within", "7.1", NOW, hits=(HIT,), digests=DIGESTS, detail=CANARY)
NOTHING = MatchReport(CANARY, Verdict.NO_MATCH, "nothing_found", "7.1", NOW, digests=DIGESTS)
HASHES = (EntryHash("pdq", (CANARY * 4).encode()[:32], 90),)


class Scripted:
    """A detector that answers, or raises, as it is told."""

    def __init__(self, answer: MatchReport | BaseException = MATCH) -> None:
        self.answer = answer
        self.reports: list[MatchReport] = [MATCH]
        self.asked = 0

    async def detect(self, submission: Submission) -> MatchReport:
        """Answer for one image."""
        del submission
        self.asked += 1
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    async def detect_hashes(self, items: Sequence[HashedItem], sets: frozenset[str] | None = None) -> list[MatchReport]:
        """Answer for a batch."""
        del items, sets
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.reports

    def served_sets(self) -> frozenset[str]:
        """Nobody asks."""
        raise NotImplementedError

    def rescan(self, since: str, sets: frozenset[str] | None = None) -> Rescan:
        """Begin what nobody goes on with."""
        del since, sets
        return object.__new__(Rescan)


async def test_an_answer_is_recorded_without_what_it_was_about(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        report = await Audited(Scripted(), Recorder(log)).detect(Submission(b"picture", CANARY, frozenset({"hotline"})))
        pseudonyms = log.pseudonyms
    assert report is MATCH
    (body,) = bodies(tmp_path, "detect")
    assert body.pop("elapsed_us") >= 0
    assert body == {
        "caller": "local",
        "sets": ["hotline"],
        "status": "OK",
        "bytes": 7,
        "request": pseudonyms.of_image(DIGESTS.sha256),
        "generation": "7.1",
        "verdict": "match",
        "rule": "pdq_within",
        "hits": [
            {
                "set": "hotline",
                "set_id": "id-of-hotline",
                "set_version": 3,
                "entry": pseudonyms.of_entry("id-of-hotline", CANARY),
                "algorithm": "pdq",
                "distance": 4,
                "verdict": "match",
                "rule": "pdq_within",
            }
        ],
    }
    assert CANARY not in str(recorded(tmp_path))


async def test_who_calls_is_recorded(tmp_path: Path) -> None:
    with opened(tmp_path) as log, acting(Caller("forum", frozenset())):
        await Audited(Scripted(NOTHING), Recorder(log)).detect(Submission(b""))
    (body,) = bodies(tmp_path, "detect")
    assert (body["caller"], body["verdict"], body["hits"]) == ("forum", "no_match", [])


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (Overloaded(CANARY), {"status": "RESOURCE_EXHAUSTED", "error": "OVERLOADED"}),
        (asyncio.CancelledError(CANARY), {"status": "CANCELLED"}),
        (ZeroDivisionError(CANARY), {"status": "INTERNAL", "error": "DEFECT"}),
    ],
)
async def test_a_call_that_fails_is_recorded_by_the_name_of_what_went_wrong(
    tmp_path: Path, raised: BaseException, expected: dict[str, str]
) -> None:
    with opened(tmp_path) as log:
        audited = Audited(Scripted(raised), Recorder(log))
        with pytest.raises(type(raised), match=CANARY):
            await audited.detect(Submission(b"picture", sets=frozenset({CANARY})))
        with pytest.raises(type(raised), match=CANARY):
            await audited.detect_hashes([HashedItem(HASHES, CANARY)], frozenset({CANARY}))
    (one,), (batch,) = bodies(tmp_path, "detect"), bodies(tmp_path, "detect_hashes")
    del one["elapsed_us"]
    assert one == {"caller": "local", "bytes": 7, **expected}
    assert {**batch, **expected} == batch
    assert CANARY not in str(recorded(tmp_path))
    assert (batch["items"], batch["hashes"], batch["verdicts"], batch["found"]) == (1, 1, {}, [])


async def test_what_could_not_be_looked_at_is_recorded_with_its_reason(tmp_path: Path) -> None:
    report = dataclasses.replace(NOTHING, verdict=Verdict.NOT_CHECKED, reason=Refusal.CORRUPT, detail=CANARY)
    with opened(tmp_path) as log:
        await Audited(Scripted(report), Recorder(log)).detect(Submission(b""))
    (body,) = bodies(tmp_path, "detect")
    assert (body["verdict"], body["reason"]) == ("not_checked", "corrupt")


async def test_a_batch_is_counted_and_what_was_found_listed_in_parts(tmp_path: Path) -> None:
    many = dataclasses.replace(MATCH, hits=(HIT,) * (MAX_HITS - 1))
    scripted = Scripted()
    scripted.reports = [NOTHING, MATCH, NOTHING, many, MATCH, NOTHING]
    with opened(tmp_path) as log:
        audited = Audited(scripted, Recorder(log))
        assert await audited.detect_hashes([HashedItem(HASHES, CANARY)] * 6) is scripted.reports
        digest = log.pseudonyms.of_hashes(HASHES)
    first, second = bodies(tmp_path, "detect_hashes")
    assert [body["part"] for body in (first, second)] == [0, 1]
    for body in (first, second):
        assert (body["items"], body["hashes"], body["generation"]) == (6, 6, "7.1")
        assert body["verdicts"] == {"match": 3, "no_match": 3}
    assert [item["item"] for item in first["found"]] == [1, 3]
    assert [item["item"] for item in second["found"]] == [4]
    assert {item["request"] for item in first["found"]} == {digest}
    assert CANARY not in str(recorded(tmp_path))


async def test_a_report_with_more_hits_than_a_record_has_says_so(tmp_path: Path) -> None:
    report = dataclasses.replace(MATCH, hits=(HIT,) * (MAX_HITS + 1))
    with opened(tmp_path) as log:
        await Audited(Scripted(report), Recorder(log)).detect(Submission(b""))
    (body,) = bodies(tmp_path, "detect")
    assert (len(body["hits"]), body["more_hits"]) == (MAX_HITS, True)


async def test_a_rescan_is_recorded_when_it_begins(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        Audited(Scripted(), Recorder(log)).rescan(CANARY, frozenset({CANARY}))
    assert bodies(tmp_path, "rescan") == [{"caller": "local", "all_sets": False}]


async def test_nothing_is_asked_of_the_engine_where_the_audit_is_required_and_cannot_be_written(tmp_path: Path) -> None:
    scripted = Scripted()
    with opened(tmp_path, AuditConfig(required=True)) as log:
        audited = Audited(scripted, Recorder(log))
        in_trouble(log, "Input/output error")
        with pytest.raises(LedgerUnavailable, match=r"^calls are refused while .*: Input/output error$"):
            await audited.detect(Submission(b""))
        with pytest.raises(LedgerUnavailable, match=r"^calls are refused while"):
            await audited.detect_hashes([])
        with pytest.raises(LedgerUnavailable, match=r"^calls are refused while"):
            audited.rescan("0")
    assert scripted.asked == 0


async def test_every_kind_that_is_recorded_is_in_the_table(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        recorder = Recorder(log, lambda: "tests")
        for kind in KINDS:
            recorder.event(kind, {})
        recorder.entry("entry.withdrawn", "set-1", CANARY, {"set": "hotline"})
        digest = log.pseudonyms.of_entry("set-1", CANARY)
    assert {record["kind"] for record in recorded(tmp_path)} == set(KINDS)
    assert bodies(tmp_path, "entry.withdrawn")[-1] == {
        "caller": "tests", "set": "hotline", "set_id": "set-1", "entry": digest,
    }  # fmt: skip


class ScriptedChecks:
    """Checks that yield what they are told, then end or raise."""

    def __init__(self, answers: Sequence[Item | Summary], error: Exception | None = None) -> None:
        self._answers = answers
        self._error = error
        self.asked = 0
        self.closed = 0

    async def check(
        self, submissions: Sequence[Reported], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield."""
        del submissions, respect_robots
        self.asked += 1
        try:
            for answer in self._answers:
                yield answer
            if self._error is not None:
                raise self._error
        finally:
            self.closed += 1


ADDRESS = Reported(1, f"https://example.org/{CANARY}", {"remarks": CANARY})
FOUND: list[Item | Summary] = [
    Item(1, f"https://example.org/{CANARY}.png", Via.IMG, Outcome.MATCH, detail=CANARY),
    Item(1, "", Via.INLINE, Outcome.NO_MATCH),
    Summary(ADDRESS, Outcome.MATCH, detail=CANARY),
    Summary(ADDRESS, Outcome.GONE),
    Summary(ADDRESS, Outcome.GONE),
]


async def test_a_check_of_addresses_is_recorded_at_both_ends_without_one_of_them(tmp_path: Path) -> None:
    checks = ScriptedChecks(FOUND)
    with opened(tmp_path) as log, acting(Caller("desk", frozenset())):
        answers = AuditedChecks(checks, Recorder(log)).check([ADDRESS] * 3, respect_robots=True)
        assert [answer async for answer in answers] == FOUND
    assert [record["kind"] for record in recorded(tmp_path)] == ["check_urls.begun", "check_urls"]
    (begun,), (ended,) = bodies(tmp_path, "check_urls.begun"), bodies(tmp_path, "check_urls")
    assert begun == {"caller": "desk", "addresses": 3, "respect_robots": True}
    assert ended.pop("elapsed_us") >= 0
    assert ended == {**begun, "images": 2, "outcomes": {"gone": 2, "match": 1}, "status": "OK"}
    assert CANARY not in str(recorded(tmp_path))


async def test_a_check_that_its_caller_leaves_is_closed_and_recorded(tmp_path: Path) -> None:
    checks = ScriptedChecks(FOUND)
    with opened(tmp_path) as log:
        answers = AuditedChecks(checks, Recorder(log)).check([ADDRESS] * 3, respect_robots=False)
        await anext(answers)
        await answers.aclose()
        assert checks.closed == 1
    (ended,) = bodies(tmp_path, "check_urls")
    assert (ended["status"], ended["images"], ended["outcomes"]) == ("CANCELLED", 1, {})


async def test_a_check_that_fails_is_recorded_by_the_name_of_what_went_wrong(tmp_path: Path) -> None:
    with opened(tmp_path) as log:
        answers = AuditedChecks(ScriptedChecks(FOUND[2:3], Overloaded(CANARY)), Recorder(log)).check(
            [ADDRESS] * 3, respect_robots=False
        )
        with pytest.raises(Overloaded, match=CANARY):
            [answer async for answer in answers]
    (ended,) = bodies(tmp_path, "check_urls")
    assert (ended["status"], ended["error"], ended["outcomes"]) == ("RESOURCE_EXHAUSTED", "OVERLOADED", {"match": 1})
    assert CANARY not in str(recorded(tmp_path))


async def test_no_address_is_fetched_that_could_not_be_recorded(tmp_path: Path) -> None:
    checks = ScriptedChecks(FOUND)
    with opened(tmp_path, AuditConfig(required=True)) as log:
        in_trouble(log, "Input/output error")
        with pytest.raises(LedgerUnavailable, match=r"^calls are refused while .*: Input/output error$"):
            await anext(AuditedChecks(checks, Recorder(log)).check([ADDRESS], respect_robots=False))
    assert checks.asked == 0


class HeldLog:
    """Takes as long to remove something as it is told to."""

    def __init__(self) -> None:
        self.begun, self.go, self.removed = threading.Event(), threading.Event(), 0

    def retain(self, keep_days: int, now_ns: int, *, others: bool) -> int:
        """Remove one record."""
        assert (keep_days, now_ns, others) == (365, 7, True)
        self.begun.set()
        assert self.go.wait(300)
        self.removed += 1
        return 1


async def test_the_end_waits_for_what_is_being_removed() -> None:
    log: Any = HeldLog()
    retention = Retention(log, 365, lead=True, clock=lambda: 7)
    await retention.start()
    await asyncio.to_thread(log.begun.wait)
    closing = asyncio.create_task(retention.close())
    await rounds(10)
    assert not closing.done()
    log.go.set()
    await closing
    assert log.removed == 1
