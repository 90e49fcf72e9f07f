"""What one file becomes, what a run adds up to, and which exit code that is."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections import Counter
from pathlib import Path
from typing import Self

import pytest

from hashmatch.cli.detect import FIELDS, HIT_FIELDS, Job, Unanswered, _run, exit_code, summary, to_record
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.paths import Skipped, SkipReason
from hashmatch.errors import DeadlineExceeded, ExitCode, HashmatchError, Overloaded, ServiceUnavailable
from hashmatch.model import Hit, MatchReport, Refusal, Verdict
from hashmatch.progress import SILENT
from tests.support.ports import entry_ref

NO_MATCH = MatchReport(
    request_id="r1",
    verdict=Verdict.NO_MATCH,
    rule="nothing_within_reach",
    generation="3.0",
    created_at=dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
)
HIT = Hit(
    verdict=Verdict.MATCH,
    rule="within_match_distance",
    entry=entry_ref("e1"),
    algorithm="pdq",
    query_algorithm="pdq",
    distance=4,
    max_distance=31,
    transformation="rot90",
    chance=2.6e-21,
)
MATCH = dataclasses.replace(NO_MATCH, verdict=Verdict.MATCH, rule="within_match_distance", hits=(HIT, HIT))
REFUSED = dataclasses.replace(
    NO_MATCH, verdict=Verdict.NOT_CHECKED, rule="picture_refused", reason=Refusal.CORRUPT, detail="no picture"
)


class FakeDetector:
    """Answers by the image's bytes."""

    def __init__(self, *, size: int = 3, **answers: MatchReport | HashmatchError) -> None:
        self.size = size
        self.answers = answers
        self.closed = False

    async def detect(self, image: bytes) -> MatchReport:
        """Return or raise what the script says."""
        answer = self.answers[image.decode()]
        if isinstance(answer, HashmatchError):
            raise answer
        return answer

    async def entries(self) -> int:
        """Return what the script says."""
        return self.size

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.closed = True


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with files named as what they hold."""
    monkeypatch.chdir(tmp_path)
    for name in ("clean", "known", "broken"):
        (tmp_path / name).write_bytes(name.encode())
    return tmp_path


ANSWERS = FakeDetector(clean=NO_MATCH, known=MATCH, broken=REFUSED)


def test_a_report_is_one_row_with_every_documented_key() -> None:
    record = to_record("a.jpg", MATCH)
    assert next(iter(record)) == "path"
    assert set(record) == set(FIELDS)
    assert record["path"] == "a.jpg"
    assert record["verdict"] == "match"
    hits = record["hits"]
    assert isinstance(hits, list)
    assert set(hits[0]) == set(HIT_FIELDS)
    promised = ("set", "set_version", "entry_id", "harm_domain", "algorithm", "distance", "max_distance")
    assert [hits[0][key] for key in promised] == ["hotline", 3, "e1", "other", "pdq", 4, 31]
    assert hits[0]["transformation"] == "rot90"


def test_what_was_not_read_or_not_answered_is_not_checked_with_the_same_keys() -> None:
    skipped = to_record("b", Skipped("b", SkipReason.NOT_FOUND, "No such file or directory"))
    assert set(skipped) == set(FIELDS)
    assert (skipped["verdict"], skipped["reason"]) == ("not_checked", "not_found")
    assert (skipped["detail"], skipped["hits"], skipped["generation"]) == ("No such file or directory", [], None)
    unanswered = to_record("c", Unanswered(DeadlineExceeded("no answer within 3 s")))
    assert (unanswered["verdict"], unanswered["reason"]) == ("not_checked", "deadline_exceeded")
    assert unanswered["detail"] == "no answer within 3 s"


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ([], ExitCode.CLEAN),
        ([Verdict.NO_MATCH], ExitCode.CLEAN),
        ([Verdict.NO_MATCH, Verdict.NOT_CHECKED], ExitCode.SKIPPED),
        ([Verdict.NOT_CHECKED, Verdict.MATCH], ExitCode.MATCHED),
        ([Verdict.NOT_CHECKED, Verdict.POSSIBLE_MATCH], ExitCode.MATCHED),
        ([Verdict.NO_MATCH, Verdict.MATCH], ExitCode.MATCHED),
    ],
)
def test_the_exit_code_follows_from_the_verdicts(verdicts: list[Verdict], expected: ExitCode) -> None:
    assert exit_code(Counter(verdicts)) is expected


def test_the_summary_counts_every_verdict() -> None:
    tally = Counter([Verdict.MATCH, Verdict.NO_MATCH, Verdict.NO_MATCH, Verdict.NOT_CHECKED])
    assert summary(tally) == "4 images: 1 match, 0 possible, 2 without match, 1 not checked"
    assert (
        summary(Counter([Verdict.POSSIBLE_MATCH])) == "1 image: 0 matches, 1 possible, 0 without match, 0 not checked"
    )


async def test_every_file_is_one_line_in_the_order_of_the_arguments(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    with Output(GlobalOptions(json=True)).results() as results:
        tally = await Job(("known", "missing", "."), 100, 2).run(ANSWERS, results, SILENT)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["path"], row["verdict"]) for row in rows] == [
        ("known", "match"),
        ("missing", "not_checked"),
        ("./broken", "not_checked"),
        ("./clean", "no_match"),
        ("./known", "match"),
    ]
    assert tally == {Verdict.MATCH: 2, Verdict.NOT_CHECKED: 2, Verdict.NO_MATCH: 1}


async def test_people_see_the_nearest_hit_and_the_reason(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del files
    with Output(GlobalOptions()).results("v", "p", "e", "a", "d", "c", "t", "r") as results:
        await Job(("known", "clean", "broken", "missing"), 100, 2).run(ANSWERS, results, SILENT)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "match\tknown\thotline/e1 (+1)\tpdq\t4 of 31\t3e-21\trot90\twithin_match_distance",
        "no_match\tclean\t\t\t\t\t\tnothing_within_reach",
        "not_checked\tbroken\t\t\t\t\t\tcorrupt: no picture",
        "not_checked\tmissing\t\t\t\t\t\tnot_found: No such file or directory",
    ]


async def test_people_see_which_part_of_the_original_was_hit_and_no_chance_where_none_is_known(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    part = dataclasses.replace(HIT, view="crop-left-10", chance=None)
    detector = FakeDetector(known=dataclasses.replace(MATCH, hits=(part,)))
    with Output(GlobalOptions()).results("v", "p", "e", "a", "d", "c", "t", "r") as results:
        await Job(("known",), 100, 1).run(detector, results, SILENT)
    assert capsys.readouterr().err.splitlines()[1:] == [
        "match\tknown\thotline/e1\tpdq\t4 of 31\t\trot90 of crop-left-10\twithin_match_distance"
    ]


@pytest.mark.parametrize("error", [Overloaded(), DeadlineExceeded()])
async def test_an_answer_that_one_file_did_not_get_does_not_end_the_run(
    files: Path, error: HashmatchError, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    detector = FakeDetector(clean=error, known=MATCH)
    with Output(GlobalOptions(json=True)).results() as results:
        tally = await Job(("clean", "known"), 100, 1).run(detector, results, SILENT)
    assert tally == {Verdict.NOT_CHECKED: 1, Verdict.MATCH: 1}
    assert error.reason().lower() in capsys.readouterr().out


async def test_a_service_that_is_gone_ends_the_run_after_what_was_answered(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    detector = FakeDetector(clean=ServiceUnavailable("connection refused"), known=MATCH)
    with Output(GlobalOptions(json=True)).results() as results:
        running = Job(("known", "clean", "known"), 100, 2).run(detector, results, SILENT)
        with pytest.raises(ServiceUnavailable, match=r"^connection refused$"):
            await running
    assert [json.loads(line)["path"] for line in capsys.readouterr().out.splitlines()] == ["known"]


async def test_a_run_ends_with_a_summary_an_exit_code_and_a_closed_detector(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    del files
    detector = FakeDetector(clean=NO_MATCH, known=MATCH)
    job = Job(("known", "clean"), 100, 2)
    assert await _run(job, detector, Output(GlobalOptions(json=True)), SILENT) is ExitCode.MATCHED
    assert detector.closed
    assert capsys.readouterr().err == "2 images: 1 match, 0 possible, 1 without match, 0 not checked\n"


async def test_where_nothing_can_match_people_are_told(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    del files
    detector = FakeDetector(size=0, clean=NO_MATCH)
    assert await _run(Job(("clean",), 100, 2), detector, Output(GlobalOptions(json=True)), SILENT) is ExitCode.CLEAN
    told = capsys.readouterr().err.splitlines()
    assert told[0] == "there are no entries in any hash set, so nothing can match"
