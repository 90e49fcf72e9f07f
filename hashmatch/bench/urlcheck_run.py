"""Run the URL checker and what it is measured against on one site, in turns, and see what each process takes.

Theory of operation
-------------------
Every way is a command in a process of its own, with the same limits: so many fetches in all, so many from one host.
Rounds go through the ways forwards and backwards in turn, because the machine drifts. What a round takes runs from the
first request that the site sees to the last page that is done, so that starting up (libraries, compiled kernels, the
index) does not count; it is reported beside. CPU seconds are of the same span, by process.

Before a time counts, the round is compared with the site: each page and each picture asked for exactly once and nothing
else, every picture's length (and digest, where it was made) the one that was served, and of the checker's reports the
planted matches and no others.

What this module deliberately does not do: it draws and writes nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hashmatch.bench import urlcheck_pages, urlcheck_site
from hashmatch.bench.processes import Watching, cpu_seconds
from hashmatch.bench.urlcheck_pages import Web
from hashmatch.catalog.sqlite import SqliteCatalog
from hashmatch.config import DecodeConfig
from hashmatch.errors import BadInput, IntegrityError
from hashmatch.hashing.compute import hash_picture
from hashmatch.model import Entry, EntryHash, HarmDomain, HashOptions
from hashmatch.progress import SILENT, Progress

CRAWLS = ("plain", "sha256", "fetcher")
CHECKS: Mapping[str, str] = {"urlcheck_none": "none", "urlcheck": "cheap"}
"""Ways of ours that look up: name to ``policy.views``; ``cheap`` is the default."""

WAYS = (*CRAWLS, *CHECKS)
ROLES = (
    ("hashmatch.hotline.web.fetching", "fetching"),
    ("hashmatch.hotline.pages.page_worker", "reading pages"),
    ("hashmatch.sandbox.zygote", "hashing images"),
)
OWN, SITE = "coordinator", "site"
SET, PLANTED_EVERY, OTHERS = "bench", 97, 100_000
OUT = "out.jsonl"
_STOPS_WITHIN_S = 10.0
_MATCHED, _INTERRUPTED = 1, 130


@dataclass(frozen=True, slots=True)
class Politeness:
    """What all ways keep to."""

    concurrency: int = 32
    host_concurrency: int = 2


@dataclass(frozen=True, slots=True)
class Round:
    """What one way took once. ``seconds`` from the first request to the last page; ``whole_s`` the command."""

    seconds: float
    whole_s: float
    cpu_s: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Site:
    """A site that is being served."""

    web: Web
    digests: Sequence[bytes]
    where: Path
    process: subprocess.Popen[bytes]
    http_port: int
    dns_port: int

    def count(self) -> dict[str, Any]:
        """Return what was asked since the last time."""
        url = f"http://127.0.0.1:{self.http_port}{urlcheck_site.COUNT_PATH}"
        with urllib.request.urlopen(url, timeout=_STOPS_WITHIN_S) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def settings(self, politeness: Politeness) -> dict[str, Any]:
        """Return the section ``hotline`` that reaches it and asks each address once."""
        return {
            "ports": [self.http_port],
            "allow_networks": ["127.0.0.0/8"],
            "nameservers": [f"127.0.0.1#{self.dns_port}"],
            "ask_robots": False,
            "concurrency": politeness.concurrency,
            "host_concurrency": politeness.host_concurrency,
        }

    def planted(self) -> dict[str, int]:
        """Return the addresses of planted pictures, with their numbers."""
        return {
            self._url(host, path): number
            for host, path, number in self.web.picture_paths()
            if number % PLANTED_EVERY == 0
        }

    def pictures(self) -> dict[str, int]:
        """Return the addresses of all pictures, with their numbers."""
        return {self._url(host, path): number for host, path, number in self.web.picture_paths()}

    def _url(self, host: int, path: str) -> str:
        return f"http://{self.web.host(host)}:{self.http_port}{path}"


@contextmanager
def serving(web: Web, where: Path, progress: Progress = SILENT) -> Iterator[Site]:
    """Make a site and serve it for the length of the block."""
    digests = urlcheck_pages.write(web, where, progress)
    process = subprocess.Popen(
        [sys.executable, "-m", "hashmatch.bench.urlcheck_site", str(where)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101 - it is a pipe
    assert process.stdout is not None  # noqa: S101
    try:
        said = process.stdout.readline()
        if not said:
            raise BadInput("the site of the benchmark did not start", field="urlcheck")
        ports = json.loads(said)
        yield Site(web, digests, where, process, ports["http"], ports["dns"])
    finally:
        process.stdin.close()
        process.wait(_STOPS_WITHIN_S)
        process.stdout.close()


def prepare(site: Site) -> None:
    """Make the data directory that checks look up in: the planted pictures among many other entries."""
    catalog = SqliteCatalog.open(site.where / "data" / "catalog.sqlite3")
    try:
        catalog.create_set(SET, HarmDomain.OTHER)
        catalog.import_entries(SET, _entries(site))
    finally:
        catalog.close()


def _entries(site: Site) -> Iterator[Entry]:
    _, pictures, ends = urlcheck_pages.read(site.where)
    for number in site.planted().values():
        data = pictures[ends[number] : ends[number + 1]]
        found = hash_picture(data, DecodeConfig(), HashOptions(frozenset({"pdq"}), exact=True)).hashes
        values = (
            EntryHash("pdq", found[0].value, found[0].quality),
            EntryHash("sha256", hashlib.sha256(data).digest()),
        )
        yield Entry(f"planted-{number}", values)
    others = np.random.default_rng(site.web.seed).integers(0, 256, (OTHERS, 32), dtype=np.uint8)
    for number, value in enumerate(others):
        yield Entry(f"other-{number}", (EntryHash("pdq", value.tobytes(), 100),))


def measure(site: Site, way: str, politeness: Politeness) -> Round:
    """Run one way to its end, compare what it did with the site, and return what it took.

    Raises
    ------
    IntegrityError
        It did something else than the site offers.

    """
    begun = time.time()
    site.count()
    before = cpu_seconds(site.process.pid)
    watching = watched(site, way, politeness)
    whole_s = time.time() - begun
    count = site.count()
    ended = _compare(site, way, count, site.where / OUT)
    cpu = {**watching.between(count["first"], ended), SITE: cpu_seconds(site.process.pid) - before}
    return Round(ended - count["first"], whole_s, cpu)


def watched(site: Site, way: str, politeness: Politeness, limit_s: float | None = None) -> Watching:
    """Run one way to its end, or interrupt it as Ctrl-C does, and return what was seen of its processes.

    Raises
    ------
    IntegrityError
        It ended in another way.

    """
    listed = site.where / "urls.txt"
    listed.write_text("\n".join(site.web.urls(site.http_port)) + "\n", encoding="utf-8")
    words = _words(site, way, politeness, listed)
    with (site.where / OUT).open("w+b") as out, (site.where / "err.txt").open("w+b") as err:
        process = subprocess.Popen(words, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        watching = Watching(process, ROLES, OWN)
        try:
            code = process.wait(limit_s)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            code = process.wait()
        finally:
            watching.close()
        err.seek(0)
        said = err.read()[-2_000:].decode(errors="replace").strip()
    usual = {0} if way in CRAWLS else {0, _MATCHED}
    if code not in usual and not (limit_s is not None and code == _INTERRUPTED):
        raise IntegrityError(f"{way} ended with {code}: {said}")
    return watching


def _words(site: Site, way: str, politeness: Politeness, listed: Path) -> list[str]:
    settings = site.settings(politeness)
    if way in CRAWLS:
        return [sys.executable, "-m", "hashmatch.bench.urlcheck_crawl", way, json.dumps(settings), str(listed)]
    toml = site.where / f"{way}.toml"
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    toml.write_text("\n".join(["[hotline]", *lines, "[policy]", f'views = "{CHECKS[way]}"', ""]), encoding="utf-8")
    job = site.where / "bench.job"
    for path in site.where.glob("bench.job*"):
        path.unlink()
    head = [sys.executable, "-m", "hashmatch", "--config", str(toml), "--data", str(site.where / "data"), "--json"]
    return [*head, "urlcheck", str(listed), "--job", str(job)]


# --- what must be so before a time counts ------------------------------------------------------------


def _compare(site: Site, way: str, count: Mapping[str, Any], said: Path) -> float:
    """Hold what a way did to what the site has; return when its last page was done."""
    web = site.web
    wanted = web.hosts * web.pages + web.pictures
    if (count["requests"], count["distinct"], count["unknown"]) != (wanted, wanted, 0):
        raise IntegrityError(f"{way}: {wanted} addresses, asked for {count}")
    with said.open(encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    return _compare_crawl(site, way, records) if way in CRAWLS else _compare_check(site, way, records)


def _compare_crawl(site: Site, way: str, records: Sequence[Mapping[str, Any]]) -> float:
    *pages, last = records
    images = [image for page in pages for image in page["images"]]
    _same_urls(site, way, [page["url"] for page in pages], [url for url, _, _ in images])
    numbers = site.pictures()
    if way == "sha256":
        wrong = [url for url, _, digest in images if digest != site.digests[numbers[url]].hex()]
        if wrong:
            raise IntegrityError(f"{way}: other bytes than were served: {wrong[0]}")
    return float(last["ended"])


def _compare_check(site: Site, way: str, records: Sequence[Mapping[str, Any]]) -> float:
    images = [record for record in records if record["row"] == "image"]
    pages = [record for record in records if record["row"] == "url"]
    _same_urls(site, way, [page["url"] for page in pages], [image["url"] for image in images])
    planted = site.planted()
    matched = {image["url"] for image in images if image["outcome"] == "match"}
    others = {image["outcome"] for image in images if image["url"] not in planted}
    if matched != set(planted) or others - {"no_match"}:
        raise IntegrityError(
            f"{way}: {len(matched)} of {len(planted)} planted pictures match; others: {sorted(others)}"
        )
    return max(dt.datetime.fromisoformat(page["checked_at"]).timestamp() for page in pages)


def _same_urls(site: Site, way: str, pages: Sequence[str], images: Sequence[str]) -> None:
    shown = site.pictures()
    once = sorted(shown) if not site.web.shared else sorted([*shown] * site.web.pages)
    if sorted(pages) != sorted(site.web.urls(site.http_port)) or sorted(images) != once:
        raise IntegrityError(f"{way}: other pages or pictures than the site has")
