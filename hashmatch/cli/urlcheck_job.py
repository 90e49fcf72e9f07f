"""The job file of ``hashmatch urlcheck``: a new one with its list in it, or one that goes on.

What this module deliberately does not do: it goes on with no job of another list, and with none that went another way
through the network.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hashmatch.cli.files import opened_for_reading
from hashmatch.cli.options import GlobalOptions
from hashmatch.cli.output import Output
from hashmatch.config import Config
from hashmatch.errors import BadInput, JobRefused
from hashmatch.hotline.jobs import lists
from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.plan import planned
from hashmatch.hotline.web import urls

FOLDER: Final = "urlcheck"
"""In the data directory: job files that nobody named."""


@dataclass(frozen=True, slots=True)
class WantedJob:
    """What the command line says of the list and the job file."""

    urls: str | None
    path: Path | None
    resume: bool


@contextlib.contextmanager
def opened_job(options: GlobalOptions, config: Config, wanted: WantedJob, output: Output) -> Iterator[JobFile]:
    """Open the job that is to be done; its list is in it."""
    if wanted.resume:
        if wanted.path is None:
            raise BadInput("--resume goes on with a job file; name it with --job", field="job")
        with JobFile.open(wanted.path) as job:
            _resume(job, config, wanted)
            yield job
        return
    if wanted.urls is None:
        raise BadInput("name the list: URLS, or - for standard input", field="urls")
    path = wanted.path or _fresh(options)
    with opened_for_reading(wanted.urls) as (stream, _), JobFile.create(path) as job:
        try:
            listing = _load(job, stream, config)
        except BaseException:
            job.remove()
            raise
        if listing.left_out:
            output.remark(f"columns that are not read: {', '.join(listing.left_out)}")
        if wanted.path is None:
            output.remark(f"job file: {path}")
        yield job


def _resume(job: JobFile, config: Config, wanted: WantedJob) -> None:
    """Refuse to go on with the job of another list, or another way; read the list where it never was."""
    origin = job.origin()
    if origin is None:
        if wanted.urls is None:
            raise JobRefused(f"{job.path}: its list was never read to its end; name the list again", field="job")
        with opened_for_reading(wanted.urls) as (stream, _):
            _load(job, stream, config)
        return
    if wanted.urls is not None:
        with opened_for_reading(wanted.urls) as (stream, _):
            digesting = _Digesting(stream)
            while digesting.read(lists.BLOCK_BYTES):
                pass
            digest = digesting.hexdigest()
        if digest != origin.list_sha256:
            raise JobRefused(
                f"{job.path} is the job of another list (SHA-256 {origin.list_sha256[:16]}..., {wanted.urls} has "
                f"{digest[:16]}...); leave the list out, or begin a new job",
                field="job",
            )
    if config.hotline.proxy != origin.route:
        ways = (f"through {way}" if way else "without a proxy" for way in (origin.route, config.hotline.proxy))
        began, now = ways
        raise JobRefused(f"{job.path} began {began} and would go on {now}; one job goes one way", field="proxy")


def _load(job: JobFile, stream: lists.Stream, config: Config) -> lists.Listing:
    now = dt.datetime.now(dt.UTC)
    digesting = _Digesting(stream)
    listing = lists.read(digesting)
    job.load(planned(listing.rows, urls.Rules.of(config.hotline), now), digesting.hexdigest, config.hotline.proxy, now)
    return listing


class _Digesting:
    """A stream whose SHA-256 is known at its end."""

    def __init__(self, stream: lists.Stream) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes."""
        data = self._stream.read(size)
        self._sha256.update(data)
        return data

    def hexdigest(self) -> str:
        """Return the digest of what was read."""
        return self._sha256.hexdigest()


def _fresh(options: GlobalOptions) -> Path:
    """Return the name of a new job file in the data directory."""
    folder = options.make_data_dir() / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{dt.datetime.now(dt.UTC):%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:8]}.job"
