"""``hashmatch bench urlcheck`` from a shell, on a site of twelve pages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hashmatch.bench import urlcheck_run
from hashmatch.bench.urlcheck_pages import Web
from hashmatch.bench.urlcheck_run import Politeness, Site
from hashmatch.cli import bench_urlcheck
from hashmatch.errors import IntegrityError


@pytest.mark.slow
def test_a_small_site_is_crawled_and_checked_and_reported(tmp_path: Path) -> None:
    words = ("--hosts", "4", "--pages", "3", "--rounds", "1", "--memory", "200", "--results", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "hashmatch", "--json", "bench", "urlcheck", *words], capture_output=True, check=True
    )
    (row,) = (json.loads(line) for line in done.stdout.splitlines())
    assert row.keys() == bench_urlcheck.FIELDS.keys() | {"host_concurrency"}
    assert list(row["ways"]) == list(urlcheck_run.WAYS)
    assert all(way["pages_per_s"] > 0 for way in row["ways"].values())
    # twelve pages take the site and the fetcher less than one tick of the kernel's clock, at times
    assert row["ways"]["plain"]["cpu_ms_per_page"].keys() <= {"coordinator", "site"}
    assert row["ways"]["urlcheck"]["cpu_ms_per_page"].keys() >= {"coordinator", "hashing images"}
    assert (row["memory"]["listed"], row["memory"]["checked"]) == (200, 200)
    assert row["memory"]["mb"]["coordinator"]["last"] > 50
    assert "| `hashmatch urlcheck` |" in (tmp_path / "HOTLINE.md").read_text()
    assert (tmp_path / "plots" / "hotline_memory.svg").is_file()


def test_a_site_that_serves_other_bytes_is_noticed(tmp_path: Path) -> None:
    with urlcheck_run.serving(Web(hosts=2, pages=2, images=2), tmp_path) as site:
        taken = urlcheck_run.measure(site, "sha256", Politeness())
        assert taken.seconds > 0
        assert taken.cpu_s.keys() == {"coordinator", "site"}
        other = Site(site.web, [bytes(32)] * 8, site.where, site.process, site.http_port, site.dns_port)
        with pytest.raises(IntegrityError, match=r"sha256: other bytes than were served: http://h0\.bench\.test:"):
            urlcheck_run.measure(other, "sha256", Politeness())


def test_a_way_that_leaves_out_a_page_is_noticed(tmp_path: Path) -> None:
    with urlcheck_run.serving(Web(hosts=2, pages=2, images=2), tmp_path) as site:
        more = Site(Web(hosts=2, pages=3, images=2), site.digests, site.where, site.process, site.http_port, 0)
        with pytest.raises(IntegrityError, match=r"(?s)plain ended with 1: .*404, message='Not Found'"):
            urlcheck_run.measure(more, "plain", Politeness())
