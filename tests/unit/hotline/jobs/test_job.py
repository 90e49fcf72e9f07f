"""The job file: nothing done twice, nothing lost, whatever ends a process; no byte of an image; one process at once."""

from __future__ import annotations

import dataclasses
import itertools
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashmatch.errors import BadInput, JobCorrupt, JobRefused, JobUnavailable
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import MOVES, Event, Finished, Origin, Planned, State, Taken
from hashmatch.hotline.jobs.results import Ranked
from hashmatch.model import Verdict
from hashmatch.model.hotline import Fetched, Hop, Item, Outcome, Place, Submission, Summary, Via
from tests.support.canary import CANARY
from tests.support.hotline.fakes import AT, PNG, picture, report

SHA = "ab" * 32


def line(number: int, host: str = "example.org", path: str | None = None) -> Planned:
    url = f"https://{host}/{number if path is None else path}"
    return Planned(Submission(number, url, {"report_id": f"r{number}"}), url, url, host)


def refused(number: int) -> Planned:
    submission = Submission(number, "no address")
    return Planned(submission, summary=Summary(submission, Outcome.REFUSED_URL, "it has no host", checked_at=AT))


def finished(taken: Taken, outcome: Outcome = Outcome.NO_MATCH, items: int = 1) -> Finished:
    verdict = Verdict.MATCH if outcome is Outcome.MATCH else Verdict.NO_MATCH
    number = taken.submission.number
    fetched = Fetched((Hop(taken.address, "192.0.2.1", 443, status=200, started_at=AT),), body=picture(CANARY))
    place = Place("192.0.2.1", country="NL")
    rows = tuple(
        Item(number, f"{taken.address}/{n}.png", Via.IMG, outcome, fetched=fetched, report=report(verdict), place=place)
        for n in range(items)
    )
    return Finished(Summary(taken.submission, outcome, "", taken.address, fetched, place, {outcome: items}, AT), rows)


def started(path: Path, rows: list[Planned], per_host: int = 1) -> JobFile:
    job = JobFile.create(path)
    job.load(iter(rows), lambda: SHA, "", AT)
    job.begin(per_host)
    return job


def numbers(taken: list[Taken]) -> list[int]:
    return [one.submission.number for one in taken]


# --- states ------------------------------------------------------------------------------------------------------


def test_the_table_leads_from_waiting_to_done_and_nowhere_else() -> None:
    assert {state for state, _ in MOVES} == {State.WAITING, State.FETCHING}
    assert [MOVES.get((State.DONE, event)) for event in Event] == [None, None, None]


def test_a_job_hands_out_keeps_and_ends(tmp_path: Path) -> None:
    with started(tmp_path / "job", [line(1), refused(2), line(3, "example.net")]) as job:
        assert job.results.states() == {State.WAITING: 2, State.DONE: 1}
        taken = job.advance([], 10)
        assert numbers(taken) == [1, 3]
        assert taken[0] == Taken(Submission(1, "https://example.org/1", {"report_id": "r1"}), "https://example.org/1")
        assert job.advance([finished(taken[0], Outcome.MATCH, 2)], 10) == []
        assert job.advance([finished(taken[1])], 10) == []
        assert job.results.states() == {State.DONE: 3}
        assert job.results.tally() == {Outcome.MATCH: 1, Outcome.REFUSED_URL: 1, Outcome.NO_MATCH: 1}
        assert job.results.item_tally() == {Outcome.MATCH: 2, Outcome.NO_MATCH: 1}
        assert [item.url for item in job.results.items_of(1)] == [f"https://example.org/1/{n}.png" for n in (0, 1)]
        assert job.results.hosts(5) == (Ranked("example.org", 2, 2), Ranked("example.net", 1, 0))
        assert job.results.countries(5) == (Ranked("NL", 3, 2),)


def test_what_is_read_back_is_what_was_kept_without_the_body(tmp_path: Path) -> None:
    with started(tmp_path / "job", [line(1)]) as job:
        one = finished(job.advance([], 1)[0], Outcome.MATCH)
        job.advance([one], 1)
        ((submission, item),) = job.results.items()
        (kept,) = job.results.summaries()
        assert one.items[0].fetched is not None
        bare = dataclasses.replace(one.items[0].fetched, body=b"")
        assert (submission, item) == (one.summary.submission, dataclasses.replace(one.items[0], fetched=bare))
        assert kept.summary == dataclasses.replace(one.summary, fetched=bare)


def test_finishing_what_was_not_handed_out_is_refused(tmp_path: Path) -> None:
    with started(tmp_path / "job", [line(1)]) as job:
        (taken,) = job.advance([], 1)
        job.advance([finished(taken)], 0)
        with pytest.raises(JobCorrupt, match="submission 1 is not fetching, so finish cannot be"):
            job.advance([finished(taken)], 0)
        assert job.results.item_tally() == {Outcome.NO_MATCH: 1}


# --- by host -----------------------------------------------------------------------------------------------------


def test_a_host_has_no_more_than_its_share_at_a_time(tmp_path: Path) -> None:
    rows = [*(line(n) for n in range(1, 51)), line(51, "example.net"), line(52, "example.com")]
    with started(tmp_path / "job", rows, per_host=2) as job:
        taken = job.advance([], 20)
        assert numbers(taken) == [1, 51, 52, 2]
        assert job.advance([], 20) == []
        assert numbers(job.advance([finished(taken[0])], 20)) == [3]


def test_hosts_take_turns(tmp_path: Path) -> None:
    rows = [line(n, f"{'abc'[(n - 1) // 3]}.example") for n in range(1, 10)]
    with started(tmp_path / "job", rows, per_host=9) as job:
        order: list[int] = []
        taken = job.advance([], 1)
        while taken:
            order += numbers(taken)
            taken = job.advance([finished(taken[0])], 1)
        assert order == [1, 4, 7, 2, 5, 8, 3, 6, 9]


# --- the same address twice --------------------------------------------------------------------------------------


def test_an_address_that_was_submitted_before_is_checked_once(tmp_path: Path) -> None:
    rows = [line(1, path="x"), line(2), line(3, path="x"), line(4, path="x")]
    with started(tmp_path / "job", rows, per_host=9) as job:
        taken = job.advance([], 9)
        assert numbers(taken) == [1, 2]
        job.advance([finished(taken[0], Outcome.MATCH)], 9)
        assert job.results.states() == {State.DONE: 3, State.FETCHING: 1}
        same = [kept.summary for kept in job.results.summaries()]
        assert [None if one is None else (one.submission.number, one.same_as, one.outcome) for one in same] == [
            (1, None, Outcome.MATCH),
            None,
            (3, 1, Outcome.MATCH),
            (4, 1, Outcome.MATCH),
        ]
        assert same[2] is not None
        assert same[2].submission.extra == {"report_id": "r3"}
        assert job.results.tally() == {Outcome.MATCH: 3}


# --- ends of a process -------------------------------------------------------------------------------------------


def test_what_was_in_flight_waits_again_and_what_was_done_stays(tmp_path: Path) -> None:
    path = tmp_path / "job"
    with started(path, [line(n, f"h{n}.example") for n in range(1, 5)]) as job:
        first, second, _ = job.advance([], 3)
        job.advance([finished(first)], 0)
        job.interrupt([finished(second)])
        assert job.results.states() == {State.DONE: 2, State.WAITING: 2}
    with JobFile.open(path) as job:
        assert job.origin() is not None
        job.begin(1)
        assert numbers(job.advance([], 9)) == [3, 4]


def test_a_list_that_was_not_read_to_its_end_is_not_there(tmp_path: Path) -> None:
    def broken() -> Iterator[Planned]:
        yield line(1)
        raise BadInput("line 2: no")

    path = tmp_path / "job"
    with JobFile.create(path) as job, pytest.raises(BadInput, match="line 2: no"):
        job.load(broken(), lambda: SHA, "", AT)
    with JobFile.open(path) as job:
        assert job.origin() is None
        assert job.results.states() == {}
        assert job.load(iter([line(1)]), lambda: SHA, "socks5h://x:1", AT).listed == 1
        assert job.origin() == Origin(SHA, 1, "socks5h://x:1", AT)


WORKER = """
import signal, sys
from pathlib import Path
from hashmatch.hotline.jobs.job import JobFile
from tests.unit.hotline.jobs.test_job import finished
log, turns = open(sys.argv[2], "a"), int(sys.argv[3])
with JobFile.open(Path(sys.argv[1])) as job:
    job.begin(2)
    done = []
    while taken := job.advance(done, 3):
        for one in done:
            log.write(f"{one.number}\\n")
        log.flush()
        done = [finished(one) for one in taken]
        turns -= 1
        while not turns:
            signal.pause()
"""


def test_kill_9_at_any_moment_neither_loses_nor_repeats(tmp_path: Path) -> None:
    path, log = tmp_path / "job", tmp_path / "log"
    count, kills, turns = 400, 3, 42  # of three each: so many that no worker comes to the end before it is killed
    started(path, [line(n, f"h{n % 7}.example") for n in range(1, count + 1)], per_host=2).close()
    log.touch()
    for _ in range(kills):
        before = len(log.read_text().splitlines())
        worker = subprocess.Popen([sys.executable, "-c", WORKER, str(path), str(log), str(turns)])
        while worker.poll() is None and len(log.read_text().splitlines()) < before + 110:
            time.sleep(0.001)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, "-c", WORKER, str(path), str(log), str(count)], check=True)
    kept = Counter(map(int, log.read_text().split()))
    assert set(kept.values()) == {1}  # what was committed was never handed out again
    with JobFile.open(path) as job:
        assert job.results.states() == {State.DONE: count}
        assert [kept.submission.number for kept in job.results.summaries()] == list(range(1, count + 1))
        assert job.results.item_tally() == {Outcome.NO_MATCH: count}


# --- whose file it is --------------------------------------------------------------------------------------------


def test_another_process_is_kept_out_until_this_one_ends(tmp_path: Path) -> None:
    path = tmp_path / "job"
    open_it = (
        "import sys; from pathlib import Path; from hashmatch.hotline.jobs.job import JobFile; "
        "JobFile.open(Path(sys.argv[1]))"
    )
    with started(path, [line(1)]):
        held = subprocess.run([sys.executable, "-c", open_it, str(path)], capture_output=True, text=True, check=False)
        assert held.stderr.splitlines()[-1] == f"hashmatch.errors.JobRefused: another process works on {path}"
    free = subprocess.run([sys.executable, "-c", open_it, str(path)], capture_output=True, text=True, check=False)
    assert free.stderr == ""


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "job"
    path.write_text("something")
    with pytest.raises(JobRefused) as caught:
        JobFile.create(path)
    assert caught.value.message == f"{path} exists; --resume goes on with it, or give another name"
    with pytest.raises(JobRefused) as caught:
        JobFile.open(path)
    assert caught.value.message == f"{path} is no job file"
    with pytest.raises(JobRefused) as caught:
        JobFile.open(tmp_path / "none")
    assert caught.value.message == f"there is no job file {tmp_path / 'none'}"
    with pytest.raises(JobUnavailable) as unavailable:
        JobFile.create(tmp_path / "no" / "job")
    assert unavailable.value.message == f"cannot make {tmp_path / 'no' / 'job'}: No such file or directory"


def test_other_databases_and_later_versions_are_refused(tmp_path: Path) -> None:
    other, later = tmp_path / "other", tmp_path / "later"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(JobRefused) as caught:
        JobFile.open(other)
    assert caught.value.message == f"{other} is an SQLite database, but no job file"
    JobFile.create(later).close()
    with sqlite3.connect(later) as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(JobRefused, match="is a job file of version 9; this hashmatch knows versions up to 2: upgrade"):
        JobFile.open(later)


def test_it_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    JobFile.create(tmp_path / "job").close()
    assert stat.S_IMODE((tmp_path / "job").stat().st_mode) == 0o600


def test_no_byte_of_an_image_is_in_the_file(tmp_path: Path) -> None:
    with started(tmp_path / "job", [line(1), line(2)], per_host=9) as job:
        job.advance([finished(one, Outcome.MATCH) for one in job.advance([], 9)], 0)
    for file in tmp_path.iterdir():
        data = file.read_bytes()
        assert PNG not in data
        assert CANARY.encode() not in data


# --- any order of events -----------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=25),
    st.lists(st.sampled_from(["take", "finish", "end"]), max_size=40),
)
def test_whatever_happens_every_submission_is_done_once(
    tmp_path_factory: pytest.TempPathFactory, lines: list[tuple[int, int]], events: list[str]
) -> None:
    path = tmp_path_factory.mktemp("any") / "job"
    rows = [line(n, f"h{host}.example", str(page)) for n, (host, page) in enumerate(lines, 1)]
    job, done = started(path, rows, per_host=2), Counter[int]()
    out: list[Taken] = []
    for event in itertools.chain(events, itertools.repeat("finish")):
        if event == "end":
            job.close()
            job, out = JobFile.open(path), []
            job.begin(2)
            continue
        keeping = out[:2] if event == "finish" else []
        out = out[len(keeping) :] + job.advance([finished(one) for one in keeping], 2)
        done.update(numbers(keeping))
        by_host = Counter(one.address.split("/")[2] for one in out)
        assert max(by_host.values(), default=0) <= 2
        if event == "finish" and not out:
            break
    states = job.results.states()
    job.close()
    assert states == {State.DONE: len(rows)}
    assert done == Counter({min(n for n, b in enumerate(lines, 1) if b == a): 1 for a in lines})
