"""Job files of made-up checks."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path

from hashmatch.hotline.jobs.job import JobFile
from hashmatch.hotline.jobs.job_states import Finished, Planned
from hashmatch.model.hotline import Item, Outcome, Submission, Summary

NOON = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)


def job_of(path: Path, submission: Submission, address: str, items: Sequence[Item]) -> str:
    """Make a job of one submission that is done, and return its name."""
    with JobFile.create(path) as job:
        job.load([Planned(submission, address, address, "example.org")], lambda: "", "", NOON)
        job.begin(1)
        job.advance((), 1)
        job.advance([Finished(Summary(submission, Outcome.MATCH, url=address), tuple(items))], 0)
    return str(path)
