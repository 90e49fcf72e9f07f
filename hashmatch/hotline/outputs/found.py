"""What outputs are made of: the results of a job, with an outcome also for what was not reached."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hashmatch.hotline.jobs.job_states import Origin
from hashmatch.hotline.jobs.results import Results
from hashmatch.model.hotline import Item, Outcome, Submission, Summary

UNREACHED = "the job ended before it was checked; resuming the job goes on"


@dataclass(frozen=True, slots=True)
class Found:
    """Results of a job, at some moment."""

    results: Results
    origin: Origin
    written_at: dt.datetime

    def summaries(self) -> Iterator[tuple[Submission, Summary]]:
        """Yield every submission in order; what was not reached is ``aborted``."""
        for kept in self.results.summaries():
            yield kept.submission, kept.summary or Summary(kept.submission, Outcome.ABORTED, UNREACHED)

    def by_submission(self) -> Iterator[tuple[Submission, tuple[Item, ...], Summary]]:
        """Yield every submission in order, with its items; those of one submitted again stand with the first."""
        for submission, summary in self.summaries():
            items = () if summary.same_as is not None else self.results.items_of(submission.number)
            yield submission, items, summary

    def tally(self) -> Mapping[Outcome, int]:
        """Return how often each outcome stands in the summaries."""
        done = dict(self.results.tally())
        unreached = self.origin.listed - sum(done.values())
        return {**done, Outcome.ABORTED: unreached} if unreached else done
