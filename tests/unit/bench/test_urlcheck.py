"""The benchmark of the URL checker: the made-up web, what processes take, and what a run makes of its goals."""

from __future__ import annotations

import hashlib
import io
import itertools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hashmatch.bench import urlcheck_memory, urlcheck_pages, urlcheck_report
from hashmatch.bench.processes import Sample, Watching, cpu_seconds
from hashmatch.bench.urlcheck_pages import Web


def test_a_web_is_written_and_read_as_it_is(tmp_path: Path) -> None:
    web = Web(hosts=2, pages=3, images=2)
    digests = urlcheck_pages.write(web, tmp_path)
    found, pictures, ends = urlcheck_pages.read(tmp_path)
    pieces = [pictures[begin:end] for begin, end in itertools.pairwise(ends)]
    assert found == web
    assert web.pictures == 12
    assert [hashlib.sha256(piece).digest() for piece in pieces] == digests
    assert len(set(digests)) == 12
    assert all(6_000 < len(piece) < 10_000 for piece in pieces)
    with Image.open(io.BytesIO(pieces[0])) as opened:
        assert opened.size == (urlcheck_pages.SIDE_PX, urlcheck_pages.SIDE_PX)


@pytest.mark.parametrize(("shared", "pictures"), [(False, 12), (True, 4)])
def test_what_pages_show_is_what_there_is(shared: bool, pictures: int) -> None:  # noqa: FBT001 - a parameter of a test
    web = Web(hosts=2, pages=3, images=2, shared=shared)
    shown = {web.picture_path(page, image) for page in range(web.pages) for image in range(web.images)}
    assert {path for _, path, _ in web.picture_paths()} == shown
    assert [number for _, _, number in web.picture_paths()] == list(range(pictures))
    assert all(path.encode() in b"".join(web.page(page) for page in range(web.pages)) for path in shown)
    assert list(web.urls(81))[:3] == [
        "http://h0.bench.test:81/p/0", "http://h1.bench.test:81/p/0", "http://h0.bench.test:81/p/1",
    ]  # fmt: skip


def test_a_child_is_told_from_its_parent_by_its_command_line() -> None:
    child = "import sys; sum(i * i for i in range(3_000_000)); print(flush=True); sys.stdin.read()"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}, 'marked'])"
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    watching = Watching(process, [("marked", "child")], "parent", interval_s=0.01)
    watching.close()
    own = cpu_seconds(process.pid)
    process.stdin.close()
    process.wait()
    process.stdout.close()
    sample = watching.samples[-1]
    # the parent's command line holds the child's word, too: it is the root, so the first that fits names both
    assert sample.resident.keys() == {"child"}
    assert sample.cpu_s["child"] > own > 0
    assert watching.between(0, sample.at + 1) == {"child": sample.cpu_s["child"] - watching.samples[0].cpu_s["child"]}


def test_cpu_time_between_two_samples_is_interpolated() -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    watching = Watching(process, [], "own")
    process.wait()
    watching.close()
    watching.samples[:] = [Sample(10.0, {"own": 1.0}, {}), Sample(12.0, {"own": 3.0, "late": 4.0}, {})]
    assert watching.between(11.0, 12.0) == {"own": 1.0, "late": 2.0}
    assert watching.between(0.0, 99.0) == {"own": 2.0, "late": 4.0}


def test_growth_is_that_of_the_second_half_by_addresses() -> None:
    held = [100, 200, 300, 300, 301, 302, 303]  # MB at 0, 1, ... 6 s, 50 addresses a second
    samples = [Sample(float(at), {}, {"coordinator": mb * 1_000_000}) for at, mb in enumerate(held)]
    record = urlcheck_memory.judged(samples, listed=1_000, checked=300)
    assert record["mb"]["coordinator"] == {"first": 100.0, "middle": 300.0, "last": 303.0}
    assert record["mb_per_10000"]["coordinator"] == pytest.approx(200.0)
    assert record["most_mb_per_10000"] == pytest.approx(200.0)
    assert record["curve"]["checked"] == [0, 50, 100, 150, 200, 250, 300]


def _record(seconds: float, growth: float) -> dict[str, Any]:
    rounds = [{"seconds": seconds, "whole_s": 9.0, "cpu_s": {"coordinator": 1.0, "hashing images": 3.0}}]
    row = urlcheck_report.way_record(rounds, pages=500, images=10, cores=2)
    record: dict[str, Any] = {"ways": {"plain": row, "urlcheck": row}, "memory": {"most_mb_per_10000": growth}}
    return record | {"goals": urlcheck_report.goals(record)}


def test_a_goal_that_is_missed_is_missed_beside_its_bound() -> None:
    record = _record(5.0, 0.2)
    speed, memory = record["goals"]
    assert (speed["measured"], speed["met"]) == (100.0, False)
    assert speed["beside"]["all cores, if they did nothing but hash"] == pytest.approx(2 / 0.006)
    assert speed["beside"]["the coordinator's one thread"] == pytest.approx(1 / 0.002)
    assert speed["beside"]["all cores, if they had nothing else to do"] == pytest.approx(2 / 0.008)
    assert urlcheck_report.told(speed) == (
        "pages of 10 pictures per second, the whole command: ≥ 200, measured 100: missed (all cores, if they did "
        "nothing but hash: 333; all cores, if they had nothing else to do: 250; the coordinator's one thread: 500; "
        "aiohttp and selectolax, looking nothing up: 100)"
    )
    assert (memory["measured"], memory["met"]) == (0.2, True)


def test_goals_that_are_met_and_missed_the_other_way_round() -> None:
    speed, memory = _record(2.0, 1.5)["goals"]
    assert (speed["measured"], speed["met"], memory["measured"], memory["met"]) == (250.0, True, 1.5, False)
