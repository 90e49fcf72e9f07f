from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import hashlib
import json
from pathlib import Path

import networkx as nx
import pytest

from hashmatch.cli.main import main
from hashmatch.errors import ExitCode
from hashmatch.hotline.followup.recheck import Look, Presence
from hashmatch.hotline.followup.watches import Watches
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.model import Digests, EntryHash, MatchReport, MediaInfo, Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Via
from tests.support.hotline.evidence import report as match_report
from tests.support.hotline.jobs import NOON, job_of

Run = tuple[int, list[dict[str, object]], str]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Run:
    code = main(["hotline", *arguments, "--json"])
    out, err = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], err


def picture(word: str, url: str, page_url: str, verdict: Verdict = Verdict.NO_MATCH, pdq: bytes = bytes(32)) -> Item:
    found = match_report(verdict)
    report: MatchReport = dataclasses.replace(
        found,
        digests=Digests(b"", b"", hashlib.sha256(word.encode()).digest(), 1),
        hashes=(EntryHash("pdq", pdq, 90),),
        media=MediaInfo("jpeg", 300, 200),
    )
    fetched = Fetched((Hop(url, "192.0.2.1", status=200),), ended_at=NOON)
    place = Place("192.0.2.1", country="NL")
    return Item(1, url, Via.IMG, Outcome(verdict.value), "", page_url, fetched, 1, report, place)


def made(path: Path, host: str, *items: Item) -> str:
    page = f"https://{host}/advert"
    return job_of(path, Submission(1, page), page, items)


@pytest.fixture
def jobs(tmp_path: Path) -> tuple[str, str]:
    far = b"\xff" * 32
    monday = made(
        tmp_path / "monday.job",
        "a.example.org",
        picture("x", "https://img.example.net/1.jpg", "https://a.example.org/advert", Verdict.MATCH),
        picture("lone", "https://img.example.net/2.jpg", "https://a.example.org/advert", pdq=far),
    )
    tuesday = made(
        tmp_path / "tuesday.job",
        "b.example.org",
        picture("y", "https://img.example.net/3.jpg", "https://www.b.example.org/advert", pdq=b"\x01" + bytes(31)),
        dataclasses.replace(
            picture("icon", "https://img.example.net/4.jpg", "https://b.example.org/advert"),
            report=dataclasses.replace(match_report(Verdict.NO_MATCH), media=MediaInfo("png", 16, 16)),
        ),
    )
    return monday, tuesday


def test_links_across_jobs(jobs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table, graph = tmp_path / "links.csv", tmp_path / "links.graphml"
    code, rows, err = run(capsys, "links", *jobs, "--csv", str(table), "--graph", str(graph))
    assert code == ExitCode.CLEAN
    assert [(row["group"], row["cluster"], row["host"], row["distance"], row["job"], row["known"]) for row in rows] == [
        (1, 1, "a.example.org", 0, "monday.job", ["known/e7"]),
        (1, 1, "b.example.org", 1, "tuesday.job", []),
    ]
    assert err == "1 groups of pictures on several hosts, of 3 pictures\nleft out: 1 small\n"
    with table.open(encoding="utf-8") as stream:
        assert [row["page_url"] for row in csv.DictReader(stream)] == [
            "hxxps://a[.]example[.]org/advert",
            "hxxps://www[.]b[.]example[.]org/advert",
        ]
    assert len(nx.read_graphml(graph)) == 5
    assert run(capsys, "links", *jobs, "--max-distance", "0")[1] == []


def test_placeholders_take_no_part(jobs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = tmp_path / "placeholders"
    listed.write_text(f"{hashlib.sha256(b'x').hexdigest()}  # removed\n", encoding="ascii")
    _, rows, err = run(capsys, "links", *jobs, "--placeholders", str(listed))
    assert rows == []
    assert "left out: 1 placeholder" in err.splitlines()


def test_a_notice_is_kept_and_the_schedule_begins_anew(
    jobs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    monday, _ = jobs
    _, (before,), _ = run(capsys, "watched", monday)
    assert (before["state"], before["presence"], before["notified_at"], before["next_at"]) == (
        "online", None, None, "2026-11-28T13:00:00+00:00"
    )  # fmt: skip
    code, (told,), _ = run(
        capsys, "notified", monday, "--host", "img.example.net", "--at", "2026-11-29T10:00+01:00", "--by", "anna"
    )
    assert (code, told) == (
        ExitCode.CLEAN, {"job": monday, "pictures": 1, "at": "2026-11-29T09:00:00+00:00", "by": "anna"}
    )  # fmt: skip
    _, (after,), _ = run(capsys, "watched", monday)
    assert (after["notified_at"], after["next_at"]) == ("2026-11-29T09:00:00+00:00", "2026-11-29T10:00:00+00:00")
    assert after["url"] == "hxxps://img[.]example[.]net/1.jpg"


@pytest.mark.parametrize(
    ("arguments", "pictures"),
    [(["--all"], 1), (["--number", "1"], 1), (["--url", "https://img.example.net/2.jpg"], 1)],
)
def test_what_a_notice_is_about(
    arguments: list[str], pictures: int, jobs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, (told,), _ = run(capsys, "notified", jobs[0], *arguments)
    assert told["pictures"] == pictures
    assert len(run(capsys, "watched", jobs[0])[1]) == (2 if "--url" in arguments else 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say of what: exactly one of --all, --host, --url and --number"),
        (["--all", "--number", "1"], "say of what: exactly one of --all, --host, --url and --number"),
        (["--all", "--at", "noon"], "at: 'noon' is no time; write 2026-11-28T09:30+01:00"),
        (["--all", "--at", "2026-11-28T09:30"], "at: 2026-11-28T09:30 has no zone; write 2026-11-28T09:30+01:00"),
        (["--host", "h.example"], "{job}: no such picture, or none that could be identified"),
    ],
)
def test_notices_that_are_refused(
    arguments: list[str], message: str, jobs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, rows, err = run(capsys, "notified", jobs[0], *arguments)
    assert (code, rows) == (ExitCode.BAD_INPUT, [])
    assert json.loads(err)["message"] == message.format(job=jobs[0])


def test_figures_of_takedowns(jobs: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    monday, tuesday = jobs
    run(capsys, "notified", monday, "--all", "--at", NOON.isoformat())
    with JobFile.open(Path(monday)) as job:
        watches = Watches(job.storage)
        (watch,) = watches
        gone = Look(at=NOON + dt.timedelta(hours=6), presence=Presence.GONE_404, status=404, evidence="e" * 64)
        watches.looked([(watch, gone)])
    _, (shown,), _ = run(capsys, "watched", monday)
    assert (shown["state"], shown["gone_at"], shown["evidence"]) == ("gone", "2026-11-28T18:00:00+00:00", ["e" * 64])
    names = [tmp_path / name for name in ("f.csv", "c.csv", "c.json", "p.svg", "p.png")]
    options = ("--csv", "--curve", "--curve", "--plot", "--plot")
    for option, name in zip(options, names, strict=True):
        code, rows, _ = run(capsys, "stats", monday, tuesday, option, str(name))
        assert code == ExitCode.CLEAN
    assert [(row["by"], row["key"], row["gone"], row["median_h"]) for row in rows] == [
        ("all", "", 1, 6.0), ("host", "img.example.net", 1, 6.0), ("country", "NL", 1, 6.0)
    ]  # fmt: skip
    assert names[0].read_text(encoding="utf-8").splitlines()[1] == "all,,1,1,1,0,0,0,6.0,6.0,6.0,1.0"
    assert names[1].read_text(encoding="utf-8").splitlines()[1] == "6.0,1,1,0,0.0,,"
    assert json.loads(names[2].read_text(encoding="utf-8"))[0]["time_h"] == 6.0
    assert names[3].read_bytes().startswith(b"<?xml")
    assert names[4].read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--follow"], "--follow goes with --recheck"),
        (["list", "--resume", "--recheck", "{job}"], "--recheck goes on with a job; leave out resume, urls"),
    ],
)
def test_a_check_and_a_recheck_are_not_one_command(
    arguments: list[str], message: str, jobs: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    code = main(["urlcheck", *(word.format(job=jobs[0]) for word in arguments), "--json"])
    assert code == ExitCode.BAD_INPUT
    assert json.loads(capsys.readouterr().err)["message"] == message
