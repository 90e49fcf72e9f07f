"""``hashmatch hotline notices``: for review or held, prepared twice, killed in between, and recorded once delivered."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from hashmatch import durable
from hashmatch.cases.receipt import KEY_FILE, service_key
from hashmatch.cases.store import CaseStore
from hashmatch.catalog.opening import CATALOG
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.cli.main import main
from hashmatch.hotline.followup.watches import Watches
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place
from hashmatch.outbox.store import DeliveryStore
from tests.support.hotline.found import CDN, HOSTER, KEY, NETWORK, item, job_of, matched
from tests.support.reporting import known, present

CONFIG = """
[reporter]
name = "Example Hotline"
email = "desk@hotline.example"
domain = "hotline.example"
hotline = true
[outbox.outlets.drive]
kind = "folder"
environment = "test"
url = "file://{drive}"
[outbox.outlets.mail]
kind = "mail"
environment = "test"
url = "smtp://127.0.0.1:9"
sender = "desk@hotline.example"
"""
SAID = ("--viewed", "no", "--exif-viewed", "no", "--environment", "test", "--by", "anna")


@dataclasses.dataclass
class Desk:
    """A data directory with a list, a configuration, and a job that found something."""

    folder: Path
    capsys: pytest.CaptureFixture[str]

    def job(self, *rows: tuple[str, str, Place | None], unfinished: int = 0, **given: Any) -> str:
        """Make a job of pictures by word, address and place, found a moment ago."""
        seen = present() - dt.timedelta(minutes=5)
        key = service_key(self.folder / "data" / KEY_FILE)
        items: list[Item] = []
        for number, (word, url, place) in enumerate(rows, 1):
            report = matched(word, created_at=seen, **({"key": key} | given))
            fetched = Fetched((Hop(url, place.ip if place else "", status=200),), ended_at=seen)
            items.append(item(number, url, report, place, fetched=fetched))
        return str(job_of(self.folder / "monday.job", items, unfinished=unfinished))

    def run(self, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run a command; return its code, its lines of JSON, and what it said."""
        general = ("--config", str(self.folder / "hashmatch.toml"), "--data", str(self.folder / "data"))
        code = main([*general, *arguments, "--json"])
        out, err = self.capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    def notices(self, job: str, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        """Run ``hotline notices``."""
        return self.run("hotline", "notices", job, *SAID, *arguments)

    def counts(self) -> tuple[int, int]:
        """Return how many cases and deliveries there are."""
        with SqliteCatalog.open(self.folder / "data" / CATALOG) as catalog:
            cases = CaseStore(catalog).page(most=1_000)
            of_cases = {one.delivery_id for case in cases for one in DeliveryStore(catalog).of_case(case.case_id)}
            return len(cases), len(of_cases)


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Desk:
    known(tmp_path / "data")
    (tmp_path / "drive").mkdir()
    (tmp_path / "hashmatch.toml").write_text(CONFIG.format(drive=tmp_path / "drive"))
    return Desk(tmp_path, capsys)


ROWS = (
    ("a", "https://a.example.org/1", HOSTER),
    ("a", "https://a.example.org/2", HOSTER),
    ("b", "https://b.example.org/1", HOSTER),
    ("a", "https://cdn.example.org/1", CDN),
    ("c", "https://c.example.org/1", NETWORK),
)


def test_documents_for_review_are_whole_and_open_nothing(desk: Desk) -> None:
    job, where = desk.job(*ROWS), desk.folder / "notices"
    code, lines, _ = desk.notices(job, "--output", str(where))
    assert code == 0
    assert [(line["recipient"], line["contact"], line["pictures"], line["addresses"]) for line in lines] == [
        ("AS64502 NOBODY-NET", "", 1, 1),
        ("abuse@cdn.example", "abuse@cdn.example", 1, 1),
        ("abuse@hoster.example", "abuse@hoster.example", 2, 3),
    ]
    assert [(line["cdn"], line["problems"]) for line in lines] == [
        ([], ["no contact known"]),
        (["Example Delivery"], []),
        ([], []),
    ]
    assert desk.counts() == (0, 0)
    with (where / "index.csv").open(newline="") as stream:
        index = list(csv.DictReader(stream))
    assert [row["hosts"] for row in index] == ["c.example.org", "cdn.example.org", "a.example.org; b.example.org"]
    names = {line["document"] for line in lines}
    assert {path.name for path in where.iterdir()} == {
        "index.csv",
        *names,
        *(f"{name}.{part}" for name in names for part in ("text", "subject")),
    }
    several = (where / f"{lines[2]['document']}.text").read_text()
    assert "Item 1 of 2" in several
    assert "<hxxps://a[.]example[.]org/2>" in several
    assert "origin" in (where / f"{lines[1]['document']}.text").read_text()
    assert [path.name for path in desk.folder.iterdir() if path.name.startswith(".")] == []


def test_a_directory_that_is_there_is_left_alone(desk: Desk) -> None:
    where = desk.folder / "notices"
    where.mkdir()
    (where / "mine").write_text("mine")
    code, _, err = desk.notices(desk.job(*ROWS), "--output", str(where))
    assert (code, [path.name for path in where.iterdir()]) == (2, ["mine"])
    assert f"output: {where} is there already, and nothing in it is replaced" in err


def test_nothing_half_is_left_where_writing_fails(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    put = durable.write_new

    def full(path: Path, body: bytes) -> None:
        if path.name == "index.csv":
            raise OSError(28, "No space left on device")
        put(path, body)

    monkeypatch.setattr("hashmatch.cli.hotline_notices.write_new", full)
    code, _, err = desk.notices(desk.job(*ROWS), "--output", str(desk.folder / "notices"))
    assert code == 2
    assert "cannot write" in err
    assert "No space left on device" in err
    assert [path.name for path in desk.folder.iterdir() if "notices" in path.name] == []


def test_what_is_prepared_is_held_and_prepared_once(desk: Desk) -> None:
    job = desk.job(*ROWS)
    code, lines, _ = desk.notices(job, "--outlet", "drive")
    assert code == 0
    assert [line["states"] for line in lines] == [["held"]] * 3
    assert desk.counts() == (4, 3)
    again = desk.notices(job, "--outlet", "drive")
    assert [line["deliveries"] for line in again[1]] == [line["deliveries"] for line in lines]
    assert desk.counts() == (4, 3)
    held = lines[2]["deliveries"][0]
    code, _, err = desk.run("report", "decide", held, "release", "--by", "anna")
    assert code != 0
    assert "another person must release it" in err
    code, (released,), _ = desk.run("report", "decide", held, "release", "--by", "ben")
    assert (code, released["state"], len(released["further_case_ids"])) == (0, "queued", 1)


def test_killed_in_between_the_next_run_goes_on(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    job, queue, left = desk.job(*ROWS), DeliveryStore.queue, [1]

    class KilledError(BaseException):
        pass

    def dies(*arguments: Any) -> Any:
        if not left.pop():
            raise KilledError
        left.append(0)
        return queue(*arguments)

    with monkeypatch.context() as killing:
        killing.setattr(DeliveryStore, "queue", dies)
        with pytest.raises(KilledError):
            desk.notices(job, "--outlet", "drive")
    desk.capsys.readouterr()
    assert desk.counts()[1] == 1
    code, lines, _ = desk.notices(job, "--outlet", "drive")
    assert (code, [len(line["deliveries"]) for line in lines], desk.counts()) == (0, [1, 1, 1], (4, 3))


def test_a_group_whose_match_was_rejected_is_prepared_anew_without_it(desk: Desk) -> None:
    job = desk.job(*ROWS)
    _, lines, _ = desk.notices(job, "--outlet", "drive")
    (first,) = lines[2]["deliveries"]
    _, held, _ = desk.run("report", "outbox", "--state", "held")
    (delivery,) = (one for one in held if one["delivery_id"] == first)
    wrong, right = delivery["case_id"], delivery["further_case_ids"][0]
    assert desk.run("report", "reject", wrong, "--reason", "a cat", "--by", "ben")[0] == 0
    code, lines, _ = desk.notices(job, "--outlet", "drive")
    assert code == 3, "something is not prepared, and the line says why"
    (second,) = lines[2]["deliveries"]
    assert second != first
    assert lines[2]["problems"] == [f"left out: the case {wrong} is rejected"]
    _, held, _ = desk.run("report", "outbox", "--state", "held")
    (delivery,) = (one for one in held if one["delivery_id"] == second)
    assert (delivery["case_id"], delivery["further_case_ids"]) == (right, [])


def test_xarf_is_one_document_per_picture_and_wants_the_callers_own_classification(desk: Desk) -> None:
    job = desk.job(*ROWS)
    code, lines, _ = desk.notices(job, "--format", "xarf", "--outlet", "drive")
    assert (code, desk.counts()) == (3, (0, 0))
    assert all("classification: it is not given" in line["problems"][-1] for line in lines)
    code, lines, _ = desk.notices(job, "--format", "xarf", "--outlet", "drive", "--classification", "A1")
    assert (code, [line["pictures"] for line in lines], desk.counts()) == (0, [1] * 4, (4, 4))


def test_mail_without_a_contact_is_not_queued(desk: Desk) -> None:
    code, lines, _ = desk.notices(desk.job(*ROWS), "--outlet", "mail")
    assert code == 3
    assert (lines[0]["deliveries"], lines[0]["problems"]) == (
        [],
        ["no contact known", "nothing was queued: mail goes to an address"],
    )
    assert [line["states"] for line in lines[1:]] == [["held"], ["held"]]
    assert desk.counts() == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        (("--outlet", "drive", "--environment", "production"), "environment: the outlet drive is test, and production"),
        (("--outlet", "nobody"), "outlet: 'nobody' is not configured; there is drive, mail"),
        (("--outlet", "drive", "--format", "cybertip"), "format: 'cybertip' is none of letter, dsa16, xarf"),
        ((), "output: say where the documents go, or name an --outlet to hold them for"),
    ],
)
def test_what_is_wrong_is_named(desk: Desk, arguments: tuple[str, ...], field: str) -> None:
    code, _, err = desk.notices(desk.job(*ROWS), *arguments)
    assert code == 2
    assert field in err
    assert desk.counts() == (0, 0)


@pytest.mark.parametrize("missing", ["--viewed", "--exif-viewed", "--environment"])
def test_what_nobody_else_knows_has_to_be_said(desk: Desk, missing: str) -> None:
    at = SAID.index(missing)
    said = SAID[:at] + SAID[at + 2 :]
    code, _, err = desk.run("hotline", "notices", desk.job(*ROWS), *said, "--output", str(desk.folder / "out"))
    assert code == 2
    assert f"Missing option '{missing}'" in err


def test_exif_data_is_not_viewed_without_the_picture(desk: Desk) -> None:
    job = desk.job(*ROWS)
    said = ("--viewed", "no", "--exif-viewed", "yes", "--environment", "test", "--outlet", "drive")
    code, lines, _ = desk.run("hotline", "notices", job, *said)
    assert (code, desk.counts()) == (3, (0, 0))
    assert all("viewed_by_human: whoever viewed the EXIF data" in line["problems"][-1] for line in lines)


def test_a_provider_writes_no_letters_to_hosts(desk: Desk) -> None:
    config = desk.folder / "hashmatch.toml"
    config.write_text(config.read_text().replace("hotline = true", "hotline = false"))
    code, _, err = desk.notices(desk.job(*ROWS), "--outlet", "drive")
    assert code == 2
    assert "reporter.hotline: a letter of who is no hotline goes to the police" in err


def test_a_job_that_is_not_finished_can_be_reviewed_and_not_told(desk: Desk) -> None:
    job = desk.job(*ROWS, unfinished=2)
    code, _, err = desk.notices(job, "--outlet", "drive")
    assert (code, desk.counts()) == (2, (0, 0))
    assert f"job: 2 addresses of {job} are not checked yet" in err
    assert desk.notices(job, "--output", str(desk.folder / "notices"))[0] == 0


def test_a_match_of_another_service_opens_no_case_here(desk: Desk) -> None:
    code, lines, _ = desk.notices(desk.job(*ROWS, key=KEY), "--outlet", "drive")
    assert (code, desk.counts()) == (3, (0, 0))
    assert all(line["problems"][-1].startswith("receipt: ") for line in lines)


def test_what_was_delivered_is_recorded_once_as_the_notice(desk: Desk) -> None:
    job = desk.job(*ROWS)
    _, lines, _ = desk.notices(job, "--outlet", "drive")
    assert desk.run("hotline", "notified", job, "--from-reports")[1] == [], "nothing was delivered yet"
    assert desk.run("report", "decide", lines[2]["deliveries"][0], "release", "--by", "ben")[0] == 0
    assert desk.run("report", "deliver")[0] == 0
    (manifest,) = (json.loads(path.read_text()) for path in (desk.folder / "drive").glob("*/manifest.json"))
    assert len({manifest["case_id"], *manifest["further_case_ids"]}) == 2
    code, (told,), _ = desk.run("hotline", "notified", job, "--from-reports")
    assert (code, told["pictures"], told["by"]) == (0, 3, "ben")
    assert desk.run("hotline", "notified", job, "--from-reports")[1] == [], "it is recorded already"
    _, watched, _ = desk.run("hotline", "watched", job)
    told_of = {one["host"] for one in watched if one["notified_at"] is not None}
    assert told_of == {"a.example.org", "b.example.org"}
    with JobFile.open(Path(job)) as opened:
        (at,) = {watch.notified_at for watch in Watches(opened.storage) if watch.notified_at is not None}
    assert at is not None
    assert at.isoformat(timespec="seconds") == told["at"]
    code, _, err = desk.run("hotline", "notified", job, "--from-reports", "--all")
    assert code == 2
    assert "from_reports: stands alone; reports say of what, when and by whom" in err


def test_nothing_matched_is_said(desk: Desk) -> None:
    seen = present() - dt.timedelta(minutes=5)
    row = item(1, "https://a.example.org/1", matched("a", created_at=seen), outcome=Outcome.NO_MATCH)
    job = job_of(desk.folder / "none.job", [row])
    code, lines, err = desk.notices(str(job), "--outlet", "drive")
    assert (code, lines) == (0, [])
    assert "nothing matched, so nobody is told" in err
