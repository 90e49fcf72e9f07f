"""What the guard and the detector tell of calls and answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence

import pytest

from hashmatch.errors import HashmatchError, Overloaded, QuotaExceeded
from hashmatch.identity import ANONYMOUS
from hashmatch.identity.callers import acting
from hashmatch.matching.engine import Submission
from hashmatch.model.hotline import Item, Outcome, Summary, Via
from hashmatch.model.hotline import Submission as Reported
from hashmatch.service.watching import CANCELLED, Watch, Watched, WatchedChecks
from hashmatch.telemetry.tally import Tally
from hashmatch.telemetry.tracing import SILENT, Span
from tests.support import cases
from tests.unit.service.test_witness import Answers

METHOD = "/hashmatch.v1.DetectionService/Detect"


class Heard:
    """A tracer that writes down what it is told."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def begin(self, method: str, call: str, untrusted_parent: str) -> Span:
        """Note it."""
        self.said.append((method, call, untrusted_parent))
        return self

    def stages(self, elapsed_us: Mapping[str, int]) -> None:
        """Note them."""
        self.said.append(dict(elapsed_us))

    def end(self, status: str, reason: str) -> None:
        """Note it."""
        self.said.append((status, reason))


@pytest.mark.parametrize(
    ("status", "error", "reason", "refused"),
    [
        ("OK", None, None, {}),
        (CANCELLED, None, None, {}),
        ("RESOURCE_EXHAUSTED", Overloaded(), "OVERLOADED", {}),
        ("RESOURCE_EXHAUSTED", QuotaExceeded(), "QUOTA_EXCEEDED", {("anonymous",): 1}),
        ("INTERNAL", ValueError("secret"), HashmatchError.reason(), {}),
    ],
)
def test_the_end_of_a_call_is_counted_traced_and_told(
    status: str, error: Exception | None, reason: str | None, refused: Mapping[tuple[str, ...], int]
) -> None:
    heard = Heard()
    watch = Watch(Tally(), heard)
    with acting(ANONYMOUS):
        watching = watch.begin(METHOD, "abc", "parent", timed=True)
        assert repr(watching).startswith(f"<Watching {METHOD} for ")
        about = watching.end(status, error)
    counts = watch.tally.copy()
    assert counts.calls == {(METHOD, status): 1}
    assert counts.callers == {("anonymous", status): 1}
    assert counts.errors == ({} if reason is None else {(METHOD, reason): 1})
    assert counts.refused == refused
    assert sum(counts.durations[(METHOD,)].counts) == 1
    assert heard.said == [(METHOD, "abc", "parent"), (status, reason or "")]
    assert (about["call"], about["status"], about["caller"], about.get("reason")) == (
        "abc",
        status,
        "anonymous",
        reason,
    )


def test_a_stream_is_counted_and_not_timed() -> None:
    watch = Watch()
    watch.begin(METHOD, "abc", "", timed=False).end()
    watch.unknown()
    assert watch.tracer is SILENT
    assert watch.tally.copy().durations == {}
    assert watch.tally.copy().calls == {(METHOD, "OK"): 1, ("unknown", "UNIMPLEMENTED"): 1}


async def test_answers_are_passed_on_as_they_are_counted_and_traced() -> None:
    heard = Heard()
    watch = Watch(Tally(), heard)
    reports = [cases.report(elapsed_us={"search": 3, "total": 5}), cases.report(elapsed_us={"search": 4})]
    detector = Watched(Answers(*reports), watch)
    assert await detector.detect(Submission(b"")) is reports[0]
    assert await detector.detect_hashes([]) == reports
    assert heard.said == [{"search": 3, "total": 5}, {"search": 7, "total": 5}]
    assert watch.tally.copy().verdicts == {("image", "match"): 1, ("hashes", "match"): 2}


class Found:
    """Checks that know their answers, and whether they were ended."""

    def __init__(self, *answers: Item | Summary) -> None:
        self.answers = answers
        self.ended = False

    async def check(
        self, submissions: Sequence[Reported], *, respect_robots: bool
    ) -> AsyncGenerator[Item | Summary, None]:
        """Yield them."""
        del submissions, respect_robots
        try:
            for answer in self.answers:
                yield answer
        finally:
            self.ended = True


async def test_outcomes_of_checks_are_counted_as_they_come_and_ending_early_ends_the_check() -> None:
    item = Item(1, "https://example.org/a.jpg", next(iter(Via)), Outcome.MATCH)
    found = Found(item, item, Summary(Reported(1, "https://example.org"), Outcome.MATCH))
    tally = Tally()
    checks = WatchedChecks(found, tally)
    assert [answer async for answer in checks.check([], respect_robots=True)] == list(found.answers)
    assert tally.copy().checked == {("image", "match"): 2, ("address", "match"): 1}
    found.ended = False
    answers = checks.check([], respect_robots=True)
    await anext(answers)
    await answers.aclose()
    assert found.ended
