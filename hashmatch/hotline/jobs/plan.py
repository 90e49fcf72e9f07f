"""Lines of a list to lines of a job: addresses repaired, equal ones told by their key, and what is none refused.

Theory of operation
-------------------
Each submission goes through ``urls.parse``. What may be fetched gets its address, key and host; what may not is done
before the job begins, with a summary that says why. Onion services and others are never one job: who sees both from one
client at one time can tell that they belong together.

What this module deliberately does not do: it resolves no name. Whether an address may be connected to is seen when it
is.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator

from hashmatch.errors import BadInput
from hashmatch.hotline.jobs.job_states import Planned
from hashmatch.hotline.jobs.lists import Unusable
from hashmatch.hotline.web import urls
from hashmatch.model.hotline import Outcome, Submission, Summary


def planned(rows: Iterable[Submission | Unusable], rules: urls.Rules, now: dt.datetime) -> Iterator[Planned]:
    """Yield a line of the job for every line of the list.

    Raises
    ------
    BadInput
        The list mixes onion services and others.

    """
    kinds: dict[bool, urls.Target] = {}
    for row in rows:
        if isinstance(row, Unusable):
            yield _refused(row.submission, row.reason, now)
            continue
        target = urls.parse(row.url, rules)
        if isinstance(target, urls.Refused):
            yield _refused(row, target.reason, now)
            continue
        kinds.setdefault(target.is_onion, target)
        if problem := urls.mixture(kinds.values()):
            raise BadInput(problem, field="urls")
        yield Planned(row, target.url, target.key, target.host)


def _refused(submission: Submission, reason: str, now: dt.datetime) -> Planned:
    return Planned(submission, summary=Summary(submission, Outcome.REFUSED_URL, reason, checked_at=now))
