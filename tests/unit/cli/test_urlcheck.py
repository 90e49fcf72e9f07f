"""The command around a check: the job file, what is printed and written, exit codes, interruptions."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from hashmatch.cli.detecting import Detector
from hashmatch.cli.main import main
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.cli.urlcheck import FORMATS, Run, Wanted
from hashmatch.cli.urlcheck_board import HOSTS, LINE_S, Board
from hashmatch.cli.urlcheck_job import WantedJob
from hashmatch.config import Config
from hashmatch.errors import BadInput, ExitCode, IndexNotLoaded, JobRefused
from hashmatch.hotline.checking.looking import Ports
from hashmatch.hotline.jobs.job_states import Finished, Taken
from hashmatch.hotline.outputs import formats
from hashmatch.model import MatchReport, Verdict
from hashmatch.model.hotline import Item, Outcome, Submission, Summary, Via
from tests.support.hotline.fakes import FakeDetects, FakeWeb, page, picture, ports, report

SITE = "https://example.org"
LIST = f"""url,report_id,who
{SITE}/clean,R1,Jo
hxxps://example[.]org/known,R2,Jo
no-scheme at all,R3,Jo
{SITE}/gone,R4,Jo
{SITE}/known?utm_source=x,R5,Jo
"""
WEB = {
    f"{SITE}/clean": page(f"{SITE}/c.png"),
    f"{SITE}/known": page(f"{SITE}/k.png", f"{SITE}/c.png"),
    f"{SITE}/c.png": picture("clean"),
    f"{SITE}/k.png": picture("known"),
}
ANSWERS = {"known": report(Verdict.MATCH)}


@dataclasses.dataclass
class FakeDetector:
    """Answers by the word of a picture; counts how often it was opened."""

    detects: FakeDetects
    size: int = 3

    async def detect(self, image: bytes) -> MatchReport:
        """Ask the script."""
        return await self.detects.detect(image)

    async def entries(self) -> int:
        """Return what the script says."""
        return self.size


@dataclasses.dataclass
class Desk:
    """A run of the command over fakes."""

    path: Path
    web: FakeWeb = dataclasses.field(default_factory=lambda: FakeWeb(dict(WEB)))
    detects: FakeDetects = dataclasses.field(default_factory=lambda: FakeDetects(dict(ANSWERS)))
    interrupt: bool = False
    json: bool = False
    entries: int = 3

    def run(
        self,
        urls: str | None,
        *outputs: tuple[str, str],
        resume: bool = False,
        job: str | None = "job",
        proxy: str = "",
        fanged: bool = False,
    ) -> ExitCode:
        """Run it."""
        named = None if job is None else self.path / job
        wanted = Wanted(
            WantedJob(urls, named, resume),
            None,
            tuple((str(self.path / name), form) for name, form in outputs),
            fanged,
            None,
        )
        config = Config()
        config = dataclasses.replace(config, hotline=dataclasses.replace(config.hotline, proxy=proxy))
        options = GlobalOptions(data_dir=self.path / "data", json=self.json)
        return Run(options, config, wanted, self._ports, self._detector).run()

    @asynccontextmanager
    async def _ports(self, config: Config, detector: Detector, job: str, evidence: object) -> AsyncIterator[Ports]:
        del config, job, evidence
        yield dataclasses.replace(ports(self.web), detects=detector)
        if self.interrupt:
            raise KeyboardInterrupt

    def _detector(self, *_: object) -> tuple[AbstractAsyncContextManager[Detector], int]:
        @asynccontextmanager
        async def opened() -> AsyncIterator[Detector]:
            yield FakeDetector(self.detects, self.entries)

        return opened(), 2


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk with a list on it."""
    (tmp_path / "list.csv").write_text(LIST)
    return Desk(tmp_path)


def listed(desk: Desk, text: str = LIST) -> str:
    (desk.path / "list.csv").write_text(text)
    return str(desk.path / "list.csv")


def records(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


# --- from the list to the outputs --------------------------------------------------------------------------------


def test_every_address_has_an_outcome_and_every_image_a_row(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    assert desk.run(listed(desk), ("out.csv", "csv"), ("out.jsonl", "jsonl")) is ExitCode.MATCHED
    rows = list(csv.DictReader(io.StringIO((desk.path / "out.csv").read_text("utf-8-sig"), newline="")))
    assert [(row["row"], row["number"], row["report_id"], row["outcome_code"]) for row in rows] == [
        ("image", "1", "R1", "NO_MATCH"),
        ("url", "1", "R1", "NO_MATCH"),
        ("image", "2", "R2", "MATCH"),
        ("image", "2", "R2", "NO_MATCH"),
        ("url", "2", "R2", "MATCH"),
        ("url", "3", "R3", "REFUSED_URL"),
        ("url", "4", "R4", "GONE"),
        ("url", "5", "R5", "MATCH"),
    ]
    assert rows[-1]["same_as"] == "2"
    assert "Jo" not in (desk.path / "out.csv").read_text() + (desk.path / "out.jsonl").read_text()
    assert desk.web.asked == Counter({f"{SITE}/clean": 1, f"{SITE}/known": 1, f"{SITE}/gone": 1, f"{SITE}/c.png": 1,
                                      f"{SITE}/k.png": 1})  # fmt: skip
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "columns that are not read: who"
    assert said[-1] == (
        "5 addresses: 2 match, 1 refused_url, 1 no_match, 1 gone; 3 images: 1 match, 2 no_match"
    )  # fmt: skip
    assert any(line.startswith("match\thxxps://example[.]org/known\t2\t1\tNL\tExample Network") for line in said)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (f"{SITE}/clean\n{SITE}/gone", ExitCode.CLEAN),
        ("ftp://example.org/", ExitCode.SKIPPED),
        (f"ftp://example.org/\n{SITE}/known", ExitCode.MATCHED),
        ("# nothing", ExitCode.CLEAN),
    ],
)
def test_the_exit_code_is_the_gravest(desk: Desk, text: str, code: ExitCode) -> None:
    assert desk.run(listed(desk, text)) is code


def test_records_are_printed_for_every_row(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.json = True
    desk.run(listed(desk))
    found = records(capsys.readouterr().out)
    assert Counter((record["row"], record["number"]) for record in found) == Counter(
        {("image", 1): 1, ("image", 2): 2, **{("url", number): 1 for number in range(1, 6)}}
    )
    assert (found[0]["number"], found[0]["outcome"]) == (3, "refused_url")
    assert (found[-1]["number"], found[-1]["same_as"]) == (5, 2)


def test_an_empty_catalog_is_said(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.entries = 0
    desk.run(listed(desk))
    assert "there are no entries in any hash set, so nothing can match\n" in capsys.readouterr().err


def test_addresses_are_fanged_on_request(desk: Desk) -> None:
    desk.run(listed(desk), ("a.csv", "csv"), fanged=True)
    assert f"{SITE}/k.png" in (desk.path / "a.csv").read_text()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_is_written(desk: Desk, form: str) -> None:
    desk.run(listed(desk), (f"out.{form}", form))
    assert (desk.path / f"out.{form}").stat().st_size > 1_000
    assert set(FORMATS) == set(formats.FORMATS)


# --- job files ---------------------------------------------------------------------------------------------------


def test_a_job_that_nobody_named_lies_in_the_data_directory(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run(listed(desk), job=None)
    (made,) = (desk.path / "data" / "urlcheck").glob("*.job")
    assert f"job file: {made}\n" in capsys.readouterr().err


def test_a_list_that_cannot_be_read_leaves_no_job_behind(desk: Desk) -> None:
    with pytest.raises(BadInput, match="the header names no column `url`"):
        desk.run(listed(desk, "report_id,theme\n7,x\n"))
    assert not (desk.path / "job").exists()
    with pytest.raises(BadInput, match="onion services and others are never fetched in one job"):
        desk.run(listed(desk, f"{SITE}\nhttp://{'a' * 56}.onion/\n"), proxy="socks5h://127.0.0.1:9050")
    assert [path.name for path in desk.path.iterdir()] == ["list.csv"]


def test_what_is_done_is_not_done_again(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.run(listed(desk))
    asked = Counter(desk.web.asked)
    desk.json = True
    capsys.readouterr()
    assert desk.run(None, ("out.csv", "csv"), resume=True) is ExitCode.MATCHED
    assert desk.web.asked == asked
    assert len(records(capsys.readouterr().out)) == 8


def test_a_job_that_broke_off_goes_on(desk: Desk) -> None:
    desk.detects = FakeDetects({**ANSWERS, "known": IndexNotLoaded()})
    with pytest.raises(IndexNotLoaded):
        desk.run(listed(desk))
    desk.detects = FakeDetects(dict(ANSWERS))
    assert desk.run(listed(desk), ("out.csv", "csv"), resume=True) is ExitCode.MATCHED
    assert len((desk.path / "out.csv").read_text().splitlines()) == 9


def test_a_job_goes_on_with_its_own_list_and_its_own_way_only(desk: Desk) -> None:
    desk.run(listed(desk))
    other = desk.path / "other.csv"
    other.write_text(SITE)
    with pytest.raises(JobRefused) as caught:
        desk.run(str(other), resume=True)
    assert caught.value.message.startswith(f"{desk.path / 'job'} is the job of another list (SHA-256 ")
    with pytest.raises(JobRefused) as caught:
        desk.run(None, resume=True, proxy="socks5h://127.0.0.1:9050")
    assert caught.value.message == (
        f"{desk.path / 'job'} began without a proxy and would go on through socks5h://127.0.0.1:9050; one job goes one "
        "way"
    )
    with pytest.raises(JobRefused, match="exists; --resume goes on with it, or give another name"):
        desk.run(listed(desk))
    with pytest.raises(BadInput, match="--resume goes on with a job file; name it with --job"):
        desk.run(None, resume=True, job=None)
    with pytest.raises(BadInput, match="name the list: URLS, or - for standard input"):
        desk.run(None)


def test_an_interruption_writes_what_there_is_and_says_how_to_go_on(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.interrupt = True
    with pytest.raises(KeyboardInterrupt):
        desk.run(listed(desk), ("out.csv", "csv"))
    assert (desk.path / "out.csv").exists()
    said = capsys.readouterr().err.splitlines()[-1]
    assert said == f"interrupted: `hashmatch urlcheck --job {desk.path / 'job'} --resume` goes on"


# --- the command line --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--output", "a.txt"], "a.txt: end its name in .csv, .jsonl, .xlsx, .html, or say --format"),
        (["list", "--output", "a.csv", "--output", "a.csv"], "--output: the same name twice"),
        (
            ["list", "--json", "--format", "csv"],
            "--json and an output to standard output would run into each other",
        ),
        (["/nonexistent/list"], "cannot read /nonexistent/list: No such file or directory"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["urlcheck", "--data", str(tmp_path / "data"), *arguments]) == ExitCode.BAD_INPUT
    assert message in capsys.readouterr().err


# --- progress ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Clock:
    """A clock that a test moves."""

    now_s: float = 0.0

    def __call__(self) -> float:
        """Return what it says."""
        return self.now_s


def done(number: int, host: str, matches: int = 0, images: int = 1) -> Finished:
    url = f"https://{host}/{number}"
    items = tuple(Item(number, url, Via.IMG, Outcome.MATCH if n < matches else Outcome.NO_MATCH) for n in range(images))
    return Finished(Summary(Submission(number, url), Outcome.NO_MATCH, url=url), items)


def begun(number: int, host: str) -> Taken:
    return Taken(Submission(number, ""), f"https://{host}/{number}")


def test_the_board_counts_and_guesses_what_is_left() -> None:
    clock, stream = Clock(), io.StringIO()
    board = Board(Output(GlobalOptions(), stderr=stream), 1_000, 400, clock=clock)
    assert board.line() == "400 of 1,000 addresses (40.0%), 0.0/s, unknown time left, 0 images, 0 matches"
    for number in range(100):
        board.began(begun(number, "a.example"))
    for number in range(98):
        board.kept(done(number, "a.example", matches=number % 2, images=2))
    board.began(begun(99, "b.example"))
    clock.now_s = 9.8
    board.tick()
    assert stream.getvalue() == ""
    clock.now_s = LINE_S
    board.tick()
    board.tick()
    assert stream.getvalue() == (
        "498 of 1,000 addresses (49.8%), 9.8/s, 0:00:51 left, 196 images, 49 matches; fetching from a[.]example 2, "
        "b[.]example 1\n"
    )
    assert repr(board) == "<Board 498 of 1000, 49 matches>"


def test_the_board_shows_the_busiest_hosts_and_forgets_those_that_are_done() -> None:
    board = Board(Output(GlobalOptions(), stderr=io.StringIO()), 100, clock=Clock())
    for number in range(30):
        board.began(begun(number, f"h{number % 10}.example"))
    assert board.hosts() == [(f"h{number}.example", 3) for number in range(HOSTS)]
    for number in range(30):
        board.kept(done(number, f"h{number % 10}.example"))
    assert board.hosts() == []


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """Say so."""
        return True


def test_on_a_terminal_it_draws_and_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    clock, stream = Clock(), Terminal()
    with Board(Output(GlobalOptions(), stderr=stream), 10, clock=clock) as board:
        board.began(begun(1, "a.example"))
        board.kept(done(1, "a.example", matches=1))
        board.began(begun(2, "b.example"))
        clock.now_s = 1.0
        board.tick()
        drawn = stream.getvalue()
    assert "1 of 10 addresses  1.0/s  0:00:09 left  1 images" in drawn
    assert "b.example" in drawn
    assert "1 matches" in drawn


def test_quiet_is_quiet() -> None:
    clock, stream = Clock(100.0), io.StringIO()
    board = Board(Output(GlobalOptions(quiet=True), stderr=stream), 10, clock=clock)
    clock.now_s = 200.0
    board.tick()
    assert stream.getvalue() == ""
